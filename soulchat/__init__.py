"""The `soulchat` command."""

__version__ = "0.1.0"
