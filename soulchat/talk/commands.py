"""The slash commands of a talk in the terminal."""

import dataclasses
from pathlib import Path
from typing import Any

from soulchat_trainer.generation import Decoding
from soulchatcorpus.care.help_lines import Language

from .session import Talk

HELP: dict[Language, str] = {
    "zh": """\
/retry            对您上一句话再回复一次
/undo             撤回您上一句话和它的回复
/reset            开始新的对话
/system 提示词    设置系统提示词（只写 /system 显示当前的，/system - 去掉）
/params           显示采样设置；/params temperature=0.7 top_p=0.9 修改设置
/close            关闭求助热线
/save 文件        把对话保存到新文件；除此之外什么都不会保存
/help   /exit     帮助，退出
回车发送，Alt+回车换行，Ctrl+C 停止正在生成的回复。
要说的话以斜杠开头时，请写两个斜杠：//…""",
    "en": """\
/retry            another reply to your last words
/undo             take back your last words and the reply
/reset            start a new conversation
/system TEXT      set a system prompt (/system alone shows it, /system - removes it)
/params           show the sampling settings; /params temperature=0.7 top_p=0.9 changes them
/close            hide the help lines
/save FILE        save the conversation to a new file; nothing is stored otherwise
/help   /exit     this help; leave
Enter sends, Alt+Enter begins a new line, Ctrl+C stops a reply.
To say something that begins with a slash, write two: //…""",
}
_ANSWERS: dict[Language, dict[str, str]] = {
    "zh": {
        "nothing to retry": "还没有可以重新回复的话。",
        "taken back": "已撤回：{words}",
        "nothing to take back": "没有可以撤回的话。",
        "reset": "新的对话开始了。",
        "system": "系统提示词：{text}",
        "no system": "没有系统提示词。",
        "closed": "求助热线已收起，需要时会再次出现。",
        "saved": "已保存到 {file}。",
    },
    "en": {
        "nothing to retry": "Nothing to retry yet.",
        "taken back": "Taken back: {words}",
        "nothing to take back": "Nothing to take back.",
        "reset": "New conversation.",
        "system": "System prompt: {text}",
        "no system": "No system prompt.",
        "closed": "The help lines come again when they are called for.",
        "saved": "Saved to {file}.",
    },
}


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """What a line asks for: words to `say`, or an `answer` to show, or to `leave`."""

    say: str | None = None
    answer: str = ""
    leave: bool = False


def obey(talk: Talk, line: str, language: Language = "en") -> Outcome:
    """Carry out a line of the user: a command, or words to say.

    Args:
        talk: the talk.
        line: of the user.
        language: of the answer.

    Raises:
        ValueError: no such command, or not with these values.
        OSError: the talk cannot be saved there.
    """
    if not line.startswith("/"):
        return Outcome(say=line)
    if line.startswith("//"):
        return Outcome(say=line[1:])
    name, _, rest = line.partition(" ")
    rest = rest.strip()
    if name == "/help":
        return Outcome(answer=HELP[language])
    if name not in _COMMANDS:
        raise ValueError(f"{name} is not a command; allowed: {', '.join((*_COMMANDS, '/help'))}")
    return _COMMANDS[name](talk, rest, _ANSWERS[language])


def change_decoding(decoding: Decoding, settings: str) -> Decoding:
    """`decoding` with settings such as "temperature=0.7 seed=3".

    Raises:
        ValueError: an unknown name, or a value that is not allowed.
    """
    types: dict[str, Any] = {field.name: field.type for field in dataclasses.fields(Decoding)}
    changes: dict[str, Any] = {}
    for setting in settings.split():
        name, equals, value = setting.partition("=")
        if name not in types or not equals:
            raise ValueError(f"{setting!r} is not a setting; allowed: name=value with {', '.join(types)}")
        changes[name] = _parse(name, types[name], value)
    return dataclasses.replace(decoding, **changes)


def _parse(name: str, kind: type, value: str) -> float | int | bool:
    if kind is bool:
        if value.lower() not in ("true", "false"):
            raise ValueError(f"{name} is {value!r}; allowed: true, false")
        return value.lower() == "true"
    try:
        return kind(value)
    except ValueError:
        raise ValueError(f"{name} is {value!r}; allowed: a number") from None


def _retry(talk: Talk, rest: str, answers: dict[str, str]) -> Outcome:
    words = talk.undo()
    return Outcome(say=words) if words else Outcome(answer=answers["nothing to retry"])


def _undo(talk: Talk, rest: str, answers: dict[str, str]) -> Outcome:
    words = talk.undo()
    return Outcome(answer=answers["taken back"].format(words=words) if words else answers["nothing to take back"])


def _reset(talk: Talk, rest: str, answers: dict[str, str]) -> Outcome:
    talk.reset()
    return Outcome(answer=answers["reset"])


def _system(talk: Talk, rest: str, answers: dict[str, str]) -> Outcome:
    if rest:
        talk.system = "" if rest == "-" else rest
    return Outcome(answer=answers["system"].format(text=talk.system) if talk.system else answers["no system"])


def _params(talk: Talk, rest: str, answers: dict[str, str]) -> Outcome:
    talk.decoding = change_decoding(talk.decoding, rest)
    values = dataclasses.asdict(talk.decoding).items()
    return Outcome(answer=" ".join(f"{name}={str(value).lower()}" for name, value in values))


def _close(talk: Talk, rest: str, answers: dict[str, str]) -> Outcome:
    talk.help = None
    return Outcome(answer=answers["closed"])


def _save(talk: Talk, rest: str, answers: dict[str, str]) -> Outcome:
    if not rest:
        raise ValueError("/save has no file name; allowed: /save FILE")
    talk.save(Path(rest).expanduser())
    return Outcome(answer=answers["saved"].format(file=rest))


def _leave(talk: Talk, rest: str, answers: dict[str, str]) -> Outcome:
    return Outcome(leave=True)


_COMMANDS = {
    "/retry": _retry,
    "/undo": _undo,
    "/reset": _reset,
    "/system": _system,
    "/params": _params,
    "/close": _close,
    "/save": _save,
    "/exit": _leave,
}
