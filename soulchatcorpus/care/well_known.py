"""Names of writers, thinkers, singers, people of the news, figures of books and plays: nobody's private detail."""

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

# How many characters before a name may say whose it is, and after it.
_BEFORE, _AFTER = 14, 8
_LONGEST = 6
_DOTS = ("·", "•")
# Before the name of somebody who is spoken of, who may bear it as well.
_CALLED = re.compile("(?:[我他她]|名字|姓名)(?:叫|是|:)$")


def is_well_known(text: str, start: int, end: int) -> bool:
    """Whether the name from `start` to before `end` in a folded text is, or is of, one that all know.

    What stands beside it may say so, too: the title of a book before 里的, or a word such as 诗人.
    """
    words = _words()
    before = text[max(0, start - _BEFORE) : start]
    if _CALLED.search(before):
        return False
    for begin in range(max(0, start - _LONGEST + 1), start + 1):
        for stop in range(max(start + 1, begin + 2), begin + _LONGEST + 1):
            # 王维 is a poet, 王维军 is not.
            whole = stop - begin > 2 or (begin, stop) == (start, end)
            if whole and text[begin:stop] in words.names:
                return True
    # A part of a foreign name that a dot divides, as those of writers are given.
    if before[-1:] in _DOTS or text[end : end + 1] in _DOTS or words.foreign.fullmatch(text, start, end):
        return True
    return bool(words.before.search(before) or words.after.match(text[end : end + _AFTER]))


@dataclass(frozen=True, slots=True)
class _Words:
    names: frozenset[str]
    before: re.Pattern[str]
    after: re.Pattern[str]
    foreign: re.Pattern[str]


@cache
def _words() -> _Words:
    data = tomllib.loads(files(__package__).joinpath("well_known.toml").read_text(encoding="utf-8"))
    return _Words(
        names=frozenset(data["names"].split()),
        before=re.compile(rf"(?:{data['before']})[是为:\"、]?$|》[^,。!?;]{{0,8}}$"),
        after=re.compile(rf"[^,。!?;]{{0,4}}?(?:{data['after']})"),
        foreign=re.compile(rf"[{data['foreign']}]{{3,}}"),
    )
