"""Formats that are a post on a help site with what others wrote below it.

psyqa       {"question", "description", "questionID", "answers": [{"answer_text"}]}: thu-coai/PsyQA
efaqa       {"md5", "title", "chats": [{"sender": "owner"|"audience", "value"}]}: chatopera/efaqa-corpus-zh
"""

from itertools import groupby

from ..schema import Conversation, Message
from .fields import field, join_lines, kind, optional_text, read_messages, record_id, text
from .transcripts import BadRecord


def read_psyqa(record: dict, default_id: str) -> list[Conversation]:
    """A conversation for every answer, `{questionID}-{n}`; a question without answers gives one without counsellor."""
    question = join_lines(text(record, "question"), optional_text(record, "description"))
    answers = field(record, "answers")
    if type(answers) is not list:
        raise BadRecord(f"'answers' is {kind(answers)}; allowed: a list")
    provenance = {"keywords": record["keywords"]} if record.get("keywords") else {}
    number = record_id(record, "questionID", default_id)
    opening = Message(role="user", content=question)
    if not answers:
        return [Conversation(number, [opening], provenance=provenance)]
    return [
        Conversation(
            f"{number}-{n}",
            [opening.copy(), Message(role="assistant", content=text(answer, "answer_text"))],
            provenance=dict(provenance),
        )
        for n, answer in enumerate(answers, 1)
    ]


def read_efaqa(record: dict, default_id: str) -> list[Conversation]:
    """The post is the first message. A chat's bubbles are joined: those of one speaker in a row are one message."""
    title, description = text(record, "title"), optional_text(record, "description")
    post = Message(role="user", content=title if description == title else join_lines(title, description))
    bubbles = [post, *read_messages(field(record, "chats"))]
    messages = [
        Message(role=role, content=join_lines(*(bubble["content"] for bubble in run)))
        for role, run in groupby(bubbles, key=lambda bubble: bubble["role"])
    ]
    return [Conversation(record_id(record, "md5", default_id), messages)]
