"""Chinese words: jieba, exactly."""

import logging
from importlib.metadata import version

import jieba

jieba.setLogLevel(logging.WARNING)  # it reports loading its dictionary as if it were an error


def cut_words(text: str) -> list[str]:
    """The words of `list(jieba.cut(text))`: precise mode, HMM on, whitespace tokens included."""
    return list(jieba.dt.cut(text))


def segmenter_signature(fast: bool) -> str:
    """The word segmenter and its version, for the signature."""
    return f"jieba-{version('jieba')}"
