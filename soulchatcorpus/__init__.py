"""The data: counselling conversations, loaded, split into turns, checked and converted. Needs no torch.

Importing this package makes `datasets.load_dataset("soulchatcorpus")` work from any directory.
"""

from .dialogue import render_prompt
from .resolve import register
from .schema import TOPICS, Conversation, Message
from .turns import Turn, split_turns

register()

__all__ = ["TOPICS", "Conversation", "Message", "Turn", "render_prompt", "split_turns"]
