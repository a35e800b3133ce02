"""The data: counselling conversations, loaded, split into turns, checked and converted. Needs no torch."""

from .dialogue import Turn, render_prompt, split_turns
from .schema import TOPICS, Conversation, Message

__all__ = ["TOPICS", "Conversation", "Message", "Turn", "render_prompt", "split_turns"]
