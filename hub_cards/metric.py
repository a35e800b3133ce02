"""The files of the metric's Space."""

from pathlib import Path

CARD = "README.md"
OURS = ("*.py", "*.txt")


def stage_metric(folder: Path, staged: Path, *, repo_id: str) -> None:
    """Lay out in `staged`, an empty folder, the Space that `evaluate.load` reads: code, requirements, page, card.

    Raises:
        ValueError: `evaluate` looks for a file of the repository's own name, so no other name can be loaded.
    """
    name = repo_id.split("/")[1]
    if name != folder.name:
        raise ValueError(
            f"repository id is {repo_id!r}; allowed: USER/{folder.name}, the only name by which evaluate.load finds it"
        )
    for pattern in OURS:
        for path in sorted(folder.glob(pattern)):
            (staged / path.name).symlink_to(path.resolve())
    text = (folder / CARD).read_text(encoding="utf-8")
    (staged / CARD).write_text(
        text.replace(f'evaluate.load("{name}")', f'evaluate.load("{repo_id}")'), encoding="utf-8"
    )
