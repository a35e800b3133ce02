"""Tables for a terminal, of the Markdown that goes into files."""

import re
import sys
from collections.abc import Iterator

from rich import box
from rich.console import Console, ConsoleOptions
from rich.markdown import Markdown, TableElement
from rich.table import Table
from rich.text import Text

RAISED = str.maketrans("abcdefghijklmnopqrstuvwxyz", "ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖ𐞥ʳˢᵗᵘᵛʷˣʸᶻ")
WIDE = 160  # columns where nobody's window sets a limit
PROSE = 24  # a column with wider cells is text, whose lines may be broken
BETWEEN = 3  # what two columns have between them
LINES = "cyan"


def print_markdown(text: str) -> None:
    """Show Markdown as a terminal can: tables with lines, raised letters as characters."""
    shown = re.sub(r"<sup>(\w+)</sup>", lambda letters: letters[1].translate(RAISED), text)
    console = Console(width=None if sys.stdout.isatty() else WIDE)
    console.print(_Page(shown))


class _Table(TableElement):
    """A table that is wider than the window goes on below, with its first column once more: no number is cut."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Table]:
        assert self.header is not None
        assert self.header.row is not None
        head = [cell.content for cell in self.header.row.cells]
        rows = [[cell.content for cell in row.cells] for row in self.body.rows] if self.body else []
        widths = [_width(name, [row[place] for row in rows]) for place, name in enumerate(head)]
        for places in _parts(widths, options.max_width):
            table = Table(box=box.SIMPLE, pad_edge=False, collapse_padding=True, style=LINES)
            for place in places:
                fixed = widths[place] if widths[place] < PROSE else None
                table.add_column(head[place], header_style=LINES, width=fixed, overflow="fold")
            for row in rows:
                table.add_row(*(row[place] for place in places))
            yield table


def _width(name: Text, cells: list[Text]) -> int:
    """What a column needs: its cells whole, of its name the longest word; of text PROSE at least."""
    words = [Text(word).cell_len for word in name.plain.split()]
    return min(max([*words, *(cell.cell_len for cell in cells), 1]), PROSE)


def _parts(widths: list[int], room: int) -> Iterator[list[int]]:
    """The places of the columns that stand side by side, the first one in each part."""
    part, used = [0], widths[0]
    for place in range(1, len(widths)):
        if len(part) > 1 and used + BETWEEN + widths[place] > room - BETWEEN:
            yield part
            part, used = [0], widths[0]
        part.append(place)
        used += BETWEEN + widths[place]
    yield part


class _Page(Markdown):
    elements = {**Markdown.elements, "table_open": _Table}
