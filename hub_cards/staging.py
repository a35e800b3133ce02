"""What of a folder goes to the Hub: its own files, and nothing that a link in it leads to elsewhere."""

from pathlib import Path


def stage_file(path: Path, folder: Path, staged: Path) -> None:
    """Link a file of a folder into another, under its name.

    In the Hub's cache a model's files are links to the `blobs` beside its snapshots; these are its own.

    Raises:
        ValueError: it is a link that leads out of the folder: what lies there would be published.
    """
    target, inside = path.resolve(), folder.resolve()
    blobs = inside.parent.parent / "blobs" if inside.parent.name == "snapshots" else inside
    if not any(target.is_relative_to(place) for place in (inside, blobs)):
        raise ValueError(f"{path} is a link to {target}, outside of the folder; allowed: files that lie in it")
    (staged / path.name).symlink_to(target)
