"""One talk, as its user steers it: say, retry, undo, reset, a system text, save."""

from collections.abc import Generator
from pathlib import Path

from soulchat_trainer.generation import Decoding
from soulchatcorpus import Message
from soulchatcorpus.care.help_lines import Language
from soulchatcorpus.clients import Client, describe_client
from soulchatcorpus.files import check_new, making, write_json

from .care import CareNotice
from .service import Event, ReplyService, Text
from .wording import STATES


class Talk:
    """The messages of one talk and how the next reply is drawn. Nothing leaves the memory until `save`."""

    def __init__(self, service: ReplyService, decoding: Decoding, client: str = "local") -> None:
        self.service, self.decoding, self.client = service, decoding, client
        self.system = ""
        self.messages: list[Message] = []
        self.unanswered: str | None = None  # the user's last words, where no reply came
        self.help: CareNotice | None = None  # stays in sight until the talk ends or the user closes it

    def say(self, text: str) -> Generator[Event]:
        """Add the user's words; yield the events of the reply, and keep what was said when it ends or is stopped.

        Raises:
            ValueError: the message is refused; the talk stays as it was.
        """
        messages = [*self.messages, Message(role="user", content=text)]
        reply, self.unanswered = "", text
        events = self.service.stream(with_system(self.system, messages), self.decoding, self.client)
        try:
            for event in events:
                if isinstance(event, CareNotice):
                    self.help = event
                elif isinstance(event, Text):
                    reply += event.text
                yield event
        except ValueError:
            self.unanswered = None
            raise
        finally:
            events.close()
            if reply:
                self.unanswered = None
                self.messages = [*messages, Message(role="assistant", content=reply)]

    def undo(self) -> str | None:
        """Take back the user's last words and the reply to them; the words, or None if there are none."""
        if self.unanswered is not None:
            text, self.unanswered = self.unanswered, None
            return text
        for index in range(len(self.messages) - 1, -1, -1):
            if self.messages[index]["role"] == "user":
                text = self.messages[index]["content"]
                self.messages = self.messages[:index]
                return text
        return None

    def reset(self) -> None:
        """Forget the talk; system text and decoding stay."""
        self.messages, self.unanswered, self.help = [], None, None

    def save(self, path: Path) -> None:
        """Write the talk as JSON that only its owner can read (the form of a corpus conversation's messages).

        Raises:
            OSError: it cannot be written, or a file of that name is there already.
        """
        if not path.parent.is_dir():
            raise FileNotFoundError(f"{path.parent} is not a folder; allowed: a file in an existing folder")
        document = {"messages": self.messages} | ({"system": self.system} if self.system else {})
        with making(path, "soulchat chat"):
            check_new(path)
            write_json(path, document, private=True)


def with_system(system: str, messages: list[Message]) -> list[Message]:
    """The messages with a system text before them, if there is one."""
    return [{"role": "system", "content": system}, *messages] if system else messages


def with_client(client: Client | None, messages: list[Message], language: Language) -> list[Message]:
    """The messages with what a user states of themselves at the end of the system text."""
    if not client:
        return messages
    told = f"{STATES[language]}\n{describe_client(client, language)}"
    if messages and messages[0]["role"] == "system":
        system, *messages = messages
        told = f"{system['content']}\n\n{told}"
    return with_system(told, messages)
