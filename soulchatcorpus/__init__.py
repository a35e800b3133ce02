"""The data: counselling conversations, loaded, split into turns, checked and converted. Needs no torch.

Importing this package makes `datasets.load_dataset("soulchatcorpus")` work from any directory.
"""

from .dialogue import Turn, render_prompt, split_turns
from .resolve import register
from .schema import TOPICS, Conversation, Message

register()

__all__ = ["TOPICS", "Conversation", "Message", "Turn", "render_prompt", "split_turns"]
