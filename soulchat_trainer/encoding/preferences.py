"""Preferences to token ids and batches: a prompt once, then both replies to it, in one row.

    tokens     context … | chosen … <eos> | rejected … <eos>
    segments   0       0 | 1            1 | 2              2

Both replies see the context and themselves, not each other, and count their positions from the context's end; so the
context, most of a talk, is computed once for two replies instead of twice (`share`). Where a model cannot take such a
mask the row is parted into two ordinary ones (`part`). The second reply of KTO is one to another prompt, by which its
baseline is measured.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from datasets import Dataset, Features, List, Value
from torch import Tensor
from transformers import PreTrainedConfig

from soulchatcorpus.reading.pairs import reply_message

from ..chatglm import ChatGLMConfig
from ..chatglm.prefix_lm import make_position_ids
from ..data import TrainingConversation
from .collator import IGNORED_LABEL, PaddingCollator, describe_cuts
from .spans import CUT_COLUMNS, Encoder, map_rows

REPLIES = (1, 2)  # their segments
NO_SEGMENT = -1  # padding

ENCODED_FEATURES = Features(
    {
        "context": List(Value("int32")),
        "first": List(Value("int32")),
        "second": List(Value("int32")),
        "is_good": Value("bool"),
        **{column: Value("int32") for column in CUT_COLUMNS},
    }
)


def encode_preferences(dataset: Dataset, encoder: Encoder, num_proc: int | None = None) -> Dataset:
    """Rows of pairs (`PAIR_FEATURES`) or of judged replies (`JUDGED_FEATURES`) to rows of `ENCODED_FEATURES`.

    Raises:
        ValueError: a judged reply has no reply to another prompt beside it, since all prompts are one.
    """
    if "label" in dataset.column_names:
        dataset = _add_other_replies(dataset)
    return map_rows(dataset, _encode_batch, encoder, ENCODED_FEATURES, num_proc)


def _add_other_replies(dataset: Dataset) -> Dataset:
    """To each row, as `other`, the reply of the nearest row before it with another prompt; the last comes before all.

    TRL's way, but for rows whose prompt their neighbour shares: a reply to the same prompt measures no baseline.
    """
    prompts, completions = dataset["prompt"], dataset["completion"]
    prompts = [[(message["role"], message["content"]) for message in prompt] for prompt in prompts]
    others: list[str] = []
    for number, prompt in enumerate(prompts):
        before = next((number - back for back in range(1, len(prompts)) if prompts[number - back] != prompt), None)
        if before is None:
            raise ValueError(
                "all rows have one prompt; allowed for kto: several, since its baseline is of other replies"
            )
        others.append(completions[before])
    return dataset.add_column("other", others)


def _encode_batch(batch: Mapping[str, list[Any]], encoder: Encoder) -> dict[str, list[Any]]:
    firsts, seconds = ("completion", "other") if "label" in batch else ("chosen", "rejected")
    talks = [
        TrainingConversation([*prompt, reply_message(reply)], [len(prompt)])
        for key in (firsts, seconds)
        for prompt, reply in zip(batch["prompt"], batch[key], strict=True)
    ]
    encoded = encoder(talks)
    rows: dict[str, list[Any]] = {name: [] for name in ENCODED_FEATURES}
    number = len(batch["prompt"])
    for place, (first, second) in enumerate(zip(encoded[:number], encoded[number:], strict=True)):
        contexts, replies = zip(*(_part_sample(each.ids, each.samples[0]) for each in (first, second)), strict=True)
        if contexts[0] != contexts[1]:
            raise ValueError("the context of a pair depends on its reply; allowed: a template that writes it alike")
        rows["context"].append(contexts[0])
        rows["first"].append(replies[0])
        rows["second"].append(replies[1])
        rows["is_good"].append(batch["label"][place] if "label" in batch else True)
        for column in CUT_COLUMNS:
            rows[column].append(max(getattr(first, column), getattr(second, column)))
    return rows


def _part_sample(ids: Sequence[int], spans: Sequence[int]) -> tuple[list[int], list[int]]:
    """The context and the labelled reply of a sample given as flat spans."""
    parts: tuple[list[int], list[int]] = ([], [])
    for start, end, labelled in zip(spans[0::3], spans[1::3], spans[2::3], strict=True):
        parts[labelled].extend(ids[start:end])
    return parts


class PreferenceDataset(torch.utils.data.Dataset):
    """Encoded preferences, each put together when it is asked for.

    Attributes:
        lengths: int64 [n], tokens of each row.
        reference: float32 [n, 2], the log-probabilities of both replies by the model that training starts from; None
            until they are computed.
        is_good: bool [n].

    Args:
        encoded: rows of `ENCODED_FEATURES`.
        learn_context: label the context, too.
    """

    def __init__(self, encoded: Dataset, learn_context: bool = False):
        self.learn_context = learn_context
        self.rows = encoded.select_columns(["context", "first", "second"]).with_format("numpy")
        columns = (encoded[name] for name in ("context", "first", "second"))
        self.lengths = np.array([sum(map(len, parts)) for parts in zip(*columns, strict=True)], dtype=np.int64)
        self.is_good = np.array(encoded["is_good"], dtype=bool)
        self.cuts = {name: int(sum(encoded[name])) for name in CUT_COLUMNS}
        self.reference: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.rows)

    def describe_cuts(self, max_source_length: int, max_target_length: int) -> str:
        """One line on how much was cut to fit."""
        counts = {"samples": len(self), "conversations": len(self), "tokens": int(self.lengths.sum())}
        return describe_cuts(counts | self.cuts, max_source_length, max_target_length)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """`input_ids`, `labels` (-100: none) and `segments`, int64 [s]; `number`; `is_good`; `reference` [2]."""
        row = self.rows[int(index)]
        parts = [row["context"], row["first"], row["second"]]
        input_ids = np.concatenate(parts).astype(np.int64)
        segments = np.repeat(np.arange(3), [len(part) for part in parts])
        labels = input_ids.copy()
        labels[: 1 if self.learn_context else len(row["context"])] = IGNORED_LABEL
        sample = {
            "input_ids": input_ids,
            "labels": labels,
            "segments": segments,
            "number": int(index),
            "is_good": bool(self.is_good[index]),
        }
        return sample if self.reference is None else sample | {"reference": self.reference[index]}


class PreferenceCollator(PaddingCollator):
    """Pads rows of two replies on the right, as the parent does."""

    def __call__(self, samples: Sequence[dict[str, Any]]) -> dict[str, Tensor]:
        """Batch samples of a `PreferenceDataset`.

        Returns:
            The parent's, and `segments` int64 [b, s] (-1: padding), `number` int64 [b], `is_good` bool [b], and
            `reference_bits` int32 [b, 2], the bits of `reference`, where the samples have it: transformers casts the
            floats of a batch to DeepSpeed's dtype, and bfloat16 would round log-probabilities by 1 and more.
        """
        batch = super().__call__(samples)
        segments = np.full(batch["input_ids"].shape, NO_SEGMENT, dtype=np.int64)
        for row, sample in enumerate(samples):
            segments[row, : len(sample["segments"])] = sample["segments"]
        batch["segments"] = torch.from_numpy(segments)
        batch["number"] = torch.tensor([sample["number"] for sample in samples])
        batch["is_good"] = torch.tensor([sample["is_good"] for sample in samples])
        if "reference" in samples[0]:
            reference = np.stack([sample["reference"] for sample in samples])
            batch["reference_bits"] = torch.from_numpy(reference).view(torch.int32)
        return batch


@dataclass(slots=True)
class ReplyCall:
    """What a model is called with, and what its losses belong to.

    Attributes:
        inputs: `input_ids`, `attention_mask`, `labels` and, where replies share a context, `position_ids` and
            `predicted_from`, the column whose hidden state predicts a column's label.
        places: int64 [labels], in their order: 2 * row + 0 (first reply) or 1 (second); -1 for a label of the context.
    """

    inputs: dict[str, Tensor]
    places: Tensor


def share(batch: Mapping[str, Tensor], config: PreTrainedConfig) -> ReplyCall:
    """Both replies of a row share its context.

    `attention_mask` is bool [b, 1, s, k], True = sees (the columns of a P-Tuning prefix come first); `position_ids`
    [b, s], for ChatGLM [b, 2, s]. Each reply's first token is predicted from the context's last one.
    """
    input_ids, segments = batch["input_ids"], batch["segments"]
    column = torch.arange(input_ids.shape[1], device=input_ids.device)
    context, first = ((segments == segment).sum(1, keepdim=True) for segment in (0, REPLIES[0]))
    gap = torch.where(segments == REPLIES[1], first, 0)  # what lies between the second reply and the context
    query, key = segments[:, :, None], segments[:, None, :]
    sees = (key == 0) & (query > 0) | (key == query)
    is_before = column <= column[:, None]
    if isinstance(config, ChatGLMConfig):
        is_first = (segments == 0) | (segments == REPLIES[0])
        position, block_position = make_position_ids(input_ids, is_first.long(), config).unbind(1)
        position_ids = torch.stack([position, block_position - gap], 1) * (segments != NO_SEGMENT)[:, None]
        mask = F.pad(sees & (is_before | (key == 0) & (query == 0)), (config.pre_seq_len or 0, 0), value=True)
    else:
        position_ids = (column - gap) * (segments != NO_SEGMENT)
        mask = sees & is_before
    inputs = {
        "input_ids": input_ids,
        "attention_mask": mask[:, None],
        "position_ids": position_ids,
        "labels": batch["labels"],
        "predicted_from": torch.where(column == context + first, context, column) - 1,
    }
    rows = torch.arange(len(input_ids), device=input_ids.device)[:, None]
    return ReplyCall(inputs, _places(batch["labels"], segments, rows))


def part(batch: Mapping[str, Tensor]) -> ReplyCall:
    """Each row as two, context and reply, padded on the right: all first replies, then all second ones.

    `attention_mask` is int64 [2 b, s], 1 = a real token.
    """
    segments = batch["segments"]
    kept = torch.cat([(segments == 0) | (segments == segment) for segment in REPLIES])
    order = torch.argsort(~kept, dim=1, stable=True)[:, : int(kept.sum(1).max())]
    mask, input_ids, labels, segments = (
        values.gather(1, order)
        for values in (kept, *(torch.cat([batch[name]] * 2) for name in ("input_ids", "labels", "segments")))
    )
    rows = torch.arange(len(mask), device=mask.device)[:, None]
    is_again = (segments == 0) & (rows >= len(mask) // 2)  # the context was labelled with the first reply
    labels = torch.where(mask & ~is_again, labels, IGNORED_LABEL)
    inputs = {"input_ids": input_ids, "attention_mask": mask.long(), "labels": labels}
    return ReplyCall(inputs, _places(labels, segments, rows % (len(mask) // 2)))


def _places(labels: Tensor, segments: Tensor, rows: Tensor) -> Tensor:
    return torch.where(segments > 0, 2 * rows + segments - 1, -1)[labels != IGNORED_LABEL]
