"""From pairs of texts to counts: cut into tokens, compare, a chunk at a time."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import starmap
from multiprocessing import get_all_start_methods, get_context
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .bleu import bleu_counts
from .inputs import is_blank
from .mteval import character_tokens, mteval_zh_tokens
from .ngrams import TokenBatch
from .pltrdy import pltrdy_rouge_counts
from .rouge import keeps_its_words, rouge_counts, rouge_tokens
from .settings import Settings, Tokenizer

# Large enough that numpy's cost a call vanishes, small enough that the arrays stay in the processor's cache.
_CHUNK_CHARACTERS = 1 << 16

Progress = Callable[[int], object]

_in_worker: dict[str, Callable] = {}  # what a forked process calls; sent to it for each chunk, it would be pickled


@dataclass(frozen=True)
class Counts:
    """The counts of every pair, from which every score follows: int64 [num_pairs, 10] and [num_pairs, 9]."""

    bleu: NDArray[np.int64]
    rouge: NDArray[np.int64]


def count_pairs(
    predictions: list[str],
    references: list[str],
    settings: Settings,
    fast: bool,
    num_workers: int,
    progress: Progress | None = None,
) -> Counts:
    """The counts of all pairs."""
    count = partial(_count_chunk, settings=settings, fast=fast)
    chunks = map_chunks(count, predictions, references, num_workers, progress)
    return Counts(np.concatenate([chunk.bleu for chunk in chunks]), np.concatenate([chunk.rouge for chunk in chunks]))


def map_chunks(
    function: Callable,
    predictions: list[str],
    references: list[str],
    num_workers: int,
    progress: Progress | None = None,
) -> list:
    """`function(predictions, references)` of each chunk of pairs, in order.

    Args:
        progress: is told, after each chunk, how many pairs are done.

    Raises:
        ValueError: there are to be several workers where processes cannot be forked.
    """
    chunks = [*_chunks(predictions, references)]
    if num_workers == 1:
        return _collect(starmap(function, chunks), chunks, progress)
    if num_workers < 1 or "fork" not in get_all_start_methods():
        raise ValueError(f"num_workers is {num_workers}; allowed: 1, or more where processes can be forked")
    cutter("jieba", fast=True)  # loads jieba's dictionary once, before there are several processes
    # Forked processes have the caller's jieba dictionary, with the words added to it, and functions of any kind.
    with ProcessPoolExecutor(
        num_workers, mp_context=get_context("fork"), initializer=_start_worker, initargs=(function,)
    ) as pool:
        return _collect(pool.map(_call_in_worker, *zip(*chunks, strict=True)), chunks, progress)


def _collect(results: Iterable[Any], chunks: list[tuple[list[str], list[str]]], progress: Progress | None) -> list:
    collected, done = [], 0
    for result, (predictions, _) in zip(results, chunks, strict=True):
        collected.append(result)
        done += len(predictions)
        if progress is not None:
            progress(done)
    return collected


def _start_worker(function: Callable) -> None:
    _in_worker["function"] = function


def _call_in_worker(predictions: list[str], references: list[str]) -> Any:
    return _in_worker["function"](predictions, references)


def cutter(tokenizer: Tokenizer, fast: bool) -> Callable[[str], list[str]]:
    """The function that a tokenizer's name stands for."""
    if callable(tokenizer):
        return tokenizer
    if tokenizer == "char":
        return list
    if tokenizer == "sacrebleu-char":
        return character_tokens
    if tokenizer == "sacrebleu-zh":
        return mteval_zh_tokens
    from .segment import word_cutter  # jieba takes longer to import than all of ours

    cut = word_cutter(fast)
    if tokenizer == "jieba":
        return cut
    if tokenizer == "jieba-after-removing-spaces":
        return lambda text: cut(text.replace(" ", ""))
    return lambda text: [stripped for word in cut(text) if (stripped := word.strip(" "))]


def _chunks(predictions: list[str], references: list[str]) -> Iterator[tuple[list[str], list[str]]]:
    start = size = 0
    for row, pair in enumerate(zip(predictions, references, strict=True)):
        size += sum(map(len, pair))
        if size >= _CHUNK_CHARACTERS or row + 1 == len(predictions):
            yield predictions[start : row + 1], references[start : row + 1]
            start, size = row + 1, 0


def _count_chunk(predictions: list[str], references: list[str], settings: Settings, fast: bool) -> Counts:
    cut_rouge = cutter(settings.rouge_tokenizer, fast)
    words = [cut_rouge(text) for text in predictions], [cut_rouge(text) for text in references]
    if settings.bleu_tokenizer == "char":
        bleu_batch = TokenBatch.from_characters(predictions, references)
    elif settings.bleu_tokenizer == settings.rouge_tokenizer:
        bleu_batch = TokenBatch.from_tokens(*words)
    else:
        cut_bleu = cutter(settings.bleu_tokenizer, fast)
        bleu_batch = TokenBatch.from_tokens([*map(cut_bleu, predictions)], [*map(cut_bleu, references)])
    bleu = bleu_counts(bleu_batch, settings.bleu_library)
    if settings.rouge_library == "rouge":
        rouge = pltrdy_rouge_counts(*words)
    else:
        texts = zip((predictions, references), words, strict=True)
        rouge = rouge_counts(TokenBatch.from_tokens(*(_rouge_tokens(*both, settings) for both in texts)))
    blank = [
        is_blank(prediction) or is_blank(reference)
        for prediction, reference in zip(predictions, references, strict=True)
    ]
    bleu[blank, :4] = 0
    rouge[blank, ::3] = 0
    return Counts(bleu, rouge)


def _rouge_tokens(texts: list[str], words: list[list[str]], settings: Settings) -> list[list[str]]:
    if settings.rouge_tokenizer != "jieba":
        return [rouge_tokens(tokens) for tokens in words]
    return [
        tokens if keeps_its_words(text) else rouge_tokens(tokens) for text, tokens in zip(texts, words, strict=True)
    ]
