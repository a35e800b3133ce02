"""A model's rewriting back into a conversation, or the reason why it is none.

Understood are the paper's roles (用户, 心理咨询师), SMILE's (求助者, 支持者), their English forms in Figures 8 and 10,
half- and full-width colons, bold marks, list numbers, headings of rounds, and a preamble or an afterword.
"""

import re
from dataclasses import dataclass
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
]
MIN_ROUNDS = 4  # below the prompt's own 8 to 20, since the paper's own Figure 7 has 5
PROMPT_ROUNDS = range(8, 21)  # what the prompt asks for (the paper, Figure 2)

_USER = alternatives((*USER_NAMES, "helper"))  # so called in the paper's Figure 10
_COUNSELLOR = alternatives(COUNSELLOR_NAMES)
_MARKS = r"[*_#>\-•·\s]*"
_ROLE = rf"(?:(?P<user>{_USER})|(?P<counsellor>{_COUNSELLOR}))\s*\d{{0,2}}\s*[*_]*\s*[:：]\s*[*_]*\s*"
_NUMBER = r"(?:[(（【\[]?\s*(?:第?\s*[\d一二三四五六七八九十]{1,3}\s*[轮.、)）】\]:：]|Round \d+[.:]?)\s*)?"
_AT_LINE_START = re.compile(rf"^{_MARKS}{_NUMBER}{_MARKS}{_ROLE}", re.MULTILINE | re.IGNORECASE)
_INSIDE = re.compile(rf"(?:^|(?<=[\s。！？!?.”\"]))(?:\*\*)?{_ROLE}", re.IGNORECASE)
_ROLE_LEFT = re.compile(r"(?:用户|心理咨询师|求助者|支持者|来访者|\bUser|\bPsychologist)\s*[:：]")
_HEADING = re.compile(
    rf"\n{_MARKS}(?:[(（【\[]?第\s*[\d一二三四五六七八九十]{{1,3}}\s*轮(?:对话)?[)）】\]]?|Round \d+"
    rf"|对话[一二三四五\d]*)?{_MARKS}[:：]?{_MARKS}$",
    re.IGNORECASE,
)
_AFTERWORD = re.compile(
    r"\n\s*(?:`{3}|-{3,}|\*{3,}|={3,}|(?:[(（【\[]\s*)?(?:注[:：]|备注|说明[:：]|对话(?:到此)?结束|以上(?:是|就是|为|对话|改写|内容)"
    r"|(?:\*\*)?[【\[(（]?\s*(?:温馨提示|温馨提醒|备注|注释?)\s*[】\])）]?(?:\*\*)?\s*[:：]|【(?:注|备注|温馨提示|说明)】"
    r"|[(（【\[]\s*(?:全文)?(?:完|结束|对话完|剧终|End)\s*[)）】\]]|(?:全文|对话)?(?:完|结束)[。.]?\s*\Z"
    r"|这段对话|通过以上|希望(?:这个|以上|这样)的?(?:改写|对话)|在(?:这段|以上)"
    r"(?:多轮)?对话|Note:|The above|In this (?:dialogue|conversation)|I hope this (?:rewrit|meets))).*\Z",
    re.DOTALL | re.IGNORECASE,
)
_CONTROL_TOKENS = re.compile(r"\s*(?:(?:<\|[a-z_]{1,20}\|>|</s>|\[/?INST\])\s*)+\Z", re.IGNORECASE)
_END_MARK = re.compile(r"\s*[(（【\[]\s*(?:全文)?(?:完|对话完|对话结束|End)\s*[)）】\]]\s*\Z", re.IGNORECASE)
_FENCED = re.compile(r"```(?:json)?\s*([\[{].*[\]}])\s*```", re.DOTALL | re.IGNORECASE)
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
    text = _CONTROL_TOKENS.sub("", (split_thoughts(text).reply or "").replace("\r\n", "\n").strip())
    if (listed := _read_list(text)) is not None:
        return _check(listed, min_rounds)
    starts = list(_AT_LINE_START.finditer(text))
    if len(starts) < 2:
        starts = list(_INSIDE.finditer(text))
    if not starts:
        return Refused("refusal" if is_refusal(text) else "no_dialogue", text[:40])
    return _check(_messages(text, starts), min_rounds)


def is_refusal(text: str) -> bool:
    """Whether a model says that it will not, or speaks of itself as a model."""
    return _REFUSAL.search(text) is not None


def _read_list(text: str) -> list[Message] | None:
    """The messages of a reply that is a JSON list of lines or of messages, None for any other."""
    fenced = _FENCED.search(text)
    try:
        value: Any = orjson.loads(fenced[1] if fenced else text)
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


def _messages(text: str, starts: list[re.Match[str]]) -> list[Message]:
    ends = [match.start() for match in starts[1:]] + [len(text)]
    messages: list[Message] = []
    for match, end in zip(starts, ends, strict=True):
        content = text[match.end() : end]
        if end == len(text):
            content = _END_MARK.sub("", _AFTERWORD.sub("", content).rstrip())
        content = _HEADING.sub("", content.rstrip()).replace("**", "").strip()
        messages.append(Message(role="user" if match["user"] else "assistant", content=content))
    return messages


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
