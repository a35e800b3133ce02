"""The reference stack itself, for whoever doubts: BLEU of nltk or sacrebleu, ROUGE of rouge-chinese or rouge."""

import warnings
from functools import partial
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from .counting import Progress, cutter, map_chunks
from .inputs import is_blank
from .settings import Settings, Tokenizer

_SACREBLEU_SMOOTHINGS = {"method0": "none", "method1": "floor", "method2": "add-k", "method3": "exp"}
_WEIGHTS = [(1.0,), (1 / 2, 1 / 2), (1 / 3, 1 / 3, 1 / 3), (1 / 4, 1 / 4, 1 / 4, 1 / 4)]


def reference_sentence_scores(
    predictions: list[str],
    references: list[str],
    settings: Settings,
    num_workers: int,
    progress: Progress | None = None,
) -> NDArray[np.float64]:
    """BLEU-1 to -4 and ROUGE-1, -2, -L of every pair, x100: float64 [num_pairs, 7].

    Raises:
        ValueError: the settings ask for the scores of a corpus, which the reference has for BLEU only.
        ModuleNotFoundError: nltk, sacrebleu, rouge-chinese or rouge is not installed.
    """
    if settings.aggregate != "sentence":
        raise ValueError('backend="reference" scores sentences; it has no corpus ROUGE')
    for package in (settings.bleu_library, settings.rouge_library):
        if find_spec(package.replace("-", "_")) is None:
            raise ModuleNotFoundError(
                f'{package} is not installed; allowed: backend="numpy", or pip install {package}', name=package
            )
    chunks = map_chunks(partial(_score_chunk, settings=settings), predictions, references, num_workers, progress)
    return np.concatenate(chunks)


def _score_chunk(predictions: list[str], references: list[str], settings: Settings) -> NDArray[np.float64]:
    scores = [_score_pair(*pair, settings) for pair in zip(predictions, references, strict=True)]
    return 100 * np.array(scores, dtype=np.float64)


def _score_pair(prediction: str, reference: str, settings: Settings) -> list[float]:
    if is_blank(prediction) or is_blank(reference):
        return [0.0] * 7
    bleu_of = _nltk_bleu if settings.bleu_library == "nltk" else _sacrebleu
    bleu = bleu_of(*_cut(prediction, reference, settings.bleu_tokenizer), settings.smoothing)
    return bleu + _rouge(*_cut(prediction, reference, settings.rouge_tokenizer), settings.rouge_library)


def _cut(prediction: str, reference: str, tokenizer: Tokenizer) -> tuple[list[str], list[str]]:
    cut = cutter(tokenizer, fast=False)
    return cut(prediction), cut(reference)


def _nltk_bleu(prediction: list[str], reference: list[str], smoothing: str) -> list[float]:
    from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # method0 warns of every missing order
        smooth = getattr(SmoothingFunction(), smoothing)
        return sentence_bleu([reference], prediction, weights=_WEIGHTS, smoothing_function=smooth)


def _sacrebleu(prediction: list[str], reference: list[str], smoothing: str) -> list[float]:
    from sacrebleu.metrics import BLEU

    numbers = {token: str(number) for number, token in enumerate({*prediction, *reference})}  # spaces may be in tokens
    texts = [" ".join(numbers[token] for token in tokens) for tokens in (prediction, reference)]
    name = _SACREBLEU_SMOOTHINGS[smoothing]
    metrics = [BLEU(tokenize="none", force=True, smooth_method=name, max_ngram_order=order) for order in range(1, 5)]
    return [metric.corpus_score(texts[:1], [texts[1:]]).score / 100 for metric in metrics]


def _rouge(prediction: list[str], reference: list[str], library: str) -> list[float]:
    if library == "rouge":
        from rouge import Rouge
    else:
        from rouge_chinese import Rouge

    try:
        [scores] = Rouge().get_scores(" ".join(prediction), " ".join(reference))
    except ValueError:  # "Hypothesis is empty.": a text that is nothing but full stops, for one
        return [0.0] * 3
    return [scores[name]["f"] for name in ("rouge-1", "rouge-2", "rouge-l")]
