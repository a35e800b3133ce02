"""A model's rewriting back into a conversation, or the reason why it is none.

Understood are the paper's roles (用户, 心理咨询师), SMILE's (求助者, 支持者), their English forms in Figures 8 and 10,
half- and full-width colons, bold marks, list numbers, headings of rounds, and a preamble or an afterword.
"""

import json
import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import orjson

from ..reading.fields import read_messages
from ..reading.roles import COUNSELLOR_NAMES, USER_NAMES
from ..reading.transcripts import BadRecord, alternatives
from ..schema import Message
from ..thoughts import split_thoughts

Reason = Literal[
    "truncated",
    "refusal",
    "no_dialogue",
    "wrong_start",
    "wrong_end",
    "role_confusion",
    "empty_message",
    "too_few_rounds",
    "too_long",
]
MAX_CHARACTERS = 100_000  # a hundred times the usual
MIN_ROUNDS = 4  # below the prompt's own 8 to 20, since the paper's own Figure 7 has 5
PROMPT_ROUNDS = range(8, 21)  # what the prompt asks for (the paper, Figure 2)

_USER = alternatives((*USER_NAMES, "helper"))  # so called in the paper's Figure 10
_COUNSELLOR = alternatives(COUNSELLOR_NAMES)
# Possessive (*+) wherever two of them can meet: what is tried twice takes for ever on a reply of ten thousand blanks.
_GAP = r"[^\S\n]*+"
_MARKS = r"(?:[*_#>\-•·]|[^\S\n])*+"
_ROLE = (
    rf"(?:(?P<user>{_USER})|(?P<counsellor>{_COUNSELLOR}))"
    r"\s*+(?:\d{1,2}\s*+)?(?:[*_]++\s*+)?[:：]\s*+(?:[*_]++\s*+)?"
)
_NUMBER = (
    rf"(?:[(（【\[]?{_GAP}(?:第?{_GAP}[\d一二三四五六七八九十]{{1,3}}{_GAP}[轮.、)）】\]:：]|Round \d+[.:]?){_GAP})?"
)
_AT_LINE_START = re.compile(rf"^{_MARKS}{_NUMBER}{_MARKS}{_ROLE}", re.MULTILINE | re.IGNORECASE)
_INSIDE = re.compile(rf"(?:^|(?<=[\s。！？!?.”\"]))(?:\*\*)?{_ROLE}", re.IGNORECASE)
_ROLE_LEFT = re.compile(r"(?:用户|心理咨询师|求助者|支持者|来访者|\bUser|\bPsychologist)\s*[:：]")
# A line that announces the next round.
_HEADING = re.compile(
    rf"{_MARKS}(?:[(（【\[]?第{_GAP}[\d一二三四五六七八九十]{{1,3}}{_GAP}轮(?:对话)?[)）】\]]?|Round \d+"
    rf"|\d{{1,2}}[.、]|对话[一二三四五\d]*)?{_MARKS}[:：]?{_MARKS}",
    re.IGNORECASE,
)
_AFTERWORD = re.compile(
    r"\n(?:[*>※]|[^\S\n])*+(?:`{3}|-{3,}|\*{3,}|={3,}|(?:[(（【\[]\s*)?(?:注[:：]|备注|说明[:：]|对话(?:到此)?结束|以上(?:是|就是|为|对话|改写|内容)"
    r"|(?:\*\*)?[【\[(（]?[^\S\n]*(?:温馨提示|温馨提醒|备注|注释?)\s*[】\])）]?(?:\*\*)?\s*[:：]|【(?:注|备注|温馨提示|说明)】"
    r"|[(（【\[—-]+\s*(?:全文)?(?:完|结束|对话完|剧终|咨询结束|End)\s*[)）】\]—-]+|(?:全文|对话)?(?:完|结束)[。.]?\s*\Z"
    r"|咨询结束[。.]?\s*\Z|(?:the )?end(?: of (?:the )?(?:dialogue|conversation))?[.!]?\s*\Z"
    r"|(?:注意|提示|提醒|(?:免责)?声明)[:：][^\n]*(?:本次?对话|仅供参考|不构成|虚构|AI|人工智能)"
    r"|(?:本次|以上)?对话[^\n]{0,6}[共计][^\n]{0,3}\d+\s*轮|共计?\s*\d+\s*轮|字数[:：]"
    r"|(?:请问)?(?:你|您)?(?:还)?需要我(?:继续|再)?(?:改写|修改|调整|生成)|(?:#[^\s#]++[^\S\n]*)+\Z"
    r"|这段对话|通过以上|希望(?:这个|以上|这样)的?(?:改写|对话)|在(?:这段|以上)"
    r"(?:多轮)?对话|Note:|The above|In this (?:dialogue|conversation)|I hope this (?:rewrit|meets))).*\Z",
    re.DOTALL | re.IGNORECASE,
)
_CONTROL_TOKEN = re.compile(r"(?:<[|｜/]?[a-z_▁]{1,25}[|｜]?>|\[(?:/?INST|[gs]?MASK)\])\Z", re.IGNORECASE)
_CONTROL_CHARACTERS = 30  # of the longest such token
_END_MARK = re.compile(r"[(（【\[]\s*(?:全文)?(?:完|对话完|对话结束|End)\s*[)）】\]]\s*\Z", re.IGNORECASE)
# A text in quotes that begins with a role, as in JSON that is cut or has a comment.
_QUOTED = re.compile(rf'"\s*+{_ROLE}(?:[^"\\]|\\.)*+"', re.DOTALL | re.IGNORECASE)
_BETWEEN_QUOTED = re.compile(r"[\s,，\[\]{}]*")
_FENCE = re.compile(r"```(?:json)?", re.IGNORECASE)
_REFUSAL = re.compile(
    r"(?:作为|我(?:只)?是)(?:一个|一名)?(?:AI|人工智能|语言模型)|(?:抱歉|对不起|不好意思)[^。\n]{0,30}(?:无法|不能|没办法|没有办法)"
    r"|我(?:无法|不能)(?:完成|提供|满足|改写|处理|协助)"
    r"|as an ai\b|i(?:['’]m| am) sorry,? but|sorry,? i can(?:no|['’])t"
    r"|i can(?:no|['’])t (?:assist|help|fulfil|comply|rewrite|provide)|i(?:['’]m| am) (?:unable|not able) to",
    re.IGNORECASE,
)


@dataclass(slots=True, frozen=True)
class Parsed:
    """A reply as a conversation. `rounds` counts pairs of user and counsellor."""

    messages: list[Message]
    rounds: int


@dataclass(slots=True, frozen=True)
class Refused:
    """Why a reply is no conversation; `detail` says where."""

    reason: Reason
    detail: str


def parse_reply(text: str, finish_reason: str = "stop", min_rounds: int = MIN_ROUNDS) -> Parsed | Refused:
    """The conversation in a model's reply, or the named reason why there is none.

    Args:
        text: the raw reply.
        finish_reason: the endpoint's; "length" and "content_filter" are reasons of their own.
        min_rounds: fewer pairs of user and counsellor are refused; those outside the prompt's 8 to 20 are not.
    """
    if finish_reason == "length":
        return Refused("truncated", "the endpoint cut the reply at its length limit")
    if finish_reason == "content_filter":
        return Refused("refusal", "the endpoint's content filter stopped the reply")
    if split_thoughts(text).reply is None:
        return Refused("truncated", "the model's thoughts did not come to an end")
    text = _strip_control_tokens((split_thoughts(text).reply or "").replace("\r\n", "\n").strip())
    if len(text) > MAX_CHARACTERS:
        return Refused("too_long", f"{len(text):,} characters, at most {MAX_CHARACTERS:,} are read")
    if (listed := _read_list(text)) is not None:
        return _check(listed, min_rounds)
    text = "\n".join(map(_cell, text.split("\n")))
    starts = list(_AT_LINE_START.finditer(text))
    if not starts and (quoted := list(_QUOTED.finditer(text))):
        return _read_quoted(text, quoted, min_rounds)
    if len(starts) < 2:
        starts = list(_INSIDE.finditer(text))
    if not starts:
        return Refused("refusal" if is_refusal(text) else "no_dialogue", text[:40])
    return _check(_messages(text, starts), min_rounds)


def is_refusal(text: str) -> bool:
    """Whether a model says that it will not, or speaks of itself as a model."""
    return _REFUSAL.search(text) is not None


def _strip_control_tokens(text: str) -> str:
    """Without the tokens that a server has let through behind the reply, such as <|im_end|>."""
    while found := _CONTROL_TOKEN.search(text, max(0, len(text) - _CONTROL_CHARACTERS)):
        text = text[: found.start()].rstrip()
    return text


def _cell(line: str) -> str:
    """What stands in a line of a table with one column; any other line as it is."""
    inside = line.strip(" \t")
    return inside[1:-1].strip(" \t") if len(inside) > 1 and inside[0] == inside[-1] == "|" else line


def _read_list(text: str) -> list[Message] | None:
    """The messages of a reply that is a JSON list of lines or of messages, None for any other."""
    fence = _FENCE.search(text)
    fenced = text[fence.end() : text.rfind("```")] if fence else ""
    try:
        value: Any = orjson.loads(fenced or text)
    except orjson.JSONDecodeError:
        return None
    if isinstance(value, dict):  # {"dialogue": […]}
        lists = [inside for inside in value.values() if isinstance(inside, list)]
        value = lists[0] if len(lists) == 1 else None
    if isinstance(value, list):  # [{"用户": "…"}, {"心理咨询师": "…"}]
        value = [f"{next(iter(x))}：{x[next(iter(x))]}" if isinstance(x, dict) and len(x) == 1 else x for x in value]
    try:
        found = read_messages(value)
    except BadRecord:
        return None
    return [Message(role=message["role"], content=message["content"].strip()) for message in found] or None


def _read_quoted(text: str, quoted: list[re.Match[str]], min_rounds: int) -> Parsed | Refused:
    """The messages of a reply in which each stands in quotes, with nothing but commas and brackets between them."""
    for match, following in pairwise(quoted):
        if not _BETWEEN_QUOTED.fullmatch(text, match.end(), following.start()):
            return Refused("no_dialogue", text[match.end() :][:40])
    try:
        lines = [json.loads(match[0], strict=False) for match in quoted]
        messages = read_messages(lines)
    except ValueError:  # no JSON strings, or of somebody else
        return Refused("no_dialogue", quoted[0][0][:40])
    return _check([Message(role=each["role"], content=each["content"].strip()) for each in messages], min_rounds)


def _messages(text: str, starts: list[re.Match[str]]) -> list[Message]:
    ends = [match.start() for match in starts[1:]] + [len(text)]
    messages: list[Message] = []
    for match, end in zip(starts, ends, strict=True):
        content = text[match.end() : end]
        if end == len(text):
            content = _END_MARK.sub("", _AFTERWORD.sub("", content).rstrip())
        content = _without_headings(content).replace("**", "").strip()
        messages.append(Message(role="user" if match["user"] else "assistant", content=content))
    return messages


def _without_headings(content: str) -> str:
    """Without the lines at the end that announce the next round, and without blank ones."""
    lines = content.split("\n")
    while len(lines) > 1 and _HEADING.fullmatch(lines[-1]):
        lines.pop()
    return "\n".join(lines)


def _check(messages: list[Message], min_rounds: int) -> Parsed | Refused:
    roles = [message["role"] for message in messages]
    for number, message in enumerate(messages):
        if not message["content"]:
            return Refused("empty_message", f"message {number + 1}")
        if _ROLE_LEFT.search(message["content"]):
            return Refused("role_confusion", f"message {number + 1} holds another role's line")
        if number and roles[number - 1] == message["role"]:
            return Refused("role_confusion", f"messages {number} and {number + 1} are both the {message['role']}'s")
    if roles[0] != "user":
        return Refused("wrong_start", "the counsellor speaks first")
    if roles[-1] != "assistant":
        return Refused("wrong_end", "the user speaks last")
    rounds = len(messages) // 2
    if rounds < min_rounds:
        return Refused("too_few_rounds", f"{rounds} rounds, at least {min_rounds} are asked for")
    return Parsed(messages, rounds)
