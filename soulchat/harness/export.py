"""Table 1 as a folder for another tool: the test turns, and the task that reads and scores them."""

from importlib.resources import files
from pathlib import Path

from soulchat_trainer.data import load_corpus, sample_test_turns
from soulchatcorpus.files import working_in, write_lines, write_text

TURNS_FILE = "data/test.jsonl"
TASK_FILES = {
    "lm-eval": ("soulchat_table1.yaml", "soulchat_table1_functions.py"),
    "lighteval": ("soulchat_table1_lighteval.py",),
}


def export_task(tool: str, folder: Path, data: str, samples: int | None = None, seed: int = 0) -> int:
    """Write a tool's task folder; returns the number of turns.

    Args:
        tool: "lm-eval" or "lighteval".
        folder: made where it is missing; what has other names in it stays.
        data, samples, seed: the same turns as `soulchat benchmark run` takes.

    Raises:
        ValueError, OSError: there is no such tool or corpus, not so many turns, or the folder cannot be written
            or another run is at work in it.
    """
    if tool not in TASK_FILES:
        raise ValueError(f"tool is {tool!r}; allowed: {', '.join(TASK_FILES)}")
    turns = sample_test_turns(data, load_corpus(data), samples, seed)
    rows = ({"id": turn.id, "prompt": turn.prompt, "reference": turn.completion} for turn in turns)
    with working_in(folder, "soulchat benchmark export"):
        write_lines(folder / TURNS_FILE, rows)
        for name in TASK_FILES[tool]:
            write_text(folder / name, files(__package__).joinpath(name).read_text(encoding="utf-8"))
    return len(turns)
