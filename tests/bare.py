"""A machine without a browser, a compiler and fonts, for the tests: SOULCHAT_BARE=1 hides those that are there.

A missing skip or a missing step of the installation then shows on a machine that has everything.
"""

import os
from pathlib import Path

HIDDEN = (
    "chrom",
    "google-chrome",
    "firefox",
    "g++",
    "c++",
    "gcc",
    "cc",
    "clang",
    "fc-list",
    "ninja",
    "x86_64-linux-gnu-g",
)


def hide_tools(links: Path) -> None:
    """Fill `links` with links to every program on PATH but the hidden ones, and let PATH be this folder alone."""
    for folder in map(Path, os.environ["PATH"].split(os.pathsep)):
        for program in sorted(folder.iterdir()) if folder.is_dir() else ():
            link = links / program.name
            if not program.name.startswith(HIDDEN) and not link.is_symlink():
                link.symlink_to(program)
    os.environ |= {"PATH": str(links), "MPL_IGNORE_SYSTEM_FONTS": "1"}
