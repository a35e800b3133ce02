"""Replies: a batch that requests join and leave while it runs, and how each is drawn."""

from .engine import Delta, Reply, ReplyEngine, Request, generate_replies, iterate_replies
from .sampling import Decoding

__all__ = ["Decoding", "Delta", "Reply", "ReplyEngine", "Request", "generate_replies", "iterate_replies"]
