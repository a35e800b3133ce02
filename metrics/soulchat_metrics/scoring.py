"""The scores of a system: `score`, its halves `bleu` and `rouge`, and `paired_bootstrap` between two systems."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .bleu import BLEU_NAMES, bleu_scores
from .bootstrap import paired_p_values, percentile_intervals, resample
from .counting import Counts, Progress, count_pairs
from .inputs import check_pairs, is_blank
from .reference import reference_sentence_scores
from .rouge import ROUGE_NAMES, rouge_scores
from .settings import BACKENDS, Settings, Tokenizer, check_choice, resolve_settings, signature

METRIC_NAMES = (*BLEU_NAMES, *ROUGE_NAMES)


def score(
    predictions: Iterable[str],
    references: Iterable[str] | Iterable[list[str]],
    preset: str = "paper",
    *,
    bleu_tokenizer: Tokenizer | None = None,
    rouge_tokenizer: Tokenizer | None = None,
    smoothing: str | None = None,
    aggregate: str | None = None,
    round4: bool | None = None,
    return_sentence_scores: bool = False,
    confidence: float | None = None,
    num_resamples: int = 1000,
    seed: int = 0,
    backend: str = "numpy",
    fast: bool = True,
    num_workers: int = 1,
    progress: Progress | None = None,
) -> dict:
    """Chinese BLEU-1 to BLEU-4 and ROUGE-1, -2, -L, x100 and unrounded.

    Args:
        predictions: one text a pair.
        references: one text a pair, or a list with one.
        preset: "paper" (SoulChat, Table 1), or what another project prints: "ptuning", "llamafactory", "ms-swift",
            "emollm", "longbench", "sacrebleu-zh", "sacrebleu-char"; see `RECIPES`.
        bleu_tokenizer, rouge_tokenizer, smoothing, aggregate, round4: in place of the preset's; see `Settings`.
        return_sentence_scores: adds `sentence_scores`, a list a metric.
        confidence: for example 0.95 adds `intervals`, low and high a metric, by bootstrap over the pairs.
        num_resamples, seed: of the bootstrap.
        backend: "numpy", or "reference" for nltk and rouge-chinese themselves (quadratic).
        fast: let rjieba cut the words where it is proven equal to jieba, if it is installed.
        num_workers: processes.
        progress: a function that is told now and then how many pairs are done.

    Returns:
        The seven scores; `empty_predictions` and `empty_references` (blank texts, whose pairs score 0);
        `mean_prediction_length` and `mean_reference_length` in characters; `signature`.

    Raises:
        ValueError: there is nothing to score, or a pair or an option is none that may be.
    """
    overrides = {
        "bleu_tokenizer": bleu_tokenizer,
        "rouge_tokenizer": rouge_tokenizer,
        "smoothing": smoothing,
        "aggregate": aggregate,
        "round4": round4,
    }
    settings = resolve_settings(preset, **overrides)
    predictions, references = check_pairs(predictions, references)
    system = score_pairs(predictions, references, settings, backend, fast, num_workers, progress)
    result = dict(zip(METRIC_NAMES, system.total(system.rows).tolist(), strict=True))
    result["empty_predictions"] = sum(map(is_blank, predictions))
    result["empty_references"] = sum(map(is_blank, references))
    result["mean_prediction_length"] = sum(map(len, predictions)) / len(predictions)
    result["mean_reference_length"] = sum(map(len, references)) / len(references)
    result["signature"] = signature(settings, backend, fast)
    if return_sentence_scores:
        result["sentence_scores"] = dict(zip(METRIC_NAMES, system.sentences.T.tolist(), strict=True))
    if confidence is not None:
        resampled = resample(system.total, system.rows, num_resamples, seed)
        intervals = percentile_intervals(resampled, confidence).tolist()
        result["intervals"] = dict(zip(METRIC_NAMES, intervals, strict=True))
    return result


def bleu(
    predictions: Iterable[str],
    references: Iterable[str] | Iterable[list[str]],
    *,
    tokenizer: Tokenizer = "char",
    smoothing: str = "method3",
    aggregate: str = "sentence",
) -> dict[str, float]:
    """BLEU-1 to BLEU-4 of `score`, by themselves."""
    result = score(predictions, references, bleu_tokenizer=tokenizer, smoothing=smoothing, aggregate=aggregate)
    return {name: result[name] for name in BLEU_NAMES}


def rouge(
    predictions: Iterable[str],
    references: Iterable[str] | Iterable[list[str]],
    *,
    tokenizer: Tokenizer = "jieba",
    aggregate: str = "sentence",
) -> dict[str, float]:
    """ROUGE-1, -2 and -L of `score`, by themselves."""
    result = score(predictions, references, rouge_tokenizer=tokenizer, aggregate=aggregate)
    return {name: result[name] for name in ROUGE_NAMES}


def paired_bootstrap(
    predictions: Iterable[str],
    other_predictions: Iterable[str],
    references: Iterable[str] | Iterable[list[str]],
    preset: str = "paper",
    *,
    num_resamples: int = 1000,
    seed: int = 0,
    **overrides: Any,
) -> dict[str, dict[str, float]]:
    """Whether two systems differ by more than chance, on the same references (Koehn, 2004).

    Args:
        predictions, other_predictions: of the two systems, in the order of the references.
        references: one text a pair, or a list with one.
        preset, overrides: as `score`.
        num_resamples, seed: of the bootstrap.

    Returns:
        For each of the seven metrics `score`, `other_score`, `difference` (first less second) and `p_value`.

    Raises:
        ValueError: as `score`.
    """
    settings = resolve_settings(preset, **overrides)
    predictions, checked = check_pairs(predictions, references)
    other_predictions, _ = check_pairs(other_predictions, checked)
    systems = [score_pairs(texts, checked, settings) for texts in (predictions, other_predictions)]
    totals = [system.total(system.rows) for system in systems]
    resampled = [resample(system.total, system.rows, num_resamples, seed) for system in systems]
    p_values = paired_p_values(totals[0] - totals[1], resampled[0] - resampled[1])
    columns = np.stack([*totals, totals[0] - totals[1], p_values], axis=1).tolist()
    keys = ("score", "other_score", "difference", "p_value")
    return {name: dict(zip(keys, row, strict=True)) for name, row in zip(METRIC_NAMES, columns, strict=True)}


@dataclass(frozen=True)
class SystemScores:
    """The scores of one system's pairs, and what is needed to score any of them together.

    Attributes:
        sentences: float64 [num_pairs, 7].
        counts: of every pair; None where a score of a corpus is not asked for.
        rows: int64, the pairs that count.
        settings: as asked for.
    """

    sentences: NDArray[np.float64]
    counts: Counts | None
    rows: NDArray[np.int64]
    settings: Settings

    def total(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """The scores of these pairs together: float64 [7]."""
        if self.counts is None:
            return self.sentences[rows].mean(axis=0)
        bleu = self.counts.bleu[rows].sum(axis=0, keepdims=True)
        rouge = self.counts.rouge[rows].sum(axis=0, keepdims=True)
        return np.concatenate([bleu_scores(bleu, self.settings.smoothing), rouge_scores(rouge)], axis=1)[0]


def score_pairs(
    predictions: list[str],
    references: list[str],
    settings: Settings,
    backend: str = "numpy",
    fast: bool = True,
    num_workers: int = 1,
    progress: Progress | None = None,
) -> SystemScores:
    """Score checked pairs.

    Raises:
        ValueError: no pair counts, or an option is none that may be.
    """
    check_choice("backend", backend, BACKENDS)
    skip = settings.empty_references == "skip"
    rows = [row for row, reference in enumerate(references) if not (skip and is_blank(reference))]
    if not rows:
        raise ValueError(f"there is nothing to score: {len(predictions)} predictions, and no reference that counts")
    counts = None
    if backend == "reference":
        sentences = reference_sentence_scores(predictions, references, settings, num_workers, progress)
    else:
        counts = count_pairs(predictions, references, settings, fast, num_workers, progress)
        sentences = np.concatenate([bleu_scores(counts.bleu, settings.smoothing), rouge_scores(counts.rouge)], axis=1)
    if settings.round4:
        sentences = np.array([[round(value, 4) for value in row] for row in sentences.tolist()])
    of_corpus = settings.aggregate == "corpus"
    return SystemScores(sentences, counts if of_corpus else None, np.array(rows, dtype=np.int64), settings)
