"""What the linter finds, and the lines of a card that it looks at."""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong: the file, its 1-based line where there is one, and a sentence for the author."""

    path: str
    line: int | None
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}" if self.line else f"{self.path}: {self.message}"


def numbered_prose(text: str, with_quotations: bool = False) -> Iterator[tuple[int, str]]:
    """Lines with their 1-based numbers, without the YAML head and fenced code; quotations (replies) if asked for."""
    in_code, in_head = False, text.startswith("---\n")
    for number, line in enumerate(text.splitlines(), start=1):
        if in_head:
            in_head = number == 1 or line != "---"
        elif line.lstrip().startswith("```"):
            in_code = not in_code
        elif not in_code and (with_quotations or not line.startswith(">")):
            yield number, line
