"""Tables for a terminal, of the Markdown that goes into files."""

import re
import sys

from rich.console import Console
from rich.markdown import Markdown

RAISED = str.maketrans("abcdefghijklmnopqrstuvwxyz", "ᵃᵇᶜᵈᵉᶠᵍʰⁱʲᵏˡᵐⁿᵒᵖ𐞥ʳˢᵗᵘᵛʷˣʸᶻ")
WIDE = 160  # columns where nobody's window sets a limit


def print_markdown(text: str) -> None:
    """Show Markdown as a terminal can: tables with lines, raised letters as characters."""
    shown = re.sub(r"<sup>(\w+)</sup>", lambda letters: letters[1].translate(RAISED), text)
    console = Console(width=None if sys.stdout.isatty() else WIDE)
    console.print(Markdown(shown))
