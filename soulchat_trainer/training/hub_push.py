"""Checkpoints to the Hub while training goes on: with the filled card, the last one always, and never at its cost."""

import os
import shutil
import tempfile
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from transformers.utils import logging

from hub_cards.model import OURS, stage_model
from hub_cards.publish import Target, check_repo_id, publish_folder
from hub_cards.results import RESULTS_FILE, Results

from .arguments import SoulChatTrainingArguments

logger = logging.get_logger(__name__)


class HubPusher:
    """Publishes snapshots of a model one after the other in a thread of its own.

    A snapshot is made of hard links, so the checkpoint may be deleted meanwhile. While one is being sent only the
    newest of those that follow waits. Each is tried again for about a minute (`hub_cards.publish`); what still fails
    is told in a line and does not stop training.

    Args:
        target: the repository; it is made at the first push.
        base_model: Hub name or folder of the model that training started from.
    """

    def __init__(self, target: Target, base_model: str | None = None):
        check_repo_id(target.repo_id)
        self.target = target
        self.base_model = base_model
        self.sender = ThreadPoolExecutor(max_workers=1, thread_name_prefix="hub-push")
        self.last: Future | None = None

    def submit(self, folder: Path, results: Results) -> None:
        """Send the model in `folder`, described by `results`, as soon as the one before is through."""
        if self.last is not None:
            self.last.cancel()
        self.last = self.sender.submit(self._send, take_snapshot(folder, results), folder)

    def finish(self) -> None:
        """Wait until the last one is sent, or has failed for good."""
        self.sender.shutdown(wait=True)

    def _send(self, snapshot: tempfile.TemporaryDirectory, folder: Path) -> None:
        with snapshot, tempfile.TemporaryDirectory() as staged:
            try:
                stage_model(Path(snapshot.name), Path(staged), repo_id=self.target.repo_id, base_model=self.base_model)
                publish_folder(Path(staged), self.target, is_rendered=True)
            except Exception as error:  # nobody reads the future's result, and no push may cost the training
                logger.warning(
                    f"push to {self.target.repo_id} failed ({' '.join(str(error).split())}); training goes on, and "
                    f"the files are in {folder}"
                )


def make_pusher(
    args: SoulChatTrainingArguments, base: str | None, token: str | None = None, private: bool | None = None
) -> HubPusher:
    """The pusher that the arguments ask for; `base` is what the model was loaded from.

    Raises:
        ValueError: a token stands in the arguments; optimizer states are to be pushed; there is no user/name; the
            base is a folder, which the card cannot name.
    """
    if args.hub_token or token:
        raise ValueError(
            "hub_token: log in with `hf auth login` or set HF_TOKEN; a token in arguments is written down"
        )
    if args.hub_strategy not in ("end", "every_save"):
        raise ValueError(
            f"hub_strategy is {args.hub_strategy.value}; allowed: end or every_save. Optimizer states stay here"
        )
    if args.hub_model_id is None or "/" not in args.hub_model_id:
        raise ValueError(f"push_to_hub needs hub_model_id as user/name, found {args.hub_model_id}")
    base = args.hub_base_model or base or None
    if base is not None and Path(base).is_dir():
        raise ValueError(
            f"push_to_hub: the model was loaded from the folder {base}, and its card must name the base; say with "
            "hub_base_model what it is on the Hub"
        )
    private = bool(args.hub_private_repo if private is None else private)
    target = Target(args.hub_model_id, "model", revision=args.hub_revision or "main", private=private, ours=OURS)
    return HubPusher(target, base)


def take_snapshot(folder: Path, results: Results) -> tempfile.TemporaryDirectory:
    """Hard links to the files of a model beside it, with `results` as its results.json; they go with the object."""
    snapshot = tempfile.TemporaryDirectory(prefix=".push-", dir=folder.parent)
    for path in folder.iterdir():
        if path.is_file() and path.name != RESULTS_FILE:
            try:
                os.link(path, Path(snapshot.name) / path.name)
            except OSError:  # a file system without hard links
                shutil.copy2(path, snapshot.name)
    results.write(Path(snapshot.name) / RESULTS_FILE)
    return snapshot
