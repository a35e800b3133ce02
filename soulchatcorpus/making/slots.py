"""What stands in the slots of a rewriting prompt beside the single turn: style, stages, an example, the client."""

from typing import Any

from ..care.privacy import mask_private
from ..clients import Client, describe_client
from ..schema import Message
from .clients import choose_client
from .options import RewriteOptions
from .records import Record
from .style import read_cases, render_case
from .style_card import load_style, with_style
from .topics import find_topic_by_words


class Slots:
    """The texts for the slots that a prompt has.

    Raises:
        ValueError, OSError: the style card or the cases that the options name cannot be used.
    """

    def __init__(self, options: RewriteOptions) -> None:
        self._options = options
        self._names = options.template.slots
        self._card = load_style(options.style) if options.style else None
        cases = read_cases(options.cases) if options.cases else []
        self._cases = [(_topic_of(case), _runs(case), render_case(case, options.send_unmasked)) for case in cases]

    def fill(self, record: Record) -> dict[str, str]:
        """Text by slot for a question record, of those that the prompt has; `{single_turn}` is not among them."""
        texts: dict[str, str] = {}
        if self._card is not None:
            texts |= {"style": self._card.describe(), "stages": self._card.describe_stages()}
        if "client" in self._names:
            client = describe_client(choose_client(record, self._options.levels, self._options.seed))
            texts["client"] = client if self._options.send_unmasked else mask_private(client)
        if self._cases:
            texts["example"] = self._nearest(record)
        return {name: text for name, text in texts.items() if name in self._names}

    def with_system(self, messages: list[Message]) -> list[Message]:
        """A conversation that was made, with the style's system text, which a model is then trained under."""
        return with_style(self._card, messages) if self._card is not None else messages

    def counsellor(self, record: Record) -> str | None:
        """Whose style a conversation is made with; without a style card, whose the record's answer is."""
        return self._card.counsellor if self._card is not None else record.get("counsellor")

    def client(self, record: Record) -> Client | None:
        """The client of a conversation that is made: the one of the prompt, else what its record states."""
        if "client" in self._names:
            return choose_client(record, self._options.levels, self._options.seed)
        return record.get("client")

    def provenance(self, record: Record) -> dict[str, Any]:
        """That a client's traits are drawn and nobody's, where they are."""
        if "client" in self._names and not record.get("client"):
            return {"client_source": f"drawn ({self._options.levels}, seed {self._options.seed})"}
        return {}

    def _nearest(self, record: Record) -> str:
        """The case of the record's topic, where there is one, whose words are most like the record's."""
        topic, runs = _topic_of(record), _runs(record)

        def nearness(case: tuple[str | None, set[str], str]) -> tuple[bool, float]:
            return topic is not None and case[0] == topic, len(runs & case[1]) / max(1, len(runs | case[1]))

        return max(self._cases, key=nearness)[2]


def _topic_of(record: Record) -> str | None:
    return record.get("topic") or find_topic_by_words(record)


def _runs(record: Record) -> set[str]:
    """The pairs of characters in what the user says."""
    if "question" in record:
        text = record["question"]
    else:
        text = "\n".join(message["content"] for message in record["messages"] if message["role"] == "user")
    return {text[start : start + 2] for start in range(len(text) - 1)}
