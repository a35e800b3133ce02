"""Chat over a pipe: one line in, one reply out; plain text, or JSON with every field."""

import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, TextIO

from pydantic import BaseModel, ConfigDict, ValidationError

from .care import CareNotice
from .schema import ChatMessage, first_fault, read_loosely
from .service import Done, Text, Thought
from .session import Talk
from .wording import NOTICE, language_of

FORMS = '{"content": "…"} or {"messages": […]}'


class InputLine(BaseModel):
    """A line of JSONL mode: `content`, the next words of the talk; or `messages`, a whole talk by itself."""

    model_config = ConfigDict(extra="forbid")

    content: str | None = None
    messages: list[ChatMessage] | None = None


@dataclass(slots=True)
class Answer:
    """A whole reply. `text` has the help lines before what speaks of self-harm; `care` has all of them as data."""

    text: str = ""
    thoughts: str = ""
    finish_reason: str | None = None
    care: list[CareNotice] = field(default_factory=list)


def run_pipe(talk: Talk, lines: Iterable[str], output: TextIO, jsonl: bool) -> None:
    """Answer every line with one line, in order. All lines are one talk.

    A line that cannot be answered gets `{"error": …, "care": […]}`; in plain mode the help lines that are due, else an
    empty line, and the error goes to stderr.
    In plain mode the notice that replies come from an AI is printed first; JSON has it in every line.
    """
    for number, line in enumerate(lines):
        line = line.rstrip("\r\n")
        if not jsonl and number == 0:
            print(NOTICE[language_of(line)], file=sys.stderr, flush=True)
        answer = Answer()
        try:
            told = _answer_json(talk, line, answer) if jsonl else _answer_plain(talk, line, answer)
        except (ValueError, RuntimeError) as error:
            if jsonl and not answer.care and (notice := talk.service.judge(read_loosely(line))):
                answer.care.append(notice)
            if not jsonl:
                print(f"soulchat: error: {error}", file=sys.stderr)
            told = _refusal(error, answer) if jsonl else _on_one_line(answer)
        print(told, file=output, flush=True)


def gather(talk: Talk, message: str, answer: Answer) -> None:
    """Wait for the whole reply to `message`; what comes of it stands in `answer`, also where it ends in an error."""
    for event in talk.say(message):
        if isinstance(event, CareNotice):
            answer.care.append(event)
            if event.cause == "reply":
                answer.text += event.text + "\n\n"
        elif isinstance(event, Text):
            answer.text += event.text
        elif isinstance(event, Thought):
            answer.thoughts += event.text
        elif isinstance(event, Done):
            answer.finish_reason = event.finish_reason


def _answer_plain(talk: Talk, line: str, answer: Answer) -> str:
    gather(talk, line, answer)
    return _on_one_line(answer)


def _on_one_line(answer: Answer) -> str:
    before = [notice.text for notice in answer.care if notice.cause == "message"]
    return " ".join("\n".join([*before, answer.text]).splitlines())  # a model can write any of Unicode's line breaks


def _refusal(error: Exception, answer: Answer) -> str:
    return json.dumps({"error": str(error), "care": [notice.as_dict() for notice in answer.care]}, ensure_ascii=False)


def _answer_json(talk: Talk, line: str, answer: Answer) -> str:
    request = _read_json(line)
    if request.messages is not None:
        talk = Talk(talk.service, talk.decoding, talk.client)
        *before, last = [message.plain() for message in request.messages] or [{"role": "user", "content": ""}]
        talk.messages, message = before, last["content"]
        if last["role"] != "user":
            raise ValueError("the last message is not the user's; allowed: messages that end with role user")
    else:
        message = request.content or ""
    gather(talk, message, answer)
    row: dict[str, Any] = {
        "reply": answer.text,
        "finish_reason": answer.finish_reason,
        "care": [notice.as_dict() for notice in answer.care],
        "notice": NOTICE[language_of(message)],
    }
    return json.dumps(row | ({"thoughts": answer.thoughts} if answer.thoughts else {}), ensure_ascii=False)


def _read_json(line: str) -> InputLine:
    try:
        request = InputLine.model_validate_json(line)
    except ValidationError as error:
        raise ValueError(f"the line is not valid ({first_fault(error)}); allowed: {FORMS}") from None
    if (request.content is None) == (request.messages is None):
        raise ValueError(f"the line has both content and messages, or neither; allowed: {FORMS}")
    return request
