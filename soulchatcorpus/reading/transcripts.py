"""Text dialogues: a line for every message, with its speaker's name before a colon.

cpsycound   a text file a dialogue, lines 来访者：… and 心理咨询师：…: CPsyCoun

The name may stand in brackets (【咨询师】), or alone above the message with or without a time, as chat programs export
it. A line without a speaker goes on with the message before it. A line of somebody else (旁白：, 母亲：, 王小红：, or
"2024-05-01 20:03 小林") is refused: glued to the message before, it would become that speaker's words.
"""

import re
from typing import Any

from ..schema import Conversation, Message
from .roles import COUNSELLOR_NAMES, ROLES, USER_NAMES, find_role


class BadRecord(ValueError):
    """A record that is not of its format; the message is the cause alone, without file and place."""


def alternatives(names: tuple[str, ...]) -> str:
    """A pattern for any of the names, the longest first."""
    return "|".join(map(re.escape, sorted(names, key=len, reverse=True)))


_KINDS: dict[type, str] = {dict: "an object", list: "a list"}
_BLANKS = "\\s\u3000\u200b\ufeff"
_MARKS = f"[{_BLANKS}*_#>\\-•·【\\[]*"
# Exports number their lines, or begin them with the time: 1. 来访者：, [20:03] 来访者：, 2024-05-01 20:03:11 来访者：
_WHEN = "(?:[(（]?[0-9][0-9:：./年月日时分秒、,)）\\]】T \\-]*)?"
# A number or a name in brackets tells two of a kind apart: 来访者2, 来访者（王女士）.
_GAP = "[ \u3000]*+"  # possessive, like what stands beside it: a line of blanks is looked at once
_NUMBER, _PERSON = "(?:[0-9]{1,3}|[A-Za-z]|[一二三四五甲乙])?", "(?:[（(][^（()）\n]{1,20}[)）])?"
_AFTER_NAME = f"{_GAP}{_NUMBER}{_GAP}{_PERSON}{_GAP}"
_END = f"[*_】\\]]*+{_GAP}[:：][*_]*{_GAP}"
_NAMES = alternatives(tuple(ROLES))
_SPEAKER = re.compile(f"^{_MARKS}{_WHEN}(?P<name>{_NAMES}){_AFTER_NAME}{_END}", re.IGNORECASE)
_IN_BRACKETS = re.compile(
    f"^{_MARKS}{_WHEN}[【\\[<《](?P<name>{_NAMES}){_AFTER_NAME}[】\\]>》]{_GAP}(?:[:：]{_GAP})?", re.IGNORECASE
)
_DAY = "[0-9]{4}[-/.年][0-9]{1,2}[-/.月][0-9]{1,2}日?"
_PART_OF_DAY = "(?:凌晨|早上|上午|中午|下午|晚上)?"
_ALONE = re.compile(
    f"^[*#【]*{_GAP}{_WHEN}(?P<name>{alternatives((*USER_NAMES, *COUNSELLOR_NAMES))}){_AFTER_NAME}[*】]*{_GAP}"
    f"(?:{_DAY}{_GAP})?{_PART_OF_DAY}{_WHEN}$",
    re.IGNORECASE,
)
# The same with a name in place of the role: a day and a time beside it or, as WeChat's mails have it, a time behind.
_CLOCK = f"{_PART_OF_DAY}[0-9]{{1,2}}[:：][0-9]{{2}}(?:[:：][0-9]{{2}})?"
_MOMENT = f"{_DAY}[ T]{{1,3}}{_CLOCK}"
_NAME = "[^\\s:：，。,.!?！？、](?:[^:：，。,!?！？\n]{0,18}[^\\s:：，。,.!?！？、])?"
_HEAD = re.compile(
    f"(?:{_MOMENT} {{1,3}}(?P<behind>{_NAME})|(?P<before>{_NAME})(?: {{1,3}}{_MOMENT}| {{2,3}}{_CLOCK}))"
)
_NEXT_DAY = re.compile(f"[—─–=\\-]{{2,}} *{_DAY} *[—─–=\\-]{{2,}}")  # between the messages of two days
# Who else speaks in transcripts. Not every word before a colon: 建议：… and 第一步：… go on with a message.
_OTHERS = (
    *("旁白", "督导", "督导师", "主持人", "记录者", "记录人", "助理", "护士", "社工", "观察员", "管理员"),
    *("母亲", "父亲", "妈妈", "爸爸", "家长", "家属", "丈夫", "妻子", "老公", "老婆", "儿子", "女儿", "孩子", "伴侣"),
    *("男方", "女方", "男友", "女友", "老师", "班主任", "学生", "医生", "朋友", "接线员", "志愿者"),
    *("narrator", "supervisor", "moderator", "mother", "father", "husband", "wife", "nurse", "doctor", "teacher"),
    *("student", "parent", "partner", "interviewer", "interviewee"),
)
_OTHER = re.compile(
    f"^{_MARKS}{_WHEN}(?P<name>{alternatives(_OTHERS)}|[\u4e00-\u9fff]{{1,3}}(?:女士|先生|小姐|同学|老师|医生|阿姨|叔叔)"
    f"|(?:speaker|person|说话人|发言人)[ _]?[0-9A-Za-z]{{1,2}}){_AFTER_NAME}{_END}",
    re.IGNORECASE,
)
_SOMEBODY = re.compile(f"^{_MARKS}{_WHEN}(?P<name>[^\\s:：，。,.!?！？、]{{1,10}}){_GAP}{_PERSON}{_END}")
_ASKED = re.compile(r"\s*Human:.*\n\s*Assistant:\s*\Z", re.DOTALL)
_ASKED_ROLE = re.compile(r"^[ ]*(Human|Assistant):", re.MULTILINE)
_ALLOWED = "用户：, 来访者：, 求助者：, 心理咨询师：, 咨询师：, 支持者：, 系统："


def read_line(line: str) -> Message | None:
    """The message that a line starts, None where no known speaker stands before a colon at its start."""
    found = _SPEAKER.match(line) or _IN_BRACKETS.match(line)
    role = find_role(found["name"]) if found else None
    return {"role": role, "content": line[found.end() :]} if found and role else None


def is_one_line(text: str) -> bool:
    """Whether a text is a single line of a known speaker: one message of a dialogue, and not a dialogue."""
    return "\n" not in text.strip() and read_line(text) is not None


def _name_other(line: str) -> str | None:
    """Who speaks in a line that no known speaker begins, be it by a name of their own; None for nobody."""
    if found := _OTHER.match(line):
        return found["name"]
    from ..care.privacy import find_private  # loads its lists of names
    from ..care.private_names import find_titled

    found = _SOMEBODY.match(line)
    # A name is known as one where it speaks in a story.
    return (
        found["name"]
        if found
        # 小王 is too frequent in ordinary talk to be looked at by `find_private`.
        and (
            any(find_titled(found["name"]))
            or any(span.kind == "name" for span in find_private(f"{found['name']}说：“好”"))
        )
        else None
    )


def read_transcript(record: Any, default_id: str) -> list[Conversation]:
    """`record` is the text of a file."""
    if type(record) is not str:
        raise BadRecord(f"the record is {_KINDS.get(type(record), 'no text')}; allowed: the text of a file")
    messages: list[Message] = []
    for number, line in enumerate(record.split("\n"), 1):
        if not line.strip() or _NEXT_DAY.fullmatch(line.strip()):
            continue
        message = read_line(line)
        if alone := _ALONE.match(line.strip()):
            message = {"role": ROLES[alone["name"].lower()], "content": ""}
        if message is None and (head := _HEAD.fullmatch(line.strip())):
            raise BadRecord(
                f"line {number} is headed by {(head['behind'] or head['before'])!r}; allowed in place of a name: "
                "来访者 or 咨询师"
            )
        if message is None and (other := _name_other(line)):
            raise BadRecord(
                f"line {number} is of another speaker, {other + '：'!r}; allowed: {_ALLOWED} (name such "
                "speakers by one of these, or take their lines out)"
            )
        if message is not None:
            messages.append(message)
        elif messages:
            messages[-1]["content"] = "\n".join(filter(None, [messages[-1]["content"], line]))
        else:
            raise BadRecord(f"a dialogue starts with one of {_ALLOWED}; found {line[:20]!r}")
    return [Conversation(default_id, messages)]


def read_asked(text: str) -> list[Message]:
    """What was said before a reply: the talk that BELLE and HH write as Human: …, Assistant: …, else one message.

    Only a text that asks for the reply, with a last line `Assistant:`, is such a talk: a person may quote another one.
    """
    if not _ASKED.match(text):
        return [Message(role="user", content=text)]
    _, *parts = _ASKED_ROLE.split(text)
    said = zip(parts[:-2:2], parts[1:-2:2], strict=True)
    return [Message(role=ROLES[name.lower()], content=content.strip()) for name, content in said]
