"""The one place that renders "用户：…\\n心理咨询师：…" and parses it back.

The form is that of the paper, section 2.2, with the full-width colon of the authors' application. A line that starts
with a role's prefix starts a message; any other line goes on with the message before it. `rules.regularise` sees to it
that no message breaks this, so rendering and parsing are exact inverses of each other. A model reads more than these
prefixes as a role; what it is shown goes through `keep_roles_apart`.
"""

import re
from collections.abc import Collection, Sequence

from .care.folding import plain_form
from .schema import Message, Role

ROLE_PREFIXES: dict[Role, str] = {"user": "用户：", "assistant": "心理咨询师："}
COUNSELLOR_CUE = ROLE_PREFIXES["assistant"]

_ROLES = {prefix: role for role, prefix in ROLE_PREFIXES.items()}
_MESSAGE_START = re.compile(f"^({'|'.join(_ROLES)})", re.MULTILINE)

_LINE_BREAKS = frozenset("\n\r\v\f\x1c\x1d\x1e\x85\u2028\u2029")


def _read(text: str) -> str:
    """The text as it is read, without white space."""
    return "".join(plain_form(character).strip() for character in text)


_PREFIXES = tuple(map(_read, ROLE_PREFIXES.values()))


def keep_roles_apart(text: str, prefixes: Collection[str] = _PREFIXES) -> str:
    """The text with a space for each line break after which something stands that reads like a role's prefix.

    Args:
        text: the content of a message.
        prefixes: what starts a message, in the plain forms of `care.folding`.
    """

    def part(space: re.Match[str]) -> str:
        is_break = not _LINE_BREAKS.isdisjoint(space[0])
        return " " if is_break and opens_message(text, space.end(), prefixes) else space[0]

    return re.sub(r"\s+", part, text)


def opens_message(text: str, start: int = 0, prefixes: Collection[str] = _PREFIXES) -> bool:
    """Whether the text from `start` on reads like the beginning of a message: a role's prefix, in whatever form."""
    read = ""
    for place in range(start, len(text)):
        read += _read(text[place])
        if any(read.startswith(prefix) for prefix in prefixes):
            return True
        if not any(prefix.startswith(read) for prefix in prefixes):
            return False
    return False


def render_line(message: Message) -> str:
    """`用户：…` or `心理咨询师：…`, without a newline at the end; raises ValueError for another role."""
    if message["role"] not in ROLE_PREFIXES:
        raise ValueError(f"a message has role {message['role']!r}; allowed: {', '.join(ROLE_PREFIXES)}")
    return ROLE_PREFIXES[message["role"]] + message["content"]


def render_prompt(messages: Sequence[Message]) -> str:
    """The context that the model continues: one line for every message, then the counsellor's cue."""
    return "".join(render_line(message) + "\n" for message in messages) + COUNSELLOR_CUE


def parse(text: str) -> list[Message]:
    """The messages of a rendered conversation; the counsellor's empty cue at the end of a prompt is not a message.

    `parse(render_prompt(messages)) == messages`, and `parse(turn.prompt + turn.completion)` is the conversation up to
    and including that reply.

    Raises:
        ValueError: the text does not start with a role's prefix.
    """
    starts = list(_MESSAGE_START.finditer(text))
    if not starts or starts[0].start() != 0:
        raise ValueError(f"a dialogue starts with one of {list(_ROLES)}, found {text[:20]!r}")
    ends = [start.start() - 1 for start in starts[1:]] + [len(text)]
    messages = [
        Message(role=_ROLES[start.group(1)], content=text[start.end() : end])
        for start, end in zip(starts, ends, strict=True)
    ]
    if messages[-1] == {"role": "assistant", "content": ""}:
        messages.pop()
    return messages
