"""Many phrases and regular expressions as one pattern, indexed by first character: as fast as an automaton library."""

import re

# The first character, or class of characters, of a rule.
_HEAD = re.compile(r"(?:\[([^\]^\\-]+)\]|([^\[\](){}.*+?|^$\\]))(?![?*+{])")
_ATOM = re.compile(r"\[([^\]^\\-]+)\]|([^\[\](){}.*+?|^$\\])")
# First characters are looked up in a tree that parts so often at each step: some eight times faster than one by one.
_BRANCHES = 8


def first_character_index(groups: list[list[str]]) -> tuple[re.Pattern[str], list[int]]:
    """One pattern that tries, at each position, only the rules that begin with the character there.

    Returns the pattern and, for each of its capture groups in order, the index of the group of rules that it stands
    for. Earlier groups win at the same position. A rule that begins with neither a plain character nor a class raises
    `ValueError`.
    """
    rests = _by_first_character(groups)
    seconds = [_HEAD.match(rest) for numbered in rests.values() for of_group in numbered.values() for rest in of_group]
    # Where all rules have a known second character, too, a look at it spares most of the tree.
    known = re.escape("".join(head[1] or head[2] for head in seconds if head))
    second = f"(?=[{known}])" if known and all(seconds) else ""
    whole = re.compile(f"[{''.join(rests)}]{second}(?:{_tree(list(rests), rests)})")
    return whole, [number for numbered in rests.values() for number in numbered]


def first_character_patterns(groups: list[list[str]]) -> dict[str, tuple[re.Pattern[str], list[int]]]:
    """The same as a pattern for each first character, with the indices of the groups of rules of its capture groups.

    Where it is known that a character stands at a place, its own pattern is some three times faster there.
    """
    return {
        character: (re.compile(re.escape(character) + _branch(character, rests)), list(rests))
        for character, rests in _by_first_character(groups).items()
    }


def _by_first_character(groups: list[list[str]]) -> dict[str, dict[int, list[str]]]:
    """For each first character by the number of their group what follows it in the rules."""
    rests: dict[str, dict[int, list[str]]] = {}
    for number, patterns in enumerate(groups):
        for pattern in patterns:
            head = _HEAD.match(pattern)
            if head is None:
                raise ValueError(f"rule {pattern!r} begins with neither a plain character nor a class such as [不没]")
            for character in head[1] or head[2]:
                rests.setdefault(character, {}).setdefault(number, []).append(pattern[head.end() :])
    return rests


def list_opening(pattern: str) -> list[str]:
    """The classes of the first characters, at least two, of a rule of `first_character_index`; "." for any."""
    classes = []
    while head := _HEAD.match(pattern):
        classes.append(f"[{head[1] or head[2]}]")
        pattern = pattern[head.end() :]
    following = next_characters(pattern)
    return [*classes, f"[{following}]" if following else "."]


def next_characters(pattern: str) -> str:
    """The characters that a match of a simple pattern may begin with; none where that is not known."""
    if pattern.startswith(("(?<", "(?=", "(?!")):
        return next_characters(pattern[_end_of_group(pattern) :])
    if pattern.startswith("(?:"):
        end = _end_of_group(pattern)
        known = [next_characters(part) for part in _alternatives(pattern[3 : end - 1])]
    elif atom := _ATOM.match(pattern):
        end, known = atom.end(), [atom[1] or atom[2]]
    else:
        return ""
    if pattern[end : end + 1] == "?":
        known.append(next_characters(pattern[end + 1 :]))
    return "".join(known) if all(known) and pattern[end : end + 1] not in ("*", "{") else ""


def _alternatives(pattern: str) -> list[str]:
    """What the marks | that are in no group part."""
    parts, depth, start = [], 0, 0
    for place, character in enumerate(pattern):
        depth += (character == "(") - (character == ")")
        if character == "|" and depth == 0:
            parts.append(pattern[start:place])
            start = place + 1
    return [*parts, pattern[start:]]


def _end_of_group(pattern: str) -> int:
    depth = 0
    for place, character in enumerate(pattern):
        depth += (character == "(") - (character == ")")
        if depth == 0:
            return place + 1
    raise ValueError(f"a group of {pattern!r} is open; allowed: groups that end")


def _tree(characters: list[str], rests: dict[str, dict[int, list[str]]]) -> str:
    """Looks the character just matched up among `characters`, a few at a time."""
    if len(characters) <= _BRANCHES:
        return "|".join(_branch(character, rests[character]) for character in characters)
    size = _BRANCHES
    while size * _BRANCHES < len(characters):
        size *= _BRANCHES
    parts = [characters[start : start + size] for start in range(0, len(characters), size)]
    return "|".join(f"(?<=[{''.join(part)}])(?:{_tree(part, rests)})" for part in parts)


def _branch(character: str, rests: dict[int, list[str]]) -> str:
    """The rules that begin with `character`, one capture group for each group of rules."""
    boundary = f"(?<![a-z]{character})" if character.isascii() and character.isalpha() else ""
    return f"(?<={character}){boundary}(?:" + "|".join(f"({'|'.join(rest)})" for rest in rests.values()) + ")"
