"""The options of the commands that learn what tells private details."""

import argparse
from pathlib import Path


def read_options(description: str | None, out: Path) -> argparse.Namespace:
    """`smilechat`, `without` (authors who are left out) and `out` (the one given here where none is typed)."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smilechat", type=Path, required=True)
    parser.add_argument("--without", type=int, nargs="*", default=[], help="leave these authors out")
    parser.add_argument("--out", type=Path, default=out)
    return parser.parse_args()
