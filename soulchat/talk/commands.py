"""The slash commands of a talk in the terminal."""

import dataclasses
from pathlib import Path
from typing import Any

from soulchat_trainer.generation import Decoding

from .session import Talk

HELP = """\
/retry            another reply to your last words
/undo             take back your last words and the reply
/reset            start a new conversation
/system TEXT      set a system text (/system alone shows it, /system - removes it)
/params           show how replies are sampled; /params temperature=0.7 top_p=0.9 changes it
/close            hide the help lines
/save FILE        save the conversation to a new file; nothing is stored otherwise
/help   /exit
Enter sends, Alt+Enter begins a new line, Ctrl+C stops a reply.
To say something that begins with a slash, write two: //…"""


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """What a line asks for: words to `say`, or an `answer` to show, or to `leave`."""

    say: str | None = None
    answer: str = ""
    leave: bool = False


def obey(talk: Talk, line: str) -> Outcome:
    """Carry out a line of the user: a command, or words to say.

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
    if name not in _COMMANDS:
        raise ValueError(f"{name} is not a command; allowed: {', '.join(_COMMANDS)}")
    return _COMMANDS[name](talk, rest)


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


def _retry(talk: Talk, rest: str) -> Outcome:
    words = talk.undo()
    return Outcome(say=words) if words else Outcome(answer="Nothing to retry yet.")


def _undo(talk: Talk, rest: str) -> Outcome:
    words = talk.undo()
    return Outcome(answer=f"Taken back: {words}" if words else "Nothing to take back.")


def _reset(talk: Talk, rest: str) -> Outcome:
    talk.reset()
    return Outcome(answer="New conversation.")


def _system(talk: Talk, rest: str) -> Outcome:
    if rest:
        talk.system = "" if rest == "-" else rest
    return Outcome(answer=f"System text: {talk.system}" if talk.system else "No system text.")


def _params(talk: Talk, rest: str) -> Outcome:
    talk.decoding = change_decoding(talk.decoding, rest)
    values = dataclasses.asdict(talk.decoding).items()
    return Outcome(answer=" ".join(f"{name}={str(value).lower()}" for name, value in values))


def _close(talk: Talk, rest: str) -> Outcome:
    talk.help = None
    return Outcome(answer="The help lines come again when they are called for.")


def _save(talk: Talk, rest: str) -> Outcome:
    if not rest:
        raise ValueError("/save has no file name; allowed: /save FILE")
    talk.save(Path(rest).expanduser())
    return Outcome(answer=f"Saved to {rest}.")


_COMMANDS = {
    "/retry": _retry,
    "/undo": _undo,
    "/reset": _reset,
    "/system": _system,
    "/params": _params,
    "/close": _close,
    "/save": _save,
    "/help": lambda talk, rest: Outcome(answer=HELP),
    "/exit": lambda talk, rest: Outcome(leave=True),
}
