"""Learns which runs of characters are names: soulchatcorpus/care/names.npz.

    python benchmarks/care_names.py --smilechat smile_50k.parquet [--without AUTHOR …]

Names come from `care_data/privacy-train.jsonl`, each also with others in its place, so that characters count that no
author used. What is no name comes from these sentences, from half of the messages and replies of `care_data`, and from
the later half of SMILECHAT's dialogues but for the first 20,000, which are kept for measuring. scikit-learn wanted.
"""

import argparse
import json
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from care_arrays import save_arrays
from care_examples import Sentence, read_sentences, with_others

from soulchatcorpus.care import private_names
from soulchatcorpus.care.folding import fold_characters
from soulchatcorpus.care.private_names import WEIGHT_BITS, WEIGHT_STEP, list_candidates, list_traits

DATA = Path(__file__).parent / "care_data"
NAMES = Path(private_names.__file__).with_name("names.npz")
NOT_LEARNED_FROM = 35_000
SEED = 0
COPIES, COPY_WEIGHT = 16, 0.1
REGULARISATION = 2.0
# Below the log odds of even.
THRESHOLD = -2.5


def read_talk(smilechat: Path) -> Iterator[str]:
    """Folded messages in which hardly any name stands."""
    import pyarrow.parquet as pq

    for row in pq.read_table(smilechat, columns=["messages"])["messages"].slice(NOT_LEARNED_FROM).to_pylist():
        yield fold_characters("\n".join(message["content"] for message in row)).text
    for name in ("crisis-train", "crisis-plain", "replies-train"):
        for line in (DATA / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()[1::2]:
            yield fold_characters(json.loads(line)["text"]).text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smilechat", type=Path, required=True)
    parser.add_argument("--without", type=int, nargs="*", default=[], help="leave these authors out")
    parser.add_argument("--out", type=Path, default=NAMES)
    options = parser.parse_args()
    from scipy.sparse import csr_matrix
    from sklearn.linear_model import LogisticRegression

    sentences = read_sentences(DATA / "privacy-train.jsonl", options.without)
    copies = with_others(sentences, COPIES, COPY_WEIGHT, random.Random(SEED))
    talk = (Sentence(text, [], 1.0) for text in read_talk(options.smilechat))
    columns: list[np.ndarray] = []
    labels, weights = [], []
    for text, spans, weight in (*sentences, *copies, *talk):
        names = [(start, end) for start, end, kind in spans if kind == "name"]
        candidates = list_candidates(text)
        if weight == COPY_WEIGHT:  # what stands beside the names was seen before
            candidates = [c for c in candidates if any(start < c.end and c.start < end for start, end in names)]
        if candidates:
            columns.append(list_traits(text, candidates))
            labels += [(candidate.start, candidate.end) in names for candidate in candidates]
            weights += [weight] * len(candidates)
    buckets = np.concatenate(columns)
    ends = np.arange(len(buckets) + 1) * buckets.shape[1]
    matrix = csr_matrix((np.ones(buckets.size, np.float32), buckets.ravel(), ends), (len(labels), 1 << WEIGHT_BITS))
    learner = LogisticRegression(C=REGULARISATION, solver="liblinear", random_state=SEED)
    learner.fit(matrix, labels, sample_weight=weights)
    learned = np.rint(learner.coef_[0] / WEIGHT_STEP).astype(np.int8)
    threshold = THRESHOLD - float(learner.intercept_[0])
    save_arrays(options.out, weights=learned, threshold=np.float64(threshold))
    print(f"{len(labels)} candidates, {sum(labels)} names, {options.out.stat().st_size} bytes, from {threshold:.2f}")


if __name__ == "__main__":
    main()
