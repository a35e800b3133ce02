"""The bar of a run that sends requests."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from soulchatcorpus.making.requests import Progress


@contextmanager
def progress_bar(unit: str) -> Iterator[Callable[["Progress"], None]]:
    """A bar that moves with the records done and tells the cost; yields what a run calls with its progress."""
    from tqdm.auto import tqdm

    # Not before the source is known to be whole: tqdm shows nothing until its first update.
    with tqdm(unit=unit, delay=0.001) as bar:

        def show(progress: "Progress") -> None:
            bar.total = progress.total
            bar.set_postfix_str(f"${progress.cost:.4f}", refresh=False)
            bar.update(progress.done - bar.n)

        yield show
