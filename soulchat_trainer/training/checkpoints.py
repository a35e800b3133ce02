"""Whole and torn checkpoints: a manifest, written last, tells which folder holds everything that was saved."""

import json
import os
import re
import shutil
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel, TrainingArguments
from transformers.trainer_pt_utils import get_model_param_count
from transformers.utils import logging

from soulchatcorpus.files import write_json

logger = logging.get_logger(__name__)
MANIFEST_NAME = "manifest.json"
STATE_NAME = "trainer_state.json"
# What a run leaves in its folder beside checkpoints.
OUTPUTS = ("*.safetensors", "*.bin", "results.json", STATE_NAME)
OPTIMIZER_STATES = ("optimizer*", "global_step*")  # the second is DeepSpeed's
# What a run needs beside them to go on as if it had not stopped: names of files, of which one has to be there.
OTHER_STATES = {
    "weights": ("*.safetensors", "pytorch_model*", "adapter_model*", "global_step*"),
    "scheduler.pt": ("scheduler.pt", "global_step*"),
    "rng_state.pth": ("rng_state*",),
}
BYTES_AT_ONCE = 2**22


@contextmanager
def trainers_habits_off(args: TrainingArguments) -> Iterator[int | None]:
    """Trainer neither removes old checkpoints nor pushes, both of which it would do before the new one is whole.

    Yields:
        the `save_total_limit` that is meant.
    """
    limit, pushes = args.save_total_limit, args.push_to_hub
    args.save_total_limit, args.push_to_hub = None, False
    try:
        yield limit
    finally:
        args.save_total_limit, args.push_to_hub = limit, pushes


def checkpoint_name(step: int) -> str:
    """The name that Trainer gives the checkpoint of a step."""
    return f"checkpoint-{step}"


def remove_old_checkpoints(newest: Path, limit: int | None, keep: str | None) -> None:
    """Remove the checkpoints of the fewest steps beside `newest` beyond `limit`, but neither it nor `keep`."""
    kept = {newest.resolve(), *([Path(keep).resolve()] if keep else [])}
    others = [path for path in list_checkpoints(newest.parent) if path.resolve() not in kept]
    if limit is not None and limit >= 1:
        for path in others[max(0, limit - len(kept)) :]:
            shutil.rmtree(path, ignore_errors=True)


def count_parameters(model: torch.nn.Module, trainable_only: bool = False) -> int:
    """The number of a model's parameters; the parts of ZeRO-3 are counted whole."""
    return get_model_param_count(model, trainable_only)


def write_manifest(checkpoint: str | Path) -> None:
    """Write names, sizes and checksums of all files below a checkpoint folder, after flushing them to the disk.

    Call it once everything is saved, on every node's own disk: a folder with a manifest that fits is whole.
    """
    checkpoint = Path(checkpoint)
    for path in _files(checkpoint):
        with open(path, "rb+") as file:
            os.fsync(file.fileno())
    saved = {
        str(path.relative_to(checkpoint)): {"bytes": path.stat().st_size, "crc32": _checksum(path)}
        for path in _files(checkpoint)
    }
    write_json(checkpoint / MANIFEST_NAME, saved)


def remove_manifest(checkpoint: str | Path) -> None:
    """Call it before writing into a checkpoint folder that may exist: from now on it is torn until its manifest."""
    (Path(checkpoint) / MANIFEST_NAME).unlink(missing_ok=True)


def what_is_torn(checkpoint: str | Path, by_content: bool = False) -> str | None:
    """What a checkpoint folder lacks, in words; None where it is whole.

    Args:
        checkpoint: the folder.
        by_content: read the files, too: one of the right size may hold zeros after a power cut, or have been changed.
    """
    checkpoint = Path(checkpoint)
    try:
        saved = json.loads((checkpoint / MANIFEST_NAME).read_text(encoding="utf-8"))
        files = [(checkpoint / name, entry["bytes"], entry["crc32"]) for name, entry in saved.items()]
    except FileNotFoundError:
        return f"no {MANIFEST_NAME}: its saving did not finish"
    except (ValueError, TypeError, KeyError, AttributeError):
        return f"{MANIFEST_NAME} does not tell size and checksum of each file"
    for path, size, checksum in files:
        name = path.relative_to(checkpoint)
        found = path.stat().st_size if path.is_file() else None
        if found != size:
            return f"{name} has {'no file' if found is None else f'{found} bytes'} instead of {size} bytes"
        if by_content and _checksum(path) != checksum:
            return f"{name} is not what was saved: it was changed or is damaged"
    return None


def check_room(model: torch.nn.Module, args: TrainingArguments) -> None:
    """Refuse to start where the disk cannot hold the checkpoints: weights, and two float32 moments of what trains.

    DeepSpeed also saves the float32 weights that it trains and, unless ZeRO-3 shares them out, its model once more.

    Raises:
        OSError: there is too little room in `args.output_dir`.
    """
    trained = count_parameters(model, trainable_only=True)
    saved = count_parameters(model) if isinstance(model, PreTrainedModel) else trained  # of PEFT's the adapter alone
    weights = saved * max(parameter.element_size() for parameter in model.parameters())
    moments = 0 if args.save_only_model else 8 * trained
    if args.deepspeed is not None and not args.save_only_model:
        moments += 4 * trained + (0 if args.hf_deepspeed_config.is_zero3() else weights)
    # While the newest is written, as many as are kept lie beside it; and the model itself at the end.
    number = 1 if args.save_total_limit is None else args.save_total_limit + 1
    needed = number * (weights + moments) + weights
    folder = Path(args.output_dir).absolute()
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(existing).free
    if free < needed:
        raise OSError(
            f"output_dir {args.output_dir} has {free / 1e9:.2f} GB free, {number} checkpoints and the model need "
            f"{needed / 1e9:.2f} GB; free some, lower save_total_limit, or take another output_dir"
        )


def list_checkpoints(output_dir: str | Path) -> list[Path]:
    """Checkpoint folders of a run, whole or torn, the newest first."""
    pattern = re.compile(rf"{checkpoint_name(0)[:-1]}(\d+)")
    found = [(int(match[1]), path) for path in Path(output_dir).glob("*") if (match := pattern.fullmatch(path.name))]
    return [path for _, path in sorted(found, reverse=True)]


def read_resumption(asked: str | bool | None) -> str | bool | None:
    """What `resume_from_checkpoint` says: a folder, True for the last whole checkpoint, None for a new run.

    From a command line and from YAML the words true and false come as text.
    """
    words = {"true": True, "false": None}
    return words.get(asked.lower(), asked) if isinstance(asked, str) else asked


def find_checkpoint_to_resume(output_dir: str | Path, asked: str | bool | None) -> str | None:
    """The checkpoint to go on from: the folder that is asked for, or for True the last whole one; None for none.

    Raises:
        ValueError: it is not there, or torn.
    """
    asked = read_resumption(asked)
    if not asked:
        return None
    if asked is True:
        found = find_last_whole_checkpoint(output_dir)
        if found is None:
            raise ValueError(f"resume_from_checkpoint: no whole checkpoint in {output_dir}")
        return str(found)
    if not Path(asked).is_dir():
        raise ValueError(f"resume_from_checkpoint is {asked}; allowed: true, or a folder")
    torn = what_is_torn(asked, by_content=True)
    if torn:
        raise ValueError(f"resume_from_checkpoint: {asked} is torn ({torn}); allowed: true, the last whole checkpoint")
    return asked


def check_new_folder(output_dir: str | Path) -> None:
    """Raises ValueError where a folder holds a run already, which a new one would replace or mix with its own."""
    folder = Path(output_dir)
    found = [*list_checkpoints(folder), *(path for pattern in OUTPUTS for path in sorted(folder.glob(pattern)))]
    if found:
        raise ValueError(
            f"output_dir {folder} holds a run already ({found[0].name}); allowed: resume_from_checkpoint true, which "
            "goes on with it, another output_dir, or to move that one away first"
        )


def check_same_run(checkpoint: str | Path, identity: dict[str, Any]) -> None:
    """Refuse to go on from a checkpoint of another run, or from one that cannot be gone on from.

    Args:
        checkpoint: a whole one.
        identity: what this run is (`run_info.run_identity`).

    Raises:
        ValueError: it is another run's, does not say whose it is, or holds the model alone.
    """
    checkpoint = Path(checkpoint)
    if not any(path for pattern in OPTIMIZER_STATES for path in checkpoint.glob(pattern)):
        raise ValueError(
            f"resume_from_checkpoint: {checkpoint} holds the model alone (save_only_model), so its run cannot go on; "
            "allowed: a checkpoint with the optimizer's state, or a new run with model_name_or_path "
            f"{checkpoint}"
        )
    for what, patterns in OTHER_STATES.items():
        if not any(path for pattern in patterns for path in checkpoint.glob(pattern)):
            raise ValueError(f"resume_from_checkpoint: {checkpoint} has no {what}, without which its run cannot go on")
    there = read_identity(checkpoint)
    if there is None:
        raise ValueError(f"resume_from_checkpoint: {checkpoint} does not say which run it is of")
    for name in sorted(identity.keys() | there.keys()):
        if identity.get(name) != there.get(name):
            raise ValueError(
                f"resume_from_checkpoint: {checkpoint} is of another run: {name} is {there.get(name)} there and "
                f"{identity.get(name)} here; allowed: the same, or a new run in another output_dir"
            )


def read_identity(checkpoint: Path) -> dict[str, Any] | None:
    """What a checkpoint says of its run; None where it says nothing."""
    try:
        callbacks = json.loads((checkpoint / STATE_NAME).read_text(encoding="utf-8"))["stateful_callbacks"]
        identity = callbacks["RunInfoCallback"]["args"]["identity"]
    except (FileNotFoundError, KeyError, ValueError):
        return None
    return identity if isinstance(identity, dict) else None


def find_last_whole_checkpoint(output_dir: str | Path) -> Path | None:
    """The newest checkpoint that is whole; a line in the log for every torn one that is passed over."""
    for checkpoint in list_checkpoints(output_dir):
        torn = what_is_torn(checkpoint, by_content=True)
        if torn is None:
            return checkpoint
        logger.warning(f"{checkpoint.name} is torn ({torn}); looking for the one before it")
    return None


def describe_last_whole(output_dir: str | Path) -> str:
    """What a run that must stop can go on from, in words; of one that is being written nothing is said."""
    checkpoint = next((path for path in list_checkpoints(output_dir) if what_is_torn(path) is None), None)
    return f"the last good checkpoint is {checkpoint}" if checkpoint else "no checkpoint was saved before"


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST_NAME)


def _checksum(path: Path) -> int:
    checksum = 0
    with path.open("rb") as file:
        while block := file.read(BYTES_AT_ONCE):
            checksum = zlib.crc32(block, checksum)
    return checksum
