"""`SoulChatTrainer`: Seq2SeqTrainer over conversations, with its own tokenization, batches, optimizer and checkpoints.

    trainer = SoulChatTrainer(
        model=model, args=SoulChatTrainingArguments("outputs/mine"), train_dataset=rows, processing_class=tokenizer
    )
    trainer.train()

`rows` is a `datasets.Dataset` (or a stream) of conversations (`messages`) or of turns (`prompt`, `completion`), or a
`TurnView`.
"""

import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import datasets
import numpy as np
import torch
from accelerate.data_loader import DataLoaderShard
from accelerate.utils import gather_object, send_to_device
from torch.utils.data import DataLoader
from transformers import PreTrainedModel, PreTrainedTokenizerBase, ProgressCallback, SchedulerType, Seq2SeqTrainer
from transformers.trainer_utils import PredictionOutput, SaveStrategy
from transformers.utils import logging

import soulchat_metrics
from hub_cards.results import RESULTS_FILE, Results, check_results, read_results
from soulchatcorpus.turn_view import TurnView
from soulchatcorpus.turns import Turn

from ..chatglm import ChatGLMTokenizer
from ..data import list_turns, sample_turns
from ..encoding.collator import IGNORED_LABEL, LengthBatchSampler, PaddingCollator, SampleDataset
from ..encoding.encoders import make_encoder
from ..encoding.spans import encode_dataset
from ..generation.engine import generate_replies, stop_token_ids
from ..unreadable import SAVING_ERRORS, not_written
from .arguments import REPLIES, SoulChatTrainingArguments, refuse_workers
from .callbacks import FinishCheckpointCallback, LogAtSaveCallback, LossBarCallback, RunInfoCallback, TimeLeftCallback
from .checkpoints import (
    check_new_folder,
    check_same_run,
    checkpoint_name,
    count_parameters,
    describe_last_whole,
    find_checkpoint_to_resume,
    remove_manifest,
    remove_old_checkpoints,
    trainers_habits_off,
    write_manifest,
)
from .hub_push import HubPusher, make_pusher
from .loss import LARGEST_DIFFERENCE, LabelledHead, find_base
from .optimizer import MuonWithAdamW, split_for_muon, warmup_decay_schedule
from .plan import Plan, plan_steps
from .run_info import describe_rows, describe_run, describe_training, run_identity
from .streaming import StreamedBatches

logger = logging.get_logger(__name__)

# Arguments of transformers' trainers that would do nothing here, or harm, and why.
REFUSED = {
    "model_init": "there is no search here; give a model",
    "compute_metrics": "an evaluation keeps no logits; predict_with_generate scores replies",
    "preprocess_logits_for_metrics": "an evaluation keeps no logits",
    "compute_loss_func": "the held-out loss is the model's own; one of another kind is a model's",
    "optimizer_cls_and_kwargs": "give optimizers, or optim in the arguments",
}
STREAM_HAS_NO_END = "eval_dataset is a stream; allowed: rows, or samples that are ready (SampleDataset)"

Rows: TypeAlias = datasets.Dataset | datasets.IterableDataset | TurnView


class SoulChatTrainer(Seq2SeqTrainer):
    """Trains a counsellor on rows of conversations or turns.

    Args:
        model: ChatGLM, or any causal language model whose tokenizer has a chat template.
        args: how to train; the paper's values by default.
        train_dataset: rows of conversations or turns; a `TurnView`; a stream of rows; or samples that are ready
            (`SampleDataset`).
        eval_dataset: rows or samples for the held-out loss; with `predict_with_generate` also for replies and their
            scores, which needs rows.
        processing_class: the model's tokenizer.
        run_info: what trainer_state.json and the model card tell of the run (recipe, dataset, versions, git_revision);
            by default what can be known from here.
        **kwargs: what else `Seq2SeqTrainer` takes, but for `REFUSED`.

    Raises:
        ValueError: the model cannot be trained as `args` ask (for instance `loss_on="every_turn"` on ChatGLM), or
            `eval_dataset` is a stream, which has no end.
    """

    args: SoulChatTrainingArguments

    def __init__(
        self,
        model: PreTrainedModel | None = None,
        args: SoulChatTrainingArguments | None = None,
        train_dataset: Rows | SampleDataset | None = None,
        eval_dataset: Rows | SampleDataset | None = None,
        processing_class: PreTrainedTokenizerBase | None = None,
        run_info: dict[str, Any] | None = None,
        **kwargs: Any,
    ):
        args = args or SoulChatTrainingArguments()
        for name, why in REFUSED.items():
            if kwargs.get(name) is not None:
                raise ValueError(f"{name} is given; allowed: None: {why}")
        if model is None or processing_class is None:
            missing = "model" if model is None else "processing_class"
            raise ValueError(f"{missing} is None; allowed: a model and its tokenizer")
        if args.muon_learning_rate is not None and kwargs.get("optimizers", (None, None))[0] is not None:
            raise ValueError("an optimizer and muon_learning_rate are given; allowed: one of them")
        if isinstance(eval_dataset, datasets.IterableDataset):
            raise ValueError(STREAM_HAS_NO_END)
        train_dataset, eval_dataset = _stored_rows(train_dataset), _stored_rows(eval_dataset)
        self.run_info = run_info or describe_run(None, describe_rows(train_dataset))
        self.pusher: HubPusher | None = None
        self.encoder = make_encoder(
            model,
            processing_class,
            args.max_source_length,
            args.max_target_length,
            args.loss_on,
            args.glm_objective,
            args.thinking,
        )
        if args.use_liger_kernel and isinstance(processing_class, ChatGLMTokenizer):
            raise ValueError("use_liger_kernel is True; allowed: False: Liger has no kernels for ChatGLM")
        self.eval_rows = eval_dataset
        kwargs["data_collator"] = kwargs.get("data_collator") or make_collator(processing_class, args)
        with args.main_process_first(local=True, desc="tokenizing"):
            train_dataset = self._samples(train_dataset, args, kwargs["data_collator"])
            eval_dataset = self._samples(eval_dataset, args, kwargs["data_collator"])
        super().__init__(
            model=model,
            args=args,
            train_dataset=train_dataset,
            eval_dataset=eval_dataset,
            processing_class=processing_class,
            **kwargs,
        )
        if model is not None:  # generation_config.json of what is saved draws as the results were drawn
            stops = sorted(stop_token_ids(find_base(model), processing_class))
            stop = stops[0] if len(stops) == 1 else stops
            find_base(model).generation_config.update(**args.decoding().arguments, eos_token_id=stop)
        self.add_callback(LogAtSaveCallback)
        self.identity = run_identity(args, self.model, self.run_info["dataset"])
        self.add_callback(RunInfoCallback(self.run_info, self.identity))
        self.add_callback(FinishCheckpointCallback(self.finish_checkpoint))
        self.add_callback(TimeLeftCallback)
        if self.pop_callback(ProgressCallback):
            self.add_callback(LossBarCallback)
        if (
            args.predict_with_generate
            and self.is_deepspeed_enabled
            and self.accelerator.state.deepspeed_plugin.zero_stage == 3
        ):
            raise ValueError(
                "predict_with_generate needs whole weights; ZeRO-3 has them in parts: use ZeRO-2, or leave it"
            )
        if args.muon_learning_rate is not None and self.is_deepspeed_enabled:
            raise ValueError("muon_learning_rate needs whole matrices and does not go with DeepSpeed; leave one out")
        self.label_smoother = None  # the labelled head does it, before labels are shifted and on their positions only
        self.labelled_head: LabelledHead | None = None
        self._loss_is_chosen = model is None
        self._samples_per_step = args.per_device_train_batch_size * args.gradient_accumulation_steps
        self._untried = args.per_device_train_batch_size  # the largest micro-batch that may still fit into memory
        if args.auto_find_batch_size and self.is_deepspeed_enabled:
            raise ValueError("auto_find_batch_size does not go with DeepSpeed; leave one out")
        self.given_scheduler = self.lr_scheduler
        self.unfinished: Path | None = None  # the checkpoint that is being written
        self._eval_sums = torch.zeros(2)  # of losses, of labelled tokens
        self._eval_repeats: Iterator[bool] = iter(())
        self._seen = torch.zeros(2, dtype=torch.int64, device=args.device)  # tokens, samples
        self._clock = time.perf_counter()

    def _samples(self, rows: Rows | SampleDataset | None, args: SoulChatTrainingArguments, collator: Any) -> Any:
        if isinstance(rows, datasets.IterableDataset):
            refuse_workers(vars(args))
            return StreamedBatches(
                rows,
                self.encoder,
                collator,
                batch_size=args.per_device_train_batch_size,
                max_tokens=args.max_tokens,
                seed=_data_seed(args),
                num_processes=args.world_size,
                process_index=args.process_index,
            )
        if rows is None or isinstance(rows, SampleDataset):
            return rows
        if not isinstance(rows, datasets.Dataset):
            raise ValueError(
                f"a data set is a {type(rows).__name__}; allowed: a Dataset or IterableDataset of conversations or "
                "turns, a TurnView, a SampleDataset"
            )
        if len(rows) == 0:
            raise ValueError("a data set is empty; allowed: one row or more, or no data set")
        samples = SampleDataset(encode_dataset(rows, self.encoder, num_proc=args.dataloader_num_workers or None))
        if args.process_index == 0:
            logger.warning(samples.describe_cuts(args.max_source_length, args.max_target_length))
        return samples

    # Batches

    def get_train_dataloader(self) -> DataLoader:
        """Batches by length; each process makes its own share, in an order that the seed and the epoch decide.

        With `auto_find_batch_size` parts of them where the memory has not sufficed, more of which then make a step.
        """
        args = self.args
        if not args.auto_find_batch_size:
            return self._length_dataloader(self.train_dataset, args.per_device_train_batch_size, args.max_tokens)
        if isinstance(self.train_dataset, StreamedBatches):
            raise ValueError("auto_find_batch_size needs rows that can be read again; a stream cannot: leave one out")
        size = next((size for size in range(self._untried, 0, -1) if self._samples_per_step % size == 0), None)
        if size is None:
            raise ValueError(
                "a micro-batch of one sample does not fit into the memory; allowed: a smaller max_source_length or "
                "max_tokens, activation_checkpointing, LoRA, a smaller model"
            )
        self._untried = size - 1
        self._seen.zero_()  # what a try that has failed has seen does not count
        args.gradient_accumulation_steps = self._samples_per_step // size
        max_tokens = args.max_tokens and max(1, args.max_tokens * size // args.per_device_train_batch_size)
        if size < args.per_device_train_batch_size and args.process_index == 0:
            logger.warning(f"micro-batches of {size} samples, {args.gradient_accumulation_steps} of them a step")
        return self._length_dataloader(self.train_dataset, size, max_tokens)

    def get_eval_dataloader(self, eval_dataset: Any = None) -> DataLoader:
        """Batches by length, always in the same order."""
        samples = self.eval_dataset
        if isinstance(eval_dataset, datasets.IterableDataset):
            raise ValueError(STREAM_HAS_NO_END)
        if eval_dataset is not None:
            samples = self._samples(_stored_rows(eval_dataset), self.args, self.data_collator)
        return self._length_dataloader(samples, self.args.per_device_eval_batch_size, self.args.max_tokens)

    def get_test_dataloader(self, test_dataset: Any) -> DataLoader:
        """For `predict`: the same."""
        return self.get_eval_dataloader(test_dataset)

    def _length_dataloader(self, samples: Any, batch_size: int, max_tokens: int | None) -> DataLoader:
        args = self.args
        common = {
            "device": args.device,
            "num_workers": args.dataloader_num_workers,
            "pin_memory": args.dataloader_pin_memory and args.device.type != "cpu",
            "persistent_workers": args.dataloader_persistent_workers,
            "prefetch_factor": args.dataloader_prefetch_factor,
            "multiprocessing_context": args.dataloader_multiprocessing_context,
            "in_order": args.dataloader_in_order,
        }
        if isinstance(samples, StreamedBatches):
            return DataLoaderShard(samples, batch_size=None, **{**common, "num_workers": 0})
        sampler = self._sampler(samples, batch_size, max_tokens)
        return DataLoaderShard(samples, batch_sampler=sampler, collate_fn=self.data_collator, **common)

    def _sampler(self, samples: Any, batch_size: int, max_tokens: int | None) -> LengthBatchSampler:
        if samples is None:
            raise ValueError(
                "there is no data set: give the trainer a train_dataset to train, an eval_dataset to evaluate"
            )
        return LengthBatchSampler(
            samples.lengths,
            batch_size,
            max_tokens,
            seed=_data_seed(self.args),
            num_processes=self.args.world_size,
            process_index=self.args.process_index,
        )

    # Optimizer

    def create_optimizer(self, model: torch.nn.Module | None = None) -> torch.optim.Optimizer:
        """AdamW as the arguments say; with `muon_learning_rate`, Muon on the matrices of the layers."""
        args = self.args
        if self.optimizer is None and args.muon_learning_rate is not None:
            matrices, others = split_for_muon(self.model)
            self.optimizer: Any = MuonWithAdamW(
                matrices,
                others,
                lr=args.learning_rate,
                muon_lr=args.muon_learning_rate,
                betas=(args.adam_beta1, args.adam_beta2),
                eps=args.adam_epsilon,
                weight_decay=args.weight_decay,
            )
        return super().create_optimizer(model)

    def create_scheduler(
        self, num_training_steps: int, optimizer: torch.optim.Optimizer | None = None
    ) -> torch.optim.lr_scheduler.LRScheduler:
        """The curve of DeepSpeed's WarmupDecayLR for `lr_scheduler_type: linear`, else transformers'."""
        if self.lr_scheduler is None and self.args.lr_scheduler_type == SchedulerType.LINEAR:
            self.lr_scheduler: torch.optim.lr_scheduler.LRScheduler | None = warmup_decay_schedule(
                optimizer or self.optimizer,
                self.args.get_warmup_steps(num_training_steps),
                num_training_steps,
                self.args.warmup_type,
            )
        return super().create_scheduler(num_training_steps, optimizer)

    # Steps

    def train(self, resume_from_checkpoint: str | bool | None = None, **kwargs: Any) -> Any:
        """Train, or go on from a checkpoint: a folder, or True for the last whole one of `output_dir`.

        By default what `resume_from_checkpoint` of the arguments says.

        Raises:
            ValueError: no whole checkpoint is there, it is another run's, a new run's folder holds one already, or a
                loss or weight was not finite.
            OSError: a checkpoint could not be written.
        """
        if resume_from_checkpoint is None:
            resume_from_checkpoint = self.args.resume_from_checkpoint
        folder = find_checkpoint_to_resume(self.args.output_dir, resume_from_checkpoint)
        if folder is not None:
            check_same_run(folder, self.identity)
        elif self.args.save_strategy != SaveStrategy.NO:
            check_new_folder(self.args.output_dir)
        if folder is not None and self.args.process_index == 0:
            logger.warning(f"going on from {folder}")
        self.unfinished = None
        self.lr_scheduler = self.given_scheduler  # one that another call has made is of that call's steps
        self._clock = time.perf_counter()
        accumulation, max_steps = self.args.gradient_accumulation_steps, self.args.max_steps
        self._untried = self.args.per_device_train_batch_size
        plan = self.plan()
        if self.args.process_index == 0:
            logger.warning(plan.describe())
        self.args.max_steps = plan.steps
        try:
            with trainers_habits_off(self.args) as self.save_total_limit:
                output = super().train(resume_from_checkpoint=folder, **kwargs)
        except SAVING_ERRORS as error:
            if self.unfinished is None:
                raise
            what = f"checkpoint of step {self.state.global_step}"
            raise not_written(what, self.unfinished, error, describe_last_whole(self.args.output_dir)) from error
        finally:
            if self.labelled_head is not None:
                self.labelled_head.detach()
            self.args.gradient_accumulation_steps, self.args.max_steps = accumulation, max_steps
        if isinstance(self.train_dataset, StreamedBatches) and self.args.process_index == 0:
            logger.warning(self.train_dataset.describe_cuts(self.args.max_source_length, self.args.max_target_length))
        return output

    def plan(self) -> Plan:
        """How many steps a run has, and why."""
        args, samples = self.args, self.train_dataset
        if isinstance(samples, StreamedBatches):
            return plan_steps(args, None, None)
        batches = self._sampler(samples, args.per_device_train_batch_size, args.max_tokens)
        return plan_steps(args, samples, len(batches))

    def get_batch_samples(self, *args: Any, **kwargs: Any) -> tuple[list, Any]:
        """The parent's; none where a run that is done is resumed, which would else train one step too many."""
        if self.state.global_step < self.state.max_steps:
            return super().get_batch_samples(*args, **kwargs)
        self.control.should_training_stop = True
        return [], None

    def training_step(self, model: torch.nn.Module, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> torch.Tensor:
        """Forward and backward of a micro-batch.

        Raises:
            ValueError: a collator of one's own leaves other tensors than this trainer counts; the loss is not finite.
        """
        if not {"input_ids", "attention_mask", "labels"} <= inputs.keys() or "shift_labels" in inputs:
            raise ValueError(
                f"a batch has {', '.join(sorted(inputs))}; allowed: input_ids, attention_mask and labels, not shifted"
            )
        self._attach_labelled_head(inputs)
        self._seen += torch.stack(
            [inputs["attention_mask"].sum(), inputs["attention_mask"].new_tensor(len(inputs["input_ids"]))]
        )
        loss = super().training_step(model, inputs, *args, **kwargs)
        if not torch.isfinite(loss):
            raise ValueError(
                f"the loss is {loss.item()} after step {self.state.global_step}; training stops here and "
                f"{describe_last_whole(self.args.output_dir)}"
            )
        return loss

    def _attach_labelled_head(self, inputs: dict[str, Any]) -> None:
        """Let the model compute its loss on labelled positions only, where that is its own loss.

        Raises:
            ValueError: labels are to be smoothed, and the model's own loss is another.
        """
        if not self._loss_is_chosen:
            self.labelled_head = self._choose_loss(send_to_device(inputs, self.args.device))
            self._loss_is_chosen = True
        if self.labelled_head is not None:
            self.labelled_head.attach()

    def _choose_loss(self, batch: dict[str, Any]) -> LabelledHead | None:
        smoothing, model_type = self.args.label_smoothing_factor, self.model.config.model_type
        if model_type == "chatglm":  # computes it so by itself, without smoothing
            return LabelledHead(self.model, smoothing) if smoothing else None
        head = LabelledHead(self.model, smoothing)
        difference = max(gather_object([head.difference(batch)]))
        if difference <= LARGEST_DIFFERENCE:
            return head
        if smoothing:
            raise ValueError(
                f"label_smoothing_factor is {smoothing}; allowed for {model_type}: 0, since its loss is not that of "
                f"its head alone (they differ by {difference:.1e})"
            )
        if self.args.process_index == 0:
            logger.warning(
                f"{model_type} keeps its own loss, with logits at every position: that of its head on labelled "
                f"positions differs by {difference:.1e}"
            )
        return None

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log, adding tokens (without padding), samples and seconds since the last log, over all processes."""
        if "loss" in logs:
            now = time.perf_counter()
            logs["tokens"], logs["samples"] = self.accelerator.reduce(self._seen).tolist()
            logs["seconds"] = now - self._clock
            logs["tokens_per_second"] = logs["tokens"] / logs["seconds"]
            self._clock = now
            self._seen.zero_()
        super().log(logs, start_time)

    # Evaluation

    def evaluate(
        self, eval_dataset: Any = None, ignore_keys: Any = None, metric_key_prefix: str = "eval", **decoding: Any
    ) -> dict:
        """Held-out loss and perplexity; with `predict_with_generate` also replies (top-p, temperature) and scores.

        Raises:
            ValueError: how replies are drawn is given here, where only the arguments say it.
        """
        _refuse_decoding(decoding)
        eval_dataset = _stored_rows(eval_dataset)
        metrics = super().evaluate(eval_dataset, ignore_keys, metric_key_prefix)
        if self.args.predict_with_generate:
            scores = self.score_replies(self.eval_rows if eval_dataset is None else eval_dataset)
            scores = {f"{metric_key_prefix}_{name}": value for name, value in scores.items()}
            self.log(dict(scores))
            metrics |= scores
        return metrics

    def predict(
        self, test_dataset: Any, ignore_keys: Any = None, metric_key_prefix: str = "test", **decoding: Any
    ) -> PredictionOutput:
        """A reply to every turn, and loss, perplexity and scores of them.

        Returns:
            predictions: the replies, an array [turns] of str; label_ids: the references, the same; metrics.

        Raises:
            ValueError: predict_with_generate is False; how replies are drawn is given here.
        """
        _refuse_decoding(decoding)
        if not self.args.predict_with_generate:
            raise ValueError("predict_with_generate is False; allowed for predict: True; evaluate gives the loss")
        rows = _stored_rows(test_dataset)
        if rows is None:
            raise ValueError("test_dataset is None; allowed: rows of conversations or turns")
        metrics = super().predict(rows, ignore_keys, metric_key_prefix).metrics
        replies, references = self.reply_to(list_turns(rows))
        scores = soulchat_metrics.score(replies, references)
        metrics |= {f"{metric_key_prefix}_{name}": scores[name] for name in soulchat_metrics.METRIC_NAMES}
        return PredictionOutput(np.array(replies, dtype=object), np.array(references, dtype=object), metrics)

    def score_replies(self, rows: Rows) -> dict[str, float]:
        """BLEU and ROUGE of replies to at most `max_eval_replies` held-out turns."""
        turns = list_turns(rows)
        replies, references = self.reply_to(
            sample_turns(turns, min(self.args.max_eval_replies, len(turns)), self.args.seed)
        )
        scores = soulchat_metrics.score(replies, references)
        return {name: scores[name] for name in soulchat_metrics.METRIC_NAMES}

    def reply_to(self, turns: Sequence[Turn]) -> tuple[list[str], list[str]]:
        """Replies to the turns, shared out among the processes, and the references, both in the turns' order."""
        args = self.args
        share = turns[args.process_index :: args.world_size]
        replies = generate_replies(
            self.model,
            self.processing_class,
            [turn.context for turn in share],
            [turn.id for turn in share],
            args.decoding(),
            args.per_device_eval_batch_size,
        )
        numbers = range(args.process_index, len(turns), args.world_size)
        found = sorted(gather_object([(number, reply.text) for number, reply in zip(numbers, replies, strict=True)]))
        return [text for _, text in found], [turn.completion for turn in turns]

    def prediction_step(
        self, model: torch.nn.Module, inputs: dict[str, Any], prediction_loss_only: bool, **kwargs: Any
    ) -> tuple[torch.Tensor, None, None]:
        """The loss of a batch; replies are generated by `evaluate`, apart from it.

        The parent's is divided by the labels of all processes, so it says nothing of this process's batch.
        """
        self._attach_labelled_head(inputs)
        with torch.no_grad(), self.compute_loss_context_manager():
            loss = model(**inputs).loss.detach()
        if not next(self._eval_repeats):
            labels = (inputs["labels"][:, 1:] != IGNORED_LABEL).sum()
            self._eval_sums += torch.stack([loss.cpu() * labels.cpu(), labels.cpu()])
        return loss, None, None

    def evaluation_loop(
        self, dataloader: DataLoader, *args: Any, metric_key_prefix: str = "eval", **kwargs: Any
    ) -> Any:
        """The parent's, with the loss as the mean over all labelled tokens instead of the mean of batch means."""
        self._eval_sums = torch.zeros(2)
        sampler: Any = dataloader.batch_sampler
        self._eval_repeats = (repeated for _, repeated in sampler.with_repeats())
        trains = self.labelled_head is not None and self.labelled_head.is_attached
        output = super().evaluation_loop(dataloader, *args, metric_key_prefix=metric_key_prefix, **kwargs)
        if self.labelled_head is not None and not trains:
            self.labelled_head.detach()
        total, tokens = self.accelerator.reduce(self._eval_sums.to(self.args.device)).tolist()
        output.metrics[f"{metric_key_prefix}_loss"] = total / tokens
        output.metrics[f"{metric_key_prefix}_perplexity"] = math.exp(min(total / tokens, 100))
        return output

    # Hub

    def init_hf_repo(self, token: str | None = None, private: bool | None = None) -> None:
        """Name the repository; the first push makes it, so a Hub that is away does not keep a run from starting."""
        pusher = make_pusher(self.args, self.model.config.name_or_path, token, private)
        self.hub_model_id = self.args.hub_model_id
        self.pusher = pusher if self.is_world_process_zero() else None

    def push_to_hub(self, **kwargs: Any) -> None:
        """Save the model in `output_dir` and send it with its card and, where it was evaluated, its results; waits."""
        if self.hub_model_id is None:
            self.init_hf_repo()
        with trainers_habits_off(self.args):
            self.save_model()
        if self.pusher is not None:
            folder = Path(self.args.output_dir)
            evaluated = folder / RESULTS_FILE
            results = read_results(evaluated) if evaluated.is_file() else self.describe_so_far()
            self.pusher.submit(folder, results)
            self.pusher.finish()

    def describe_so_far(self) -> Results:
        """results.json of a model that is not evaluated yet."""
        training = describe_training(self.state, self.args.to_dict(), count_parameters(self.model))
        return check_results({**self.run_info, "training": training})

    # Checkpoints

    def save_model(self, output_dir: str | None = None, **kwargs: Any) -> None:
        """The parent's, refusing weights that are not finite; a checkpoint is torn from here to its manifest."""
        trained = (p for p in self.model.parameters() if p.requires_grad)
        own = (getattr(p, "ds_tensor", p) for p in trained)  # ZeRO-3: this process's part; p itself is empty
        if not all(torch.isfinite(part.detach()).all() for part in own):
            raise ValueError(
                f"weights are not finite at step {self.state.global_step}; training stops here and "
                f"{describe_last_whole(self.args.output_dir)}"
            )
        folder = Path(output_dir or self.args.output_dir)
        if folder.name == checkpoint_name(self.state.global_step):
            self.unfinished = folder
            if self.args.should_save:
                remove_manifest(folder)
        super().save_model(output_dir, **kwargs)

    def finish_checkpoint(self) -> None:
        """When all of a checkpoint is written: its manifest, then old ones go, then the Hub gets its model."""
        folder = self.unfinished
        if folder is None:
            return
        self.accelerator.wait_for_everyone()
        if self.args.should_save:
            write_manifest(folder)
            best = self.state.best_model_checkpoint
            remove_old_checkpoints(folder, self.save_total_limit, keep=best)
        if self.pusher is not None and self.args.hub_strategy != "end":
            self.pusher.submit(folder, self.describe_so_far())
        self.unfinished = None


def _stored_rows(rows: Any) -> Any:
    """The conversations behind a `TurnView`, whose turns are the same samples, each line tokenized once."""
    return rows.conversations if isinstance(rows, TurnView) else rows


def _refuse_decoding(decoding: dict[str, Any]) -> None:
    """Raises ValueError for what Seq2SeqTrainer hands to `generate`, which is not asked here."""
    if decoding:
        raise ValueError(f"{next(iter(decoding))} is given; allowed: none: {REPLIES}")


def _data_seed(args: SoulChatTrainingArguments) -> int:
    return args.seed if args.data_seed is None else args.data_seed


def make_collator(tokenizer: PreTrainedTokenizerBase, args: SoulChatTrainingArguments) -> PaddingCollator:
    """Right padding; to multiples of 8 in half precision, which tensor cores like."""
    pad_token_id = tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id
    return PaddingCollator(pad_token_id, pad_to_multiple_of=8 if args.fp16 or args.bf16 else 1)
