"""The settings that decide a score, the presets that name sets of them, and the signature that tells them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from .segment import segmenter_signature

__version__ = "0.1.0"

Tokenizer = Literal["char", "jieba"] | Callable[[str], list[str]]

SMOOTHINGS = ("method0", "method1", "method2", "method3")
AGGREGATES = ("sentence", "corpus")
BACKENDS = ("fast", "reference")


def _check_choice(name: str, value: object, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"{name} is {value!r}; allowed are {', '.join(allowed)}")


@dataclass(frozen=True)
class Settings:
    """What decides the numbers. The defaults are the preset "paper" (SoulChat, Table 1).

    Attributes:
        bleu_tokenizer: "char" (code points), "jieba" (words), or a function from a text to its tokens.
        rouge_tokenizer: the same for ROUGE.
        smoothing: of BLEU, by the names of nltk's `SmoothingFunction` (Chen and Cherry, 2014).
        aggregate: "sentence" takes the mean of the sentences' scores; "corpus" sums the sentences' counts first.
        round4: round each sentence's score to four decimals before the mean, as published scripts do.
    """

    bleu_tokenizer: Tokenizer = "char"
    rouge_tokenizer: Tokenizer = "jieba"
    smoothing: str = "method3"
    aggregate: str = "sentence"
    round4: bool = False

    def __post_init__(self) -> None:
        for name in ("bleu_tokenizer", "rouge_tokenizer"):
            value = getattr(self, name)
            if value not in ("char", "jieba") and not callable(value):
                raise ValueError(f'{name} is {value!r}; allowed are "char", "jieba" or a function from text to tokens')
        _check_choice("smoothing", self.smoothing, SMOOTHINGS)
        _check_choice("aggregate", self.aggregate, AGGREGATES)
        if self.round4 and self.aggregate == "corpus":
            raise ValueError('round4 rounds each sentence\'s score, so it needs aggregate="sentence"')


PRESETS = {
    "paper": Settings(),
    "llamafactory": Settings(round4=True),
    "ms-swift": Settings(bleu_tokenizer="jieba", round4=True),
}


def resolve_settings(preset: str, **overrides: object) -> Settings:
    """The settings of a preset, with every override that is not None put in its place."""
    _check_choice("preset", preset, tuple(PRESETS))
    return replace(PRESETS[preset], **{name: value for name, value in overrides.items() if value is not None})


def signature(settings: Settings, fast: bool, backend: str) -> str:
    """The settings in one line, in the manner of sacrebleu: two scores compare only if their signatures are equal."""
    parts = {
        "bleu": _tokenizer_signature(settings.bleu_tokenizer, fast),
        "rouge": _tokenizer_signature(settings.rouge_tokenizer, fast),
        "smooth": settings.smoothing,
        "aggregate": settings.aggregate,
        "round": "4" if settings.round4 else "no",
        "backend": backend,
        "version": __version__,
    }
    return "|".join(f"{name}:{value}" for name, value in parts.items())


def _tokenizer_signature(tokenizer: Tokenizer, fast: bool) -> str:
    if tokenizer == "jieba":
        return segmenter_signature(fast)
    if tokenizer == "char":
        return "char"
    return f"{tokenizer.__module__}.{tokenizer.__qualname__}"
