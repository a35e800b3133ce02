"""The settings that decide a score, the presets that name sets of them, and the signature that tells them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

__version__ = "0.1.0"

Tokenizer = str | Callable[[str], list[str]]

TOKENIZERS = (
    "char",
    "jieba",
    "jieba-without-spaces",
    "jieba-after-removing-spaces",
    "sacrebleu-char",
    "sacrebleu-zh",
)
SMOOTHINGS = ("method0", "method1", "method2", "method3")
AGGREGATES = ("sentence", "corpus")
BLEU_LIBRARIES = ("nltk", "sacrebleu")
ROUGE_LIBRARIES = ("rouge-chinese", "rouge")
EMPTY_REFERENCES = ("zero", "skip")
BACKENDS = ("numpy", "reference")


def check_choice(name: str, value: object, allowed: tuple[str, ...]) -> None:
    """Raises ValueError where a value is none of the allowed ones."""
    if value not in allowed:
        raise ValueError(f"{name} is {value!r}; allowed: {', '.join(allowed)}")


@dataclass(frozen=True)
class Settings:
    """What decides the numbers. The defaults are the preset "paper" (SoulChat, Table 1).

    Attributes:
        bleu_tokenizer: "char" (code points), "jieba" (words), "jieba-without-spaces" (the same less the words that
            are a space), "jieba-after-removing-spaces" (words of the text without its spaces), "sacrebleu-char" (code
            points less whitespace), "sacrebleu-zh", or a function from a text to its tokens.
        rouge_tokenizer: the same for ROUGE.
        smoothing: of BLEU, by the names of nltk's `SmoothingFunction` (Chen and Cherry, 2014).
        aggregate: "sentence" takes the mean of the sentences' scores; "corpus" sums the sentences' counts first.
        round4: round each sentence's score to four decimals before the mean, as published scripts do.
        rouge_library: whose ROUGE: of rouge-chinese 1.0.3, or of rouge 1.0.1 (pltrdy), whose ROUGE-L is over sets.
        bleu_library: whose BLEU: of nltk, for which each text has at least one n-gram of each order, or of sacrebleu,
            which counts those that there are and gives 0 where an order has none.
        empty_references: a pair without a reference scores "zero", or is left out ("skip").
    """

    bleu_tokenizer: Tokenizer = "char"
    rouge_tokenizer: Tokenizer = "jieba"
    smoothing: str = "method3"
    aggregate: str = "sentence"
    round4: bool = False
    rouge_library: str = "rouge-chinese"
    empty_references: str = "zero"
    bleu_library: str = "nltk"

    def __post_init__(self) -> None:
        _check_tokenizer("bleu_tokenizer", self.bleu_tokenizer)
        _check_tokenizer("rouge_tokenizer", self.rouge_tokenizer)
        check_choice("smoothing", self.smoothing, SMOOTHINGS)
        check_choice("aggregate", self.aggregate, AGGREGATES)
        check_choice("bleu_library", self.bleu_library, BLEU_LIBRARIES)
        check_choice("rouge_library", self.rouge_library, ROUGE_LIBRARIES)
        check_choice("empty_references", self.empty_references, EMPTY_REFERENCES)
        if self.round4 and self.aggregate == "corpus":
            raise ValueError('round4 rounds each sentence\'s score, so it needs aggregate="sentence"')


def _check_tokenizer(name: str, tokenizer: object) -> None:
    if not callable(tokenizer):
        check_choice(name, tokenizer, (*TOKENIZERS, "a function from a text to its tokens"))


# Where each comes from, and what its project prints, is told in recipes.py.
PRESETS = {
    "paper": Settings(),
    "ptuning": Settings(round4=True),
    "llamafactory": Settings(round4=True),
    "ms-swift": Settings(
        bleu_tokenizer="jieba-without-spaces",
        rouge_tokenizer="jieba-without-spaces",
        rouge_library="rouge",
        empty_references="skip",
    ),
    "emollm": Settings(
        bleu_tokenizer="jieba-after-removing-spaces",
        rouge_tokenizer="jieba-after-removing-spaces",
        smoothing="method1",
        rouge_library="rouge",
    ),
    "longbench": Settings(rouge_library="rouge"),
    "sacrebleu-zh": Settings(bleu_tokenizer="sacrebleu-zh", aggregate="corpus", bleu_library="sacrebleu"),
    "sacrebleu-char": Settings(bleu_tokenizer="sacrebleu-char", aggregate="corpus", bleu_library="sacrebleu"),
}


def resolve_settings(preset: str, **overrides: Any) -> Settings:
    """The settings of a preset, with every override that is not None put in its place."""
    check_choice("preset", preset, tuple(PRESETS))
    return replace(PRESETS[preset], **{name: value for name, value in overrides.items() if value is not None})


def signature(settings: Settings, backend: str, fast: bool) -> str:
    """The settings in one line, as sacrebleu has it: scores compare where all but backend and fast are equal."""
    from .segment import fast_cutter_version

    parts = {
        "bleu": _tokenizer_signature(settings.bleu_tokenizer),
        "smooth": settings.smoothing,
        "rouge": _tokenizer_signature(settings.rouge_tokenizer),
        "rouge-library": settings.rouge_library,
        "aggregate": settings.aggregate,
        "round": "4" if settings.round4 else "no",
        "empty-reference": settings.empty_references,
        "backend": backend,
        "fast": (fast and backend == "numpy" and fast_cutter_version()) or "no",
        "version": __version__,
    }
    if settings.bleu_library != "nltk":  # told only then: a score that is older than this setting keeps its signature
        parts["bleu-library"] = settings.bleu_library
    return "|".join(f"{name}:{value}" for name, value in parts.items())


def _tokenizer_signature(tokenizer: Tokenizer) -> str:
    if callable(tokenizer):
        return getattr(tokenizer, "__qualname__", type(tokenizer).__qualname__)  # a partial has no name of its own
    if not tokenizer.startswith("jieba"):
        return tokenizer
    from .segment import jieba_signature

    return tokenizer.replace("jieba", jieba_signature())
