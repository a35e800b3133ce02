"""The chat page needs an engine that says what it is told to."""

from tests.soulchat.talk.conftest import scripted  # noqa: F401
