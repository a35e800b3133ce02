"""`compute_metrics` for transformers' and TRL's trainers: token ids become texts, and the texts scores."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .scoring import METRIC_NAMES, score

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import EvalPrediction, PreTrainedTokenizerBase

IGNORE_INDEX = -100  # of transformers: padding, and labels without loss
_END_OF_THINKING, _THINKING = "</think>", "<think>"


class ComputeMetrics:
    """The scores of `soulchat_metrics.score` for `Trainer(compute_metrics=ComputeMetrics(tokenizer))`.

    Token ids of -100 and special tokens are left out, and so is what a model thinks before it replies.

    With `predict_with_generate` a causal model returns its prompt, too; `include_for_metrics=["inputs"]` in the
    training arguments lets it be left out. A trainer that does not generate (`Trainer`, TRL's `SFTTrainer`) gives
    logits, and takes `preprocess_logits_for_metrics=likeliest_tokens` beside this.

    Args:
        tokenizer: turns ids into text.
        preset, options: as `score`.

    Raises:
        ValueError, TypeError: `score` refuses the preset or an option, which is told when this is made and not after
            the first epoch; later, the predictions are no token ids.
    """

    def __init__(self, tokenizer: "PreTrainedTokenizerBase", preset: str = "paper", **options: Any):
        score(["。"], ["。"], preset, **options)
        self.tokenizer = tokenizer
        self.preset = preset
        self.options = options
        self._texts: tuple[list[str], list[str]] = ([], [])

    def __call__(self, eval_prediction: "EvalPrediction", compute_result: bool = True) -> dict[str, float]:
        """The scores; with `batch_eval_metrics` nothing until the last batch, `compute_result` True, has come."""
        predictions, references = self._texts
        rows = [*_token_ids(eval_prediction.predictions)]
        if eval_prediction.inputs is not None:
            rows = [*map(_without_prompt, rows, np.asarray(eval_prediction.inputs))]
        predictions += map(without_thinking, self._decode(rows))
        references += map(without_thinking, self._decode([*np.asarray(eval_prediction.label_ids)]))
        if not compute_result:
            return {}
        self._texts = ([], [])
        scores = score(predictions, references, self.preset, **self.options)
        names = (*METRIC_NAMES, "empty_predictions", "mean_prediction_length", "mean_reference_length")
        return {name: scores[name] for name in names}

    def _decode(self, rows: Sequence[NDArray]) -> list[str]:
        kept = [row[row != IGNORE_INDEX].tolist() for row in rows]
        return self.tokenizer.batch_decode(kept, skip_special_tokens=True)


def likeliest_tokens(logits: "Tensor | tuple[Tensor, ...]", labels: "Tensor") -> "Tensor":
    """For `preprocess_logits_for_metrics`: the likeliest token at each label, instead of logits of all of them.

    Each is chosen with the reference's own tokens before it, so scores of these are far above those of replies that a
    model writes by itself, and compare with one another only.

    Args:
        logits: [batch, length, vocabulary], or a tuple that begins with them.
        labels: [batch, length], -100 where there is no label.

    Returns:
        int64 [batch, length - 1], -100 where there is no label.
    """
    scores = logits[0] if isinstance(logits, tuple) else logits
    return scores[:, :-1].argmax(dim=-1).masked_fill(labels[:, 1:] == IGNORE_INDEX, IGNORE_INDEX)


def without_thinking(text: str) -> str:
    """A reply without the thinking before it: none where the thinking does not end."""
    _, end, reply = text.rpartition(_END_OF_THINKING)
    if not end and text.lstrip().startswith(_THINKING):
        return ""
    return reply.lstrip() if end else text


def _token_ids(predictions: Any) -> NDArray:
    ids = np.asarray(predictions[0] if isinstance(predictions, tuple) else predictions)
    if ids.ndim != 2 or not np.issubdtype(ids.dtype, np.integer):
        raise ValueError(
            f"predictions are {ids.dtype} of shape {list(ids.shape)}; allowed: token ids [samples, length], by "
            "predict_with_generate or preprocess_logits_for_metrics=soulchat_metrics.likeliest_tokens"
        )
    return ids


def _without_prompt(ids: NDArray, prompt: NDArray) -> NDArray:
    prompt = prompt[prompt != IGNORE_INDEX]  # the trainer pads so where batches differ in length
    is_there = np.array_equal(ids[: len(prompt)], prompt)
    return ids[len(prompt) :] if is_there else ids
