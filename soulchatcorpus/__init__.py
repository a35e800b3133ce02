"""The data: counselling conversations, loaded, split into turns, checked and converted. Needs no torch.

Importing this package makes `datasets.load_dataset("soulchatcorpus")` work from any directory. `datasets` itself takes
longer to import than many a command to run, so it is read when a name that needs it is asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .resolve import register
from .schema import TOPICS, Conversation, Message

if TYPE_CHECKING:
    from .dialogue import render_prompt
    from .reading.corpus import read_corpus
    from .reading.json_stream import CorpusError
    from .tools.convert import convert
    from .turn_view import TurnView
    from .turns import Turn, split_turns

__all__ = [
    "TOPICS",
    "Conversation",
    "CorpusError",
    "Message",
    "Turn",
    "TurnView",
    "convert",
    "read_corpus",
    "render_prompt",
    "split_turns",
]

_HOMES = {
    "CorpusError": ".reading.json_stream",
    "Turn": ".turns",
    "TurnView": ".turn_view",
    "convert": ".tools.convert",
    "read_corpus": ".reading.corpus",
    "render_prompt": ".dialogue",
    "split_turns": ".turns",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name], __name__), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


register()
