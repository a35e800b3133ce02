"""Measures what masking finds and what it masks in vain.

    python benchmarks/care_privacy.py --smilechat smile_50k.parquet

Details come from `care_data/privacy-test.jsonl`, which nobody learned from; ordinary talk from the first 20,000
dialogues of SMILECHAT, in which hardly any detail stands. Results go to benchmarks/results/care_privacy.json.
"""

import argparse
import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from care_tagger import KEPT_DIALOGUES
from measuring import circumstances, write_results

from soulchatcorpus.care.crisis import find_crisis_in_each
from soulchatcorpus.care.privacy import find_private, find_private_in_each
from soulchatcorpus.making.steps import AT_ONCE

KEPT = Path(__file__).parent / "care_data" / "privacy-test.jsonl"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smilechat", type=Path, required=True)
    options = parser.parse_args()
    rows = [json.loads(line) for line in KEPT.read_text(encoding="utf-8").splitlines()]
    authors = sorted({row["author"] for row in rows})
    details = {f"author {author}": measure([row for row in rows if row["author"] == author]) for author in authors}
    measured = {"details": {"all": measure(rows)} | details, "SMILECHAT": measure_talk(options.smilechat)}
    write_results("care_privacy", circumstances("numpy") | measured)


def measure(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """By kind how many details are covered from end to end, of how many; false spans where there is no detail."""
    wanted, covered, found, right, false, ordinary = Counter[str](), Counter[str](), 0, 0, 0, 0
    for row in rows:
        text, spans = row["text"], find_private(row["text"])
        masked = {place for span in spans for place in range(span.start, span.end)}
        for start, end, kind in row["spans"]:
            hit = all(place in masked or not text[place].isalnum() for place in range(start, end))
            for name in (kind, "all"):
                wanted[name] += 1
                covered[name] += hit
        found += len(spans)
        right += sum(any(span.start < end and start < span.end for start, end, _ in row["spans"]) for span in spans)
        if not row["spans"]:
            ordinary += 1
            false += len(spans)
    return {
        "covered": {kind: (covered[kind], wanted[kind]) for kind in sorted(wanted)},
        "spans that overlap a detail": (right, found),
        "false spans in sentences without a detail": (false, ordinary),
    }


def measure_talk(smilechat: Path) -> dict[str, Any]:
    """Spans by kind, dialogues that hold one, and microseconds of CPU time to mask and to label a dialogue."""
    import pyarrow.parquet as pq

    table = pq.read_table(smilechat, columns=["messages"])["messages"].slice(0, KEPT_DIALOGUES).to_pylist()
    texts = ["\n".join(message["content"] for message in row) for row in table]
    spans, masking = timed(find_private_in_each, texts)
    _, labelling = timed(find_crisis_in_each, texts)
    kinds = Counter(span.kind for found in spans for span in found)
    return {
        "dialogues": len(texts),
        "dialogues with a span": sum(map(bool, spans)),
        "spans for 1,000 dialogues": round(1000 * kinds.total() / len(texts), 1),
        "spans by kind": dict(kinds.most_common()),
        "characters of a dialogue": round(sum(map(len, texts)) / len(texts)),
        "microseconds for a dialogue": round(masking),
        "microseconds for the label of crisis content": round(labelling),
    }


def timed(find: Callable[[list[str]], list[Any]], texts: list[str]) -> tuple[list[Any], float]:
    """What is found in each text, in batches as the cleaning has them, and microseconds of CPU time for a text."""
    find(texts[:AT_ONCE])  # loads what was learned
    begun = time.process_time()
    found = [each for start in range(0, len(texts), AT_ONCE) for each in find(texts[start : start + AT_ONCE])]
    return found, (time.process_time() - begun) / len(texts) * 1e6


if __name__ == "__main__":
    main()
