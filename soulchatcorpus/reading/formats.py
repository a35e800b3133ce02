"""The formats that counselling corpora come in: `FORMATS` is the whole list, each family of them has its file.

A format is recognised by its records' keys, never by a file's name. Shapes and sources stand in `chats`, `rounds`,
`posts` and `transcripts`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..schema import Conversation
from .chats import read_chat, read_psydt, read_sage, read_sharegpt, read_smilechat, read_trl
from .fields import client, counsellor
from .posts import read_efaqa, read_psyqa
from .preferences import refuse_judged
from .rounds import read_alpaca, read_chatglm, read_question, read_swift, read_xtuner
from .transcripts import is_one_line, read_transcript

_PEOPLE = frozenset({"client", "big_five", "counsellor"})  # keys that any format may have beside its own
ADVICE = 'the simplest form is {"messages": [{"role": "user", "content": "…"}, {"role": "assistant", "content": "…"}]}'


@dataclass(frozen=True, slots=True)
class Format:
    """How the records of one format become conversations.

    Attributes:
        name: as in `--format`.
        keys: a record that has all of these is recognised as this format.
        reader: from a record and the id to give where it has none, to its conversations; raises BadRecord.
    """

    name: str
    keys: frozenset[str]
    reader: Callable[[Any, str], list[Conversation]]

    def read(self, record: Any, default_id: str) -> list[Conversation]:
        """The conversations of a record.

        Raises:
            BadRecord: it is not of this format, its replies are judged or weighted, or `client` or `counsellor` is not
                of its form.
        """
        refuse_judged(record)
        conversations = self.reader(record, default_id)
        if type(record) is dict and not _PEOPLE.isdisjoint(record):
            for conversation in conversations:
                conversation.client = client(record) or conversation.client
                conversation.counsellor = counsellor(record)
        return conversations


FORMATS = {
    format.name: format
    for format in (
        Format("psydt", frozenset({"messages", "normalizedTag"}), read_psydt),
        Format("messages", frozenset({"messages"}), read_chat),
        Format("sage", frozenset({"player", "history"}), read_sage),
        Format("smilechat", frozenset({"role", "content"}), read_smilechat),
        Format("psyqa", frozenset({"question", "answers"}), read_psyqa),
        Format("questions", frozenset({"question", "answer"}), read_question),
        Format("efaqa", frozenset({"chats", "title"}), read_efaqa),
        Format("xtuner", frozenset({"conversation"}), read_xtuner),
        Format("sharegpt", frozenset({"conversations"}), read_sharegpt),
        Format("alpaca", frozenset({"instruction", "output"}), read_alpaca),
        Format("swift", frozenset({"query", "response"}), read_swift),
        Format("chatglm", frozenset({"prompt", "response"}), read_chatglm),
        Format("trl", frozenset({"prompt", "completion"}), read_trl),
        Format("cpsycound", frozenset(), read_transcript),
    )
}


def recognise(value: Any) -> Format | None:
    """The format of a file whose first record is `value`: a parsed JSON value, or the text of a text file.

    Raises:
        BadRecord: the record is of preference or weighted data.
    """
    refuse_judged(value)
    if type(value) is str:
        return FORMATS["smilechat" if is_one_line(value) else "cpsycound"]
    if type(value) is list:
        return FORMATS["smilechat"]
    if type(value) is not dict:
        return None
    return next((format for format in FORMATS.values() if format.keys and format.keys <= value.keys()), None)
