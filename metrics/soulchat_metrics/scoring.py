"""From pairs of texts to scores: check, cut into tokens, count, score, aggregate."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .bleu import BLEU_NAMES, bleu_counts, bleu_scores
from .inputs import check_pairs, is_blank
from .ngrams import TokenBatch
from .rouge import ROUGE_NAMES, rouge_counts, rouge_scores, rouge_tokens
from .segment import cut_words
from .settings import Settings, Tokenizer, resolve_settings, signature

METRIC_NAMES = (*BLEU_NAMES, *ROUGE_NAMES)
_CHUNK_PAIRS = 64


@dataclass(frozen=True)
class Counts:
    """The counts of every pair, from which every score follows: int64 [num_pairs, 10] and [num_pairs, 9]."""

    bleu: NDArray[np.int64]
    rouge: NDArray[np.int64]


def score(
    predictions: Sequence[str],
    references: Sequence[str] | Sequence[Sequence[str]],
    preset: str = "paper",
    bleu_tokenizer: Tokenizer | None = None,
    rouge_tokenizer: Tokenizer | None = None,
    smoothing: str | None = None,
    aggregate: str | None = None,
    round4: bool | None = None,
    return_sentence_scores: bool = False,
) -> dict:
    """Chinese BLEU-1 to BLEU-4 and ROUGE-1, -2, -L, x100."""
    settings = resolve_settings(
        preset,
        bleu_tokenizer=bleu_tokenizer,
        rouge_tokenizer=rouge_tokenizer,
        smoothing=smoothing,
        aggregate=aggregate,
        round4=round4,
    )
    predictions, references = check_pairs(predictions, references)
    if not predictions:
        raise ValueError("there is nothing to score: no predictions and no references")
    counts = count_pairs(predictions, references, settings)
    sentences = sentence_scores(counts, settings)
    result: dict = dict(zip(METRIC_NAMES, aggregate_scores(counts, sentences, settings).tolist(), strict=True))
    result["empty_predictions"] = sum(map(is_blank, predictions))
    result["empty_references"] = sum(map(is_blank, references))
    result["mean_prediction_length"] = sum(map(len, predictions)) / len(predictions)
    result["mean_reference_length"] = sum(map(len, references)) / len(references)
    result["signature"] = signature(settings, True, "fast")
    if return_sentence_scores:
        result["sentence_scores"] = dict(zip(METRIC_NAMES, sentences.T.tolist(), strict=True))
    return result


def count_pairs(predictions: list[str], references: list[str], settings: Settings) -> Counts:
    """The counts of all pairs, a chunk at a time so that memory does not grow with their number."""
    chunks = [_count_chunk(*chunk, settings) for chunk in _chunks(predictions, references)]
    return Counts(np.concatenate([chunk.bleu for chunk in chunks]), np.concatenate([chunk.rouge for chunk in chunks]))


def sentence_scores(counts: Counts, settings: Settings) -> NDArray[np.float64]:
    """The scores of every pair by itself: float64 [num_pairs, 7]."""
    scores = np.concatenate([bleu_scores(counts.bleu, settings.smoothing), rouge_scores(counts.rouge)], axis=1)
    if settings.round4:
        return np.array([[round(value, 4) for value in row] for row in scores.tolist()])
    return scores


def aggregate_scores(counts: Counts, sentences: NDArray[np.float64], settings: Settings) -> NDArray[np.float64]:
    """The scores of all pairs together: float64 [7]."""
    if settings.aggregate == "sentence":
        return sentences.mean(axis=0)
    totals = Counts(counts.bleu.sum(axis=0, keepdims=True), counts.rouge.sum(axis=0, keepdims=True))
    return sentence_scores(totals, settings)[0]


def _chunks(predictions: list[str], references: list[str]) -> Iterator[tuple[list[str], list[str]]]:
    for start in range(0, len(predictions), _CHUNK_PAIRS):
        yield predictions[start : start + _CHUNK_PAIRS], references[start : start + _CHUNK_PAIRS]


def _count_chunk(predictions: list[str], references: list[str], settings: Settings) -> Counts:
    blank = [is_blank(p) or is_blank(r) for p, r in zip(predictions, references, strict=True)]
    if settings.bleu_tokenizer == "char":
        bleu_batch = TokenBatch.from_characters(predictions, references)
    else:
        bleu_batch = TokenBatch.from_tokens(*_cut_both(predictions, references, settings.bleu_tokenizer))
    words = _cut_both(predictions, references, settings.rouge_tokenizer)
    rouge_batch = TokenBatch.from_tokens(*([rouge_tokens(text) for text in texts] for texts in words))
    counts = Counts(bleu_counts(bleu_batch), rouge_counts(rouge_batch))
    counts.bleu[blank, :4] = 0
    return counts


def _cut_both(predictions: list[str], references: list[str], tokenizer: Tokenizer) -> tuple[list, list]:
    cut = {"char": list, "jieba": cut_words}.get(tokenizer, tokenizer)
    return [cut(text) for text in predictions], [cut(text) for text in references]
