"""The settings that decide a score, the presets that name sets of them, and the signature that tells them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from .segment import fast_cutter_version, jieba_signature

__version__ = "0.1.0"

Tokenizer = str | Callable[[str], list[str]]

TOKENIZERS = ("char", "jieba", "jieba-without-spaces")
SMOOTHINGS = ("method0", "method1", "method2", "method3")
AGGREGATES = ("sentence", "corpus")
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
            are a space), or a function from a text to its tokens.
        rouge_tokenizer: the same for ROUGE.
        smoothing: of BLEU, by the names of nltk's `SmoothingFunction` (Chen and Cherry, 2014).
        aggregate: "sentence" takes the mean of the sentences' scores; "corpus" sums the sentences' counts first.
        round4: round each sentence's score to four decimals before the mean, as published scripts do.
        rouge_library: whose ROUGE: of rouge-chinese 1.0.3, or of rouge 1.0.1 (pltrdy), whose ROUGE-L is over sets.
        empty_references: a pair without a reference scores "zero", or is left out ("skip").
    """

    bleu_tokenizer: Tokenizer = "char"
    rouge_tokenizer: Tokenizer = "jieba"
    smoothing: str = "method3"
    aggregate: str = "sentence"
    round4: bool = False
    rouge_library: str = "rouge-chinese"
    empty_references: str = "zero"

    def __post_init__(self) -> None:
        _check_tokenizer("bleu_tokenizer", self.bleu_tokenizer)
        _check_tokenizer("rouge_tokenizer", self.rouge_tokenizer)
        check_choice("smoothing", self.smoothing, SMOOTHINGS)
        check_choice("aggregate", self.aggregate, AGGREGATES)
        check_choice("rouge_library", self.rouge_library, ROUGE_LIBRARIES)
        check_choice("empty_references", self.empty_references, EMPTY_REFERENCES)
        if self.round4 and self.aggregate == "corpus":
            raise ValueError('round4 rounds each sentence\'s score, so it needs aggregate="sentence"')


def _check_tokenizer(name: str, tokenizer: object) -> None:
    if not callable(tokenizer):
        check_choice(name, tokenizer, (*TOKENIZERS, "a function from a text to its tokens"))


PRESETS = {
    "paper": Settings(),
    # LLaMA-Factory, src/llamafactory/train/sft/metric.py, ComputeSimilarity; THUDM/ChatGLM-6B, ptuning/main.py.
    "llamafactory": Settings(round4=True),
    # modelscope/ms-swift, swift/metrics/nlg.py, compute_rouge_bleu.
    "ms-swift": Settings(
        bleu_tokenizer="jieba-without-spaces",
        rouge_tokenizer="jieba-without-spaces",
        rouge_library="rouge",
        empty_references="skip",
    ),
}


def resolve_settings(preset: str, **overrides: Any) -> Settings:
    """The settings of a preset, with every override that is not None put in its place."""
    check_choice("preset", preset, tuple(PRESETS))
    return replace(PRESETS[preset], **{name: value for name, value in overrides.items() if value is not None})


def signature(settings: Settings, backend: str, fast: bool) -> str:
    """The settings in one line, as sacrebleu has it: scores compare where all but backend and fast are equal."""
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
    return "|".join(f"{name}:{value}" for name, value in parts.items())


def _tokenizer_signature(tokenizer: Tokenizer) -> str:
    if callable(tokenizer):
        return getattr(tokenizer, "__qualname__", type(tokenizer).__qualname__)  # a partial has no name of its own
    return tokenizer.replace("jieba", jieba_signature())
