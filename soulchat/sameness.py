"""How much alike the replies of a corpus are: what `soulchat corpus stats` writes as sameness.json.

Whether an opening comes again, and what self-BLEU is, depends on how many replies there are. So all is measured on a
sample, and two corpora are compared on samples of one size.
"""

import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from soulchat_metrics.bootstrap import percentile_intervals, resample
from soulchat_metrics.self_bleu import self_bleu
from soulchatcorpus.files import working_in, write_json
from soulchatcorpus.making.stats import is_empathy_then_advice, read_replies

SAMPLE = 2_000  # replies
CONFIDENCE = 0.95
RESAMPLES = 1_000
FIRST = 5  # characters, for the entropy of how replies begin
LONGEST_EDGE = 20  # characters of an opening or a closing
MOST_OPENINGS = 10  # told by their words

MEASURES = (
    "repeated openings",
    "repeated closings",
    "entropy of the first five characters",
    "self-BLEU",
    "with a list",
    "empathy, then advice",
)

_PUNCTUATION = "，。！？；：、…,.!?;:~～—\n"
_EDGES = re.compile(f"[{re.escape(_PUNCTUATION)}]+")
_LIST = re.compile(
    r"^\s*(?:[-*•·]|\d{1,2}\s*[.、．)）:：]|[(（]\d{1,2}[)）]|[一二三四五六七八九十][、.]|[①-⑩])\s*\S"
    r"|首先.+(?:其次|然后|再次|最后)|第一[，、,].+第二[，、,]",
    re.MULTILINE | re.DOTALL,
)


class Reply(NamedTuple):
    """A reply, and the number of the conversation that it is from."""

    conversation: int
    text: str


def write_sameness(source: Path, out: Path, compare: Path | None, seed: int) -> dict:
    """Measure the sameness of `source`, beside that of `compare`, into `out`/sameness.json; what stands there.

    A corpus of fewer than two replies has no measures.

    Raises:
        OSError: another run is at work in `out`.
    """
    replies = sample_replies(source, seed)
    found = {"seed": seed, "replies": len(replies), "measures": {}}
    if len(replies) > 1:
        found |= describe_sameness(replies, seed)
    if compare is not None:
        others = sample_replies(compare, seed)
        if min(len(replies), len(others)) > 1:
            found["compared"] = compare_sameness(replies, others, seed)
    with working_in(out, "soulchat corpus stats"):
        write_json(out / "sameness.json", found)
    return found


def sample_replies(source: Path, seed: int, size: int = SAMPLE) -> list[Reply]:
    """So many replies of a corpus, each as likely as any other, in an order of chance; all where there are fewer."""
    drawn, chosen, read = random.Random(seed), list[Reply](), 0
    for number, replies in enumerate(read_replies(source)):
        for text in replies:
            read += 1
            if len(chosen) < size:
                chosen.append(Reply(number, text))
            elif (place := drawn.randrange(read)) < size:
                chosen[place] = Reply(number, text)
    drawn.shuffle(chosen)
    return chosen


def measure(replies: Sequence[Reply]) -> NDArray[np.float64]:
    """Each of `MEASURES` of each reply among the others, whose mean is the sample's: float64 [replies, measures].

    Shares are of 0 and 1, the entropy is the surprise at a reply's beginning in bits, self-BLEU is x100.
    """
    texts = [reply.text for reply in replies]
    columns = [
        _repeated([find_opening(text) for text in texts]),
        _repeated([find_closing(text) for text in texts]),
        _surprise([text[:FIRST] for text in texts]),
        self_bleu(texts),
        [_LIST.search(text) is not None for text in texts],
        [is_empathy_then_advice(text) for text in texts],
    ]
    return np.stack([np.asarray(column, np.float64) for column in columns], axis=1)


def describe_sameness(replies: Sequence[Reply], seed: int) -> dict:
    """The mean of each measure with its interval, and the commonest openings by their words."""
    corpus = _Corpus(replies)
    rows = np.arange(corpus.conversations)
    intervals = percentile_intervals(resample(corpus.means, rows, RESAMPLES, seed), CONFIDENCE)
    openings = Counter(find_opening(reply.text) for reply in replies).most_common(MOST_OPENINGS)
    return {
        "replies": len(replies),
        "measures": {
            name: {"value": float(value), "low": float(low), "high": float(high)}
            for name, value, (low, high) in zip(MEASURES, corpus.means(rows), intervals, strict=True)
        },
        "openings": {opening: times for opening, times in openings if times > 1},
    }


def compare_sameness(this: Sequence[Reply], other: Sequence[Reply], seed: int) -> dict:
    """The measures of two corpora on samples of one size, and their difference (other's less this one's)."""
    size = min(len(this), len(other))
    sides = [_Corpus(side[:size]) for side in (this, other)]
    values = [side.means(np.arange(side.conversations)) for side in sides]
    # Other seeds: corpora are drawn independently of each other.
    draws = [
        resample(side.means, np.arange(side.conversations), RESAMPLES, seed + number)
        for number, side in enumerate(sides)
    ]
    intervals = percentile_intervals(draws[1] - draws[0], CONFIDENCE)
    return {
        "replies": size,
        "measures": {
            name: {"this": a, "other": b, "difference": b - a, "low": low, "high": high}
            for name, a, b, (low, high) in zip(
                MEASURES, *(side.tolist() for side in values), intervals.tolist(), strict=True
            )
        },
    }


def tell_sameness(found: dict) -> Iterator[str]:
    """What `write_sameness` found, line by line."""
    compared = found.get("compared", {})
    yield f"sameness of {found['replies']:,} replies, with 95 % intervals"
    if not found["measures"]:
        yield "  not measured: a reply is compared with the others, and there are fewer than two"
    for name, one in found["measures"].items():
        yield f"  {name}: {one['value']:.3g} ({one['low']:.3g} to {one['high']:.3g})"
    if compared:
        yield f"compared on {compared['replies']:,} replies of each: this, other, difference with 95 % interval"
    for name, two in compared.get("measures", {}).items():
        ends = f"{two['low']:+.3g} to {two['high']:+.3g}"
        yield f"  {name}: {two['this']:.3g}, {two['other']:.3g}, {two['difference']:+.3g} ({ends})"


class _Corpus:
    """The measures of a sample, summed by conversation: replies of one talk are alike, so talks are what is drawn."""

    def __init__(self, replies: Sequence[Reply]) -> None:
        numbers, inside = np.unique([reply.conversation for reply in replies], return_inverse=True)
        self.conversations = len(numbers)
        self._sums = np.zeros((len(numbers), len(MEASURES)))
        np.add.at(self._sums, inside, measure(replies))
        self._counts = np.bincount(inside)

    def means(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """The means over the replies of the conversations with these numbers: float64 [measures]."""
        return self._sums[rows].sum(axis=0) / self._counts[rows].sum()


def find_opening(text: str) -> str:
    """The words before the first mark of punctuation, or the first of them."""
    return _pieces(text)[0][:LONGEST_EDGE]


def find_closing(text: str) -> str:
    """The words after the last mark of punctuation but the one that ends the text, or the last of them."""
    return _pieces(text)[-1][-LONGEST_EDGE:]


def _pieces(text: str) -> list[str]:
    return _EDGES.split(text.strip().strip(_PUNCTUATION))


def _repeated(edges: list[str]) -> list[bool]:
    times = Counter(edges)
    return [times[edge] > 1 for edge in edges]


def _surprise(beginnings: list[str]) -> NDArray[np.float64]:
    times = Counter(beginnings)
    return -np.log2([times[beginning] / len(beginnings) for beginning in beginnings])
