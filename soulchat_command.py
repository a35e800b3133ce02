"""Where the `soulchat` command and `train.py` start: outside of the packages, whose imports take a second or more.

Ctrl-C in that time ends the process with the line and the exit code that it has later.
"""

import os
import signal
import sys
from collections.abc import Sequence


def main(words: Sequence[str] | None = None) -> None:
    """Run the command with the given words, or with those of the command line."""
    asked = signal.getsignal(signal.SIGINT)
    if asked != signal.SIG_IGN:  # as of a job in the background
        signal.signal(signal.SIGINT, _end)
    from soulchat.cli import main as run

    signal.signal(signal.SIGINT, asked)
    run(words)


def _end(*_: object) -> None:
    """An exception would also show where Python ignores it, as in what modules call when they are collected."""
    print("soulchat: interrupted", file=sys.stderr, flush=True)
    os._exit(130)  # as a shell reports a process that SIGINT ended
