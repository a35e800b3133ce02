"""`PreferenceTrainer`: DPO, KTO and ORPO on `SoulChatTrainer`, for ChatGLM and for causal models alike.

A prompt is computed once for both replies to it (`encoding.preferences`), the head runs on the replies' tokens only
(`loss.LabelledHead`), and the log-probabilities of the model that training starts from are computed once, before the
first step, so that no second model lies in memory. Batches, optimizer, checkpoints and reports are the parent's.
"""

from collections.abc import Mapping
from typing import Any

import datasets
import numpy as np
import torch
from accelerate.utils import gather_object, send_to_device
from torch import Tensor, nn
from tqdm.auto import tqdm
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging

from soulchatcorpus.reading.pairs import to_judged

from ..encoding.preferences import (
    PreferenceCollator,
    PreferenceDataset,
    ReplyCall,
    encode_preferences,
    part,
    share,
)
from .arguments import SoulChatTrainingArguments
from .loss import LARGEST_DIFFERENCE, LabelledHead, find_base
from .preference_losses import dpo_losses, kto_losses, orpo_losses
from .trainer import SoulChatTrainer, make_collator

logger = logging.get_logger(__name__)

COLUMNS = {"dpo": ("chosen", "rejected"), "orpo": ("chosen", "rejected"), "kto": ("completion", "label")}
# How far log-probabilities, a token, may be apart by computing a context once for two; half precision rounds more.
LARGEST_SHARED_DIFFERENCE = {torch.float32: 1e-4, torch.float64: 1e-4}
HALF_PRECISION_DIFFERENCE = 2e-2
COMPARED_ROWS = 2
# KTO, section 4.3: the weighted numbers of good and bad replies are to be at 1 to 4/3 of one another.
KTO_BALANCE = (1.0, 4 / 3)


class PreferenceTrainer(SoulChatTrainer):
    """Trains a counsellor on which replies people prefer.

    Args:
        model, args, processing_class, run_info, **kwargs: as in `SoulChatTrainer`; `args.objective` says which loss.
        train_dataset: rows of `soulchatcorpus.reading.pairs`: pairs for dpo and orpo, judged replies or pairs for kto.
        eval_dataset: the same, for the held-out loss, rewards and accuracy.

    Raises:
        ValueError: the objective is sft, the rows are of the other form or a stream, ZeRO-3 is to part a model whose
            starting log-probabilities are needed, or the model's loss is not that of its head alone.
    """

    def __init__(
        self,
        model: PreTrainedModel | None = None,
        args: SoulChatTrainingArguments | None = None,
        processing_class: PreTrainedTokenizerBase | None = None,
        **kwargs: Any,
    ):
        if args is None or args.objective == "sft":
            raise ValueError("objective is sft; allowed with PreferenceTrainer: dpo, kto, orpo")
        if model is None or processing_class is None:
            raise ValueError("model or processing_class is None; allowed: a model and its tokenizer")
        padding = make_collator(processing_class, args)
        kwargs["data_collator"] = PreferenceCollator(padding.pad_token_id, padding.pad_to_multiple_of)
        self.config = find_base(model).config
        if args.sft_on == "all" and self.config.model_type == "chatglm":
            raise ValueError(
                "sft_on is all; allowed for ChatGLM: reply, since its context sees itself in both directions"
            )
        switch_off_dropout(model)
        super().__init__(model=model, args=args, processing_class=processing_class, **kwargs)
        self.needs_reference = args.objective != "orpo"
        plugin = self.accelerator.state.deepspeed_plugin if self.is_deepspeed_enabled else None
        if self.needs_reference and plugin is not None and plugin.zero_stage == 3:
            raise ValueError(
                f"objective {args.objective} needs whole weights for the log-probabilities of the starting model; "
                "ZeRO-3 has them in parts: use ZeRO-2, or orpo"
            )
        self.model_accepts_loss_kwargs = True  # the loss is divided by the step's pairs here, not by its micro-batches
        self.shares_context = False
        self._sums: dict[str, Tensor] = {}
        self._eval_reports: dict[str, Tensor] = {}

    def _samples(self, rows: Any, args: SoulChatTrainingArguments, collator: Any) -> Any:
        if rows is None or isinstance(rows, PreferenceDataset):
            return rows
        if not isinstance(rows, datasets.Dataset):
            raise ValueError(
                f"a data set is a {type(rows).__name__}; allowed with {args.objective}: a Dataset of rows"
            )
        columns = COLUMNS[args.objective]
        if args.objective == "kto" and "chosen" in rows.column_names:
            rows = to_judged(rows)
        if not {"prompt", *columns} <= set(rows.column_names):
            raise ValueError(
                f"the rows have {', '.join(rows.column_names)}; allowed with {args.objective}: prompt, "
                f"{' and '.join(columns)}"
            )
        samples = PreferenceDataset(
            encode_preferences(rows, self.encoder, num_proc=args.dataloader_num_workers or None), args.sft_on == "all"
        )
        if args.process_index == 0:
            logger.warning(samples.describe_cuts(args.max_source_length, args.max_target_length))
        return samples

    # The model that training starts from

    def train(self, resume_from_checkpoint: str | bool | None = None, **kwargs: Any) -> Any:
        """As the parent's; the log-probabilities of the model as it stands come first, where they are needed."""
        self._add_references()
        if self.args.objective == "kto":
            self._warn_of_imbalance()
        return super().train(resume_from_checkpoint, **kwargs)

    def evaluate(self, eval_dataset: Any = None, *args: Any, **kwargs: Any) -> dict:
        """Held-out loss, rewards, margins and accuracy of the trainer's own `eval_dataset`."""
        if eval_dataset is not None and self.needs_reference and not isinstance(eval_dataset, PreferenceDataset):
            raise ValueError("eval_dataset is given to evaluate; allowed: to the trainer, before the model is trained")
        self._add_references()
        return super().evaluate(eval_dataset, *args, **kwargs)

    def _add_references(self) -> None:
        """Once, for both data sets: the log-probabilities of their replies by the model before its first step."""
        for samples in (self.train_dataset, self.eval_dataset):
            if samples is not None and self.needs_reference and samples.reference is None:
                samples.reference = self._reference(samples)
        if self.labelled_head is not None:
            self.labelled_head.detach()

    def _reference(self, samples: PreferenceDataset) -> np.ndarray:
        args, model = self.args, self.model
        if self.is_deepspeed_enabled:
            model.to(args.device)
        was_training = model.training
        model.eval()
        found: list[tuple[int, list[float]]] = []
        loader = self._length_dataloader(samples, args.per_device_eval_batch_size, args.max_tokens)
        hidden = args.disable_tqdm or args.process_index > 0
        for batch in tqdm(loader, desc="Log-probabilities of the starting model", disable=hidden):
            self._attach_labelled_head(batch)
            with torch.no_grad(), self.compute_loss_context_manager():
                log_probs = self._log_probs(model, batch)[0]
            found += zip(batch["number"].tolist(), log_probs.tolist(), strict=True)
        model.train(was_training)
        values = dict(gather_object(found))
        return np.array([values[number] for number in range(len(samples))], dtype=np.float32)

    def _warn_of_imbalance(self) -> None:
        good = int(self.train_dataset.is_good.sum())
        bad = len(self.train_dataset) - good
        args = self.args
        if not good or not bad:
            raise ValueError(f"{good} replies are good and {bad} bad; allowed for kto: some of each")
        balance = args.desirable_weight * good / (args.undesirable_weight * bad)
        low, high = KTO_BALANCE
        if not low <= balance <= high and args.process_index == 0:
            logger.warning(
                f"{good} good and {bad} bad replies weigh as {balance:.2f} to 1, where KTO's authors have {low:g} to "
                f"{high:.2f}: a desirable_weight of {args.undesirable_weight * bad / good:.2f} would do it"
            )

    # Loss

    def _choose_loss(self, batch: dict[str, Any]) -> LabelledHead:
        """The head on labelled positions; and whether a context can be computed once for both replies."""
        head = LabelledHead(self.model, per_label=True)
        parted = part(batch)
        if self.config.model_type != "chatglm":  # whose own loss is that of its head
            difference = max(gather_object([head.difference(parted.inputs)]))
            if difference > LARGEST_DIFFERENCE:
                raise ValueError(
                    f"the loss of {self.config.model_type} is not that of its head alone (they differ by "
                    f"{difference:.1e}); allowed for {self.args.objective}: models whose is"
                )
        head.attach()
        difference = max(gather_object([self._shared_difference(batch)]))
        allowed = LARGEST_SHARED_DIFFERENCE.get(self._computing_type(), HALF_PRECISION_DIFFERENCE)
        self.shares_context = difference <= allowed
        if not self.shares_context and self.args.process_index == 0:
            logger.warning(
                f"{self.config.model_type} computes each prompt once for each reply: with both replies in one row "
                f"log-probabilities a token differ by {difference:.1e}"
            )
        return head

    def _computing_type(self) -> torch.dtype:
        return torch.float16 if self.args.fp16 or self.args.bf16 else self.model.dtype

    def _shared_difference(self, batch: Mapping[str, Tensor]) -> float:
        """How far log-probabilities a token are apart, both ways on a few rows; infinite where one cannot be."""
        data = (samples for samples in (self.train_dataset, self.eval_dataset) if samples is not None)
        if not sees_everything(self.config, max(int(samples.lengths.max()) for samples in data)):
            return float("inf")
        few = {name: values[:COMPARED_ROWS] for name, values in batch.items()}
        was_training = self.model.training
        self.model.eval()
        with torch.no_grad(), self.compute_loss_context_manager():
            found = [
                self._reply_log_probs(self.model, call, len(few["input_ids"]))
                for call in (share(few, self.config), part(few))
            ]
        self.model.train(was_training)
        (shared, counts, _), (parted, _, _) = found
        return float(((shared - parted).abs() / counts).max())

    def _log_probs(self, model: nn.Module, batch: Mapping[str, Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        call = share(batch, self.config) if self.shares_context else part(batch)
        return self._reply_log_probs(model, call, len(batch["input_ids"]))

    def _reply_log_probs(self, model: nn.Module, call: ReplyCall, rows: int) -> tuple[Tensor, Tensor, Tensor]:
        """Log-probabilities [b, 2] and numbers of tokens [b, 2] of replies, and the first replies' cross-entropy."""
        losses, places = model(**call.inputs, use_cache=False).loss, call.places
        in_reply = places >= 0
        zeros = losses.new_zeros(2 * rows)
        log_probs = zeros.index_add(0, places[in_reply], -losses[in_reply]).view(rows, 2)
        counts = zeros.index_add(0, places[in_reply], torch.ones_like(losses[in_reply])).view(rows, 2)
        return log_probs, counts, losses[~in_reply | (places % 2 == 0)].mean()

    def _preference_loss(self, model: nn.Module, batch: Mapping[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """The mean loss of a batch, and sums with their numbers, each [2], of what is reported."""
        args = self.args
        log_probs, counts, cross_entropy = self._log_probs(model, batch)
        if args.objective == "orpo":
            means = log_probs / counts
            losses = orpo_losses(means, args.beta)
            report = _pair_report(args.beta * means.detach(), means) | {"nll_loss": _sum_of(cross_entropy)}
            return losses.mean() + cross_entropy, report | {"odds_ratio_loss": _sum_of(losses)}
        ratios = log_probs - batch["reference_bits"].view(torch.float32)
        if args.objective == "kto":
            baseline = self.accelerator.gather(ratios[:, 1].detach().mean()).mean().clamp(min=0)
            is_good = batch["is_good"]
            weights = args.desirable_weight, args.undesirable_weight
            losses = kto_losses(ratios[:, 0], baseline, is_good, args.beta, *weights)
            rewards = args.beta * ratios[:, 0].detach()
            report = {
                "rewards/chosen": _sum_of(rewards[is_good]),
                "rewards/rejected": _sum_of(rewards[~is_good]),
                "logps/chosen": _sum_of(log_probs[is_good, 0]),
                "logps/rejected": _sum_of(log_probs[~is_good, 0]),
                "kl": _sum_of(baseline),
            }
            return losses.mean(), report
        losses = dpo_losses(ratios, args.beta, args.label_smoothing)
        report = _pair_report(args.beta * ratios.detach(), log_probs)
        if not args.sft_weight:
            return losses.mean(), report
        return losses.mean() + args.sft_weight * cross_entropy, report | {"nll_loss": _sum_of(cross_entropy)}

    def get_batch_samples(self, *args: Any, **kwargs: Any) -> tuple[list, Any]:
        """The parent's batches of a step, with the number of rows in it over all processes."""
        batches, _ = super().get_batch_samples(*args, **kwargs)
        rows = torch.tensor(sum(len(batch["input_ids"]) for batch in batches), device=self.args.device)
        return batches, self.accelerator.reduce(rows)

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        """The part of a micro-batch in the mean loss of a step's rows."""
        loss, report = self._preference_loss(model, inputs)
        _add_report(self._sums, report)
        share_of_step = len(inputs["input_ids"]) * self.accelerator.num_processes
        loss = loss if num_items_in_batch is None else loss * share_of_step / num_items_in_batch
        return (loss, {}) if return_outputs else loss

    # Reports

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """As the parent's, with rewards (beta times log ratios), margins and accuracy since the last log."""
        if "loss" in logs:
            logs |= self._means(self._sums)
            self._sums = {}
        super().log(logs, start_time)

    def _means(self, sums: dict[str, Tensor]) -> dict[str, float]:
        found = {name: self.accelerator.reduce(values).tolist() for name, values in sums.items()}
        means = {name: total / number for name, (total, number) in found.items() if number}
        if {"rewards/chosen", "rewards/rejected"} <= means.keys():
            means["rewards/margins"] = means["rewards/chosen"] - means["rewards/rejected"]
        return means

    def prediction_step(
        self, model: nn.Module, inputs: dict[str, Any], prediction_loss_only: bool, **kwargs: Any
    ) -> tuple[Tensor, None, None]:
        """The loss of a batch, and what is reported of it."""
        inputs = send_to_device(inputs, self.args.device)
        self._attach_labelled_head(inputs)
        with torch.no_grad(), self.compute_loss_context_manager():
            loss, report = self._preference_loss(model, inputs)
        if not next(self._eval_repeats):
            rows = len(inputs["input_ids"])
            self._eval_sums += torch.tensor([loss.item() * rows, rows])
            _add_report(self._eval_reports, report)
        return loss, None, None

    def evaluation_loop(self, *args: Any, metric_key_prefix: str = "eval", **kwargs: Any) -> Any:
        """The parent's, with the loss as the mean over all rows, rewards, margins and accuracy; without perplexity."""
        self._eval_reports = {}
        output = super().evaluation_loop(*args, metric_key_prefix=metric_key_prefix, **kwargs)
        del output.metrics[f"{metric_key_prefix}_perplexity"]  # of a loss that is no likelihood
        means = self._means(self._eval_reports)
        output.metrics.update({f"{metric_key_prefix}_{name}": value for name, value in means.items()})
        return output


def _pair_report(rewards: Tensor, log_probs: Tensor) -> dict[str, Tensor]:
    return {
        "rewards/chosen": _sum_of(rewards[:, 0]),
        "rewards/rejected": _sum_of(rewards[:, 1]),
        "rewards/accuracies": _sum_of((rewards[:, 0] > rewards[:, 1]).float()),
        "logps/chosen": _sum_of(log_probs[:, 0]),
        "logps/rejected": _sum_of(log_probs[:, 1]),
    }


def _sum_of(values: Tensor) -> Tensor:
    values = values.detach().double().reshape(-1)
    return torch.stack([values.sum(), values.new_tensor(len(values))])


def _add_report(sums: dict[str, Tensor], report: dict[str, Tensor]) -> None:
    for name, values in report.items():
        sums[name] = sums[name] + values if name in sums else values


def switch_off_dropout(model: nn.Module) -> None:
    """Set every dropout to 0, LoRA's among them, as TRL does: a likelihood would else be another at each look."""
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0


def sees_everything(config: Any, length: int) -> bool:
    """Whether every layer's tokens see all before them in rows of `length` tokens: no sliding windows, no state."""
    values = config.get_text_config().to_dict()
    kinds = set(values.get("layer_types") or ["full_attention"])
    return kinds == {"full_attention"} and length <= (values.get("sliding_window") or length)
