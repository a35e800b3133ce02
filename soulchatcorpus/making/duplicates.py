"""Near duplicates by MinHash: datatrove's four stages, with characters as words and the signatures computed in numpy.

Two texts share a bucket of seven hashes with probability s^7, s being the Jaccard similarity of their sets of five
characters; with 10 buckets a pair of s = 0.8 is found with probability 0.91, one of s = 0.5 with 0.08.
"""

from pathlib import Path

import numpy as np
from datatrove.data import DocumentsPipeline
from datatrove.pipeline.base import PipelineStep
from datatrove.pipeline.dedup import MinhashConfig, MinhashDedupBuckets, MinhashDedupCluster, MinhashDedupSignature
from datatrove.utils.hashing import HashConfig
from datatrove.utils.word_tokenizers import WordTokenizer

from ..sketch import RUN, hash_runs, squeeze

# 32-bit hashes cost a third of 64-bit ones, and a signature of seven still has 224 bits.
CONFIG = MinhashConfig(n_grams=RUN, num_buckets=10, hashes_per_bucket=7, hash_config=HashConfig(precision=32))
BUCKETS = CONFIG.num_buckets
ANSWER = "\x1f"


class _Characters(WordTokenizer):
    """Satisfies datatrove, which requires a tokenizer; the shingles are made without one."""

    def word_tokenize(self, text: str) -> list[str]:
        return list(text)

    def sent_tokenize(self, text: str) -> list[str]:
        return [text]

    def span_tokenize(self, text: str) -> list[tuple[int, int]]:
        return [(0, len(text))]


class CharacterSignature(MinhashDedupSignature):
    """The first stage: signatures over runs of five characters, ignoring white space."""

    def get_shingles(self, text: str) -> np.ndarray:
        """The hashes of all runs of `n_grams` characters, uint32 [n, 1]; equal runs have equal hashes, and may repeat.

        The text before `ANSWER` contributes its smallest hashes, at most half as many as the text after it, so that
        different answers to one long question are not near duplicates.
        """
        question, _, answer = text.rpartition(ANSWER)
        shingles = hash_runs(squeeze(answer))
        if question:
            shingles = np.concatenate([np.unique(hash_runs(squeeze(question)))[: len(shingles) // 2], shingles])
        return shingles.reshape(-1, 1)

    def get_signature(self, shingles: np.ndarray) -> list[list[int]]:
        """The smallest of each multiply-add hash (modulo 2^32: no division), by bucket."""
        factors, terms = (parameter.astype(np.uint32) for parameter in self.parameters)
        hashes = shingles * (factors | np.uint32(1))
        hashes += terms
        return hashes.min(axis=0).reshape(self.config.num_buckets, -1).tolist()


def sign(folder: Path) -> PipelineStep:
    """Stage 1: the signatures of the documents that reach it."""
    return CharacterSignature(str(folder / "signatures"), CONFIG, language=_Characters())


def find_pairs(folder: Path) -> PipelineStep:
    """Stage 2, `BUCKETS` tasks: pairs that share a bucket."""
    return MinhashDedupBuckets(
        str(folder / "signatures"),
        str(folder / "pairs"),
        config=CONFIG,
        only_dedup_in_index=False,
        lines_to_buffer=1000,
    )


def join_pairs(folder: Path) -> PipelineStep:
    """Stage 3, one task: clusters of pairs, and which of each to remove."""
    return MinhashDedupCluster(str(folder / "pairs"), str(folder / "remove"), config=CONFIG)


class MarkAnswer(PipelineStep):
    """Before stage 1: `ANSWER` between a question and its answer."""

    type, name = "CLEAN", "mark_answer"

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> DocumentsPipeline:
        for document in data:
            record = document.metadata["record"]
            if "messages" not in record:
                document.text = f"{record['question']}{ANSWER}{record['answer']}"
            yield document


class RemoveNearDuplicates(PipelineStep):
    """Stage 4: mark all but one document of each cluster as dropped."""

    type, name = "CLEAN", "near_duplicate"

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder / "remove"

    def run(self, data: DocumentsPipeline, rank: int = 0, world_size: int = 1) -> DocumentsPipeline:
        file = self.folder / f"{rank:06d}.remove"
        remove = set(np.fromfile(file, dtype="<u4").tolist()) if file.exists() else set()
        for number, document in enumerate(data):
            if number in remove:
                document.metadata["dropped"] = ("near_duplicate", "similar_text")
                document.metadata["counts"].append(("near_duplicate", "similar_text", "drop"))
            yield document
