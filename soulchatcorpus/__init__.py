"""The data: counselling conversations, loaded, split into turns, checked and converted. Needs no torch.

Importing this package makes `datasets.load_dataset("soulchatcorpus")` work from any directory.
"""

from .dialogue import render_prompt
from .reading.corpus import read_corpus
from .reading.json_stream import CorpusError
from .resolve import register
from .schema import TOPICS, Conversation, Message
from .tools.convert import convert
from .turn_view import TurnView
from .turns import Turn, split_turns

register()

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
