"""Arguments of a run: what to train on what (`RunArguments`), and how (`SoulChatTrainingArguments`).

Both are filled from a YAML recipe and overridden by command-line flags; every field is a key of either.
"""

import importlib.util
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Literal

import torch
import transformers
from packaging.version import Version
from transformers import SchedulerType, Seq2SeqTrainingArguments
from transformers.utils import logging

from hub_cards.install import needs_extra
from soulchat_metrics import METRIC_NAMES
from soulchatcorpus.thoughts import check_thinking

from ..generation.sampling import Decoding

logger = logging.get_logger(__name__)

# Before, transformers called it gradient checkpointing, in its arguments and its models' methods.
SAYS_ACTIVATION_CHECKPOINTING = Version(transformers.__version__) >= Version("5.23")

# Every default that differs from Seq2SeqTrainingArguments, and where it comes from.
CHANGED_DEFAULTS = {
    "output_dir": "outputs/ and a name, so that runs stand side by side",
    "max_steps": "paper, section 3.2: 30,000 global training steps",
    "per_device_train_batch_size": "paper, section 3.2 and appendix: batch size 80 on 8 GPUs",
    "warmup_steps": "paper, section 3.2: warmup_steps = 1000",
    "remove_unused_columns": "the trainer tokenizes rows itself and needs their text",
    "logging_nan_inf_filter": "a loss that is not finite stops the run instead of being hidden",
    "logging_steps": "a loss line every 10 steps: 500 is half an hour of the paper's run",
    "save_total_limit": "two checkpoints: when the last one is torn, the one before it is whole",
    "ddp_find_unused_parameters": "every trained parameter is used at every step; looking for others costs a pass",
}

_BATCHES = "batches are made by length, and nothing is left out"
REPLIES = "replies are drawn as top_p, temperature and max_new_tokens say"
_NO_LOGITS = "an evaluation keeps sums of losses, no logits"
_OWN_BATCHES = "the trainer makes its own batches; DeepSpeed and DDP share them out"
# Fields of Seq2SeqTrainingArguments that would do nothing here, or harm, and why: only their default is allowed.
REFUSED = {
    "train_sampling_strategy": _BATCHES,
    "length_column_name": _BATCHES,
    "dataloader_drop_last": _BATCHES,
    "sortish_sampler": _BATCHES,
    "accelerator_config": _OWN_BATCHES,
    "parallelism_config": _OWN_BATCHES,
    "fsdp": "models that do not fit are parted by DeepSpeed (zero3.json)",
    "fsdp_config": "models that do not fit are parted by DeepSpeed (zero3.json)",
    "label_names": "labels are made here, on replies",
    "remove_unused_columns": "rows are tokenized here and need their text",
    "logging_nan_inf_filter": "a loss that is not finite stops the run",
    "include_for_metrics": _NO_LOGITS,
    "batch_eval_metrics": _NO_LOGITS,
    "eval_do_concat_batches": _NO_LOGITS,
    "eval_use_gather_object": _NO_LOGITS,
    "eval_accumulation_steps": _NO_LOGITS,
    "prediction_loss_only": _NO_LOGITS,
    "generation_max_length": REPLIES,
    "generation_num_beams": REPLIES,
    "generation_config": REPLIES,
    "enable_jit_checkpoint": "a checkpoint that was cut short is passed over; lower save_steps",
    "hub_always_push": "while a push goes on, only the newest that follows waits",
    "do_train": "train() trains",
    "do_predict": "num_test_turns says how many test turns are answered",
}
# Which optimizers of transformers read these, by parts of their names; the others would pass over them in silence.
_LOW_RANK = ("galore", "apollo")
_READS_ARGS = ("sgd", "adagrad", "rmsprop", "ademamix", "anyprecision", "grokadamw", "stable_adamw", "schedule_free")
OPTIM_READERS = {
    "optim_args": (*_READS_ARGS, "adamw_torch_4bit", "adamw_torch_8bit", *_LOW_RANK),
    "optim_target_modules": _LOW_RANK,
}
# Fields that only say how another one is done, and what that one must be.
DETAILS = {
    "activation_checkpointing_kwargs": "activation_checkpointing",
    "gradient_checkpointing_kwargs": "gradient_checkpointing",
    "liger_kernel_config": "use_liger_kernel",
    "dataloader_prefetch_factor": "dataloader_num_workers",
    "dataloader_persistent_workers": "dataloader_num_workers",
    "dataloader_multiprocessing_context": "dataloader_num_workers",
    "do_eval": "eval_strategy",
}
# What reads ahead in processes of its own.
WORKERS = ("dataloader_prefetch_factor", "dataloader_persistent_workers", "dataloader_num_workers")
# What preference learning takes beside the rest: for which objectives, in TRL's names.
PREFERENCE_FIELDS = {
    "beta": ("dpo", "kto", "orpo"),
    "label_smoothing": ("dpo",),
    "sft_weight": ("dpo",),
    "sft_on": ("orpo",),
    "desirable_weight": ("kto",),
    "undesirable_weight": ("kto",),
}
_PAIRS = "replies are compared, not learned turn by turn"
# What it does not take, and why: only the default is allowed.
NOT_WITH_PREFERENCES = {
    "loss_on": _PAIRS,
    "glm_objective": _PAIRS,
    "label_smoothing_factor": "label_smoothing is that of preferences",
    "predict_with_generate": "replies are scored after training",
    "auto_find_batch_size": "the log-probabilities of the starting model are computed before",
    "muon_learning_rate": "AdamW trains by preferences",
}
# Whether more is better, of what an evaluation measures.
GREATER_IS_BETTER = {"loss": False, "perplexity": False} | dict.fromkeys(METRIC_NAMES, True)

AT_LEAST_ONE = (
    "per_device_train_batch_size",
    "per_device_eval_batch_size",
    "global_batch_size",
    "max_tokens",
    "max_eval_replies",
)


@dataclass
class SoulChatTrainingArguments(Seq2SeqTrainingArguments):
    """`Seq2SeqTrainingArguments` with the SoulChat paper's values and what its training needs beyond them.

    Defaults that differ from the parent's are listed in `CHANGED_DEFAULTS` with their sources. The paper's learning
    rate (5e-5) is the parent's default already; its optimizer is not named, and AdamW with betas 0.9 and 0.999 and no
    weight decay, the parent's default, is what its software (transformers 4.28, deepspeed 0.9.3) gives.
    """

    output_dir: str = field(default="outputs/soulchat", metadata={"help": "Where checkpoints and results go."})
    max_steps: int = field(default=30_000, metadata={"help": "Optimizer steps; -1: `num_train_epochs` decides."})
    per_device_train_batch_size: int = field(default=10, metadata={"help": "Samples of a micro-batch."})
    warmup_steps: float = field(default=1000, metadata={"help": "Steps (below 1: share of all) to the full rate."})
    remove_unused_columns: bool = field(default=False, metadata={"help": "Keep False: rows are tokenized here."})
    logging_nan_inf_filter: bool = field(default=False, metadata={"help": "Keep False: a NaN loss stops the run."})
    logging_steps: float = field(default=10, metadata={"help": "Log the loss every so many steps."})
    save_total_limit: int | None = field(default=2, metadata={"help": "Checkpoints to keep; at least 2 is wise."})
    ddp_find_unused_parameters: bool | None = field(
        default=False, metadata={"help": "Let DDP look for parameters without gradients; there are none here."}
    )
    activation_checkpointing: bool | None = field(
        default=None, metadata={"help": "Compute activations again in the backward pass, which saves their memory."}
    )

    max_source_length: int = field(
        default=1536, metadata={"help": "Tokens of a context; longer ones lose oldest turns (paper, section 3.2)."}
    )
    max_target_length: int = field(default=512, metadata={"help": "Tokens of a target (paper, section 3.2)."})
    global_batch_size: int | None = field(
        default=80,
        metadata={"help": "Samples of a step over all processes (paper, section 3.2), kept by accumulation."},
    )
    max_epochs: float | None = field(
        default=None,
        metadata={"help": "Passes over the data that end a run sooner than max_steps."},
    )
    max_tokens: int | None = field(
        default=None,
        metadata={"help": "Fill micro-batches up to so many padded tokens instead of by number of samples."},
    )
    warmup_type: Literal["log", "linear"] = field(
        default="log",
        metadata={"help": "Form of the warm-up. log is the default of deepspeed 0.9.3; the paper is silent."},
    )
    loss_on: Literal["last_turn", "every_turn"] = field(
        default="last_turn",
        metadata={"help": "last_turn: a sample for each turn. every_turn: one pass a conversation (causal models)."},
    )
    thinking: Literal["off", "keep"] = field(
        default="off",
        metadata={"help": "off: no thoughts before replies, learned or asked for. keep: the template's own way."},
    )
    glm_objective: bool = field(
        default=False, metadata={"help": "Also train on whole conversations after an empty or one-line context."}
    )
    muon_learning_rate: float | None = field(
        default=None,
        metadata={"help": "Train the matrices of the layers with Muon at this rate, the rest with AdamW."},
    )
    objective: Literal["sft", "dpo", "kto", "orpo"] = field(
        default="sft",
        metadata={"help": "sft: learn the replies. dpo, orpo: learn from pairs. kto: from judged replies."},
    )
    beta: float = field(
        default=0.1,
        metadata={"help": "dpo, kto: how strongly the starting model holds; orpo: weight of the odds ratio."},
    )
    label_smoothing: float = field(
        default=0.0, metadata={"help": "dpo: share of choices that may be the wrong way round (robust DPO)."}
    )
    sft_weight: float = field(default=0.0, metadata={"help": "dpo: weight of the chosen replies' cross-entropy."})
    sft_on: Literal["reply", "all"] = field(
        default="reply", metadata={"help": "orpo: whose cross-entropy; all: also the prompt's, as in TRL."}
    )
    desirable_weight: float = field(default=1.0, metadata={"help": "kto: weight of replies that are wanted."})
    undesirable_weight: float = field(default=1.0, metadata={"help": "kto: weight of replies that are not."})
    top_p: float = field(default=0.75, metadata={"help": "Nucleus of sampled replies (paper, section 3.2)."})
    temperature: float = field(default=0.95, metadata={"help": "Temperature of replies (paper, section 3.2)."})
    max_new_tokens: int = field(default=512, metadata={"help": "Limit of a reply (the paper's target length)."})
    hub_base_model: str | None = field(
        default=None,
        metadata={
            "help": "What the base is on the Hub, for the cards that are pushed, where it is loaded from a folder."
        },
    )
    max_eval_replies: int = field(
        default=200, metadata={"help": "Held-out turns to reply to at an evaluation with predict_with_generate."}
    )

    def __post_init__(self) -> None:
        if not SAYS_ACTIVATION_CHECKPOINTING:
            self.gradient_checkpointing: bool = self.gradient_checkpointing or bool(self.activation_checkpointing)
        self._refuse_what_does_nothing()
        self._check_objective()
        self._check_best_metric()
        for name in AT_LEAST_ONE:
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} is {value}; allowed: 1 or more")
        if self.max_steps < 1 and self.max_steps != -1:
            raise ValueError(f"max_steps is {self.max_steps}; allowed: 1 or more, or -1 for num_train_epochs")
        if self.max_epochs is not None and self.max_epochs <= 0:
            raise ValueError(f"max_epochs is {self.max_epochs}; allowed: more than 0, or none")
        self.decoding()  # refuses what would otherwise be refused after training
        self._keep_global_batch_size(int(os.environ.get("WORLD_SIZE", "1")))
        lacks_gpu = self.bf16 and not self.use_cpu and not torch.accelerator.is_available()
        self.use_cpu: bool = self.use_cpu or lacks_gpu  # the parent asks the user to say so
        super().__post_init__()
        if lacks_gpu and self.process_index == 0:
            logger.warning("there is no GPU here, so the run takes the CPU (use_cpu), in bfloat16 as asked (bf16)")
        if self.deepspeed and "scheduler" in self.hf_deepspeed_config.config:
            self._fill_deepspeed_scheduler()

    def _refuse_what_does_nothing(self) -> None:
        """Raises ValueError for a field that would have no effect here, or another than its name says."""
        for one in fields(self):
            value = getattr(self, one.name)
            default = [] if one.name == "include_for_metrics" else one.default
            if one.name in REFUSED and value != default:
                raise ValueError(f"{one.name} is {value}; allowed: {default}: {REFUSED[one.name]}")
        known = {one.name for one in fields(self)}
        for name, of in DETAILS.items():
            if name in known and getattr(self, name) and getattr(self, of) in (False, None, 0, "no"):
                raise ValueError(f"{name} is {getattr(self, name)}; allowed while {of} is {getattr(self, of)}: none")
        linear = self.lr_scheduler_type == SchedulerType.LINEAR
        if linear and self.lr_scheduler_kwargs:
            raise ValueError(f"lr_scheduler_kwargs is {self.lr_scheduler_kwargs}; allowed with linear: none")
        if not linear and self.warmup_type != "log" and self.deepspeed is None:
            raise ValueError(f"warmup_type is {self.warmup_type}; allowed: log, unless lr_scheduler_type is linear")
        if self.muon_learning_rate is not None and (self.optim_args or self.optim_target_modules):
            raise ValueError("optim_args, optim_target_modules are not Muon's; allowed with muon_learning_rate: none")
        optim = str(getattr(self.optim, "value", self.optim))
        for name, readers in OPTIM_READERS.items():
            value = getattr(self, name)
            if value and not any(reader in optim for reader in readers):
                raise ValueError(f"{name} is {value}; allowed with optim {optim}, which reads none: none")

    def _check_objective(self) -> None:
        """Raises ValueError for an unknown objective, and for what it does not take or cannot be."""
        known = {one.name: one.default for one in fields(self)}
        if self.objective not in ("sft", "dpo", "kto", "orpo"):
            raise ValueError(f"objective is {self.objective!r}; allowed: sft, dpo, kto, orpo")
        for name, objectives in PREFERENCE_FIELDS.items():
            if self.objective not in objectives and getattr(self, name) != known[name]:
                raise ValueError(
                    f"{name} is {getattr(self, name)}; allowed with objective {self.objective}: {known[name]}, it is "
                    f"for {', '.join(objectives)}"
                )
        if self.objective == "sft":
            return
        for name, why in NOT_WITH_PREFERENCES.items():
            if getattr(self, name) != known[name]:
                raise ValueError(
                    f"{name} is {getattr(self, name)}; allowed with objective {self.objective}: {known[name]}: {why}"
                )
        if self.beta <= 0:
            raise ValueError(f"beta is {self.beta}; allowed: above 0")
        if not 0 <= self.label_smoothing < 0.5:
            raise ValueError(f"label_smoothing is {self.label_smoothing}; allowed: 0 to below 0.5")
        for name in ("sft_weight", "desirable_weight", "undesirable_weight"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} is {getattr(self, name)}; allowed: 0 or more")
        if self.sft_on not in ("reply", "all"):
            raise ValueError(f"sft_on is {self.sft_on!r}; allowed: reply, all")

    def _check_best_metric(self) -> None:
        """Say which end of `metric_for_best_model` is the better one: by the parent, all but a loss are to grow."""
        if self.metric_for_best_model is None:
            return
        name = self.metric_for_best_model.removeprefix("eval_")
        measured = list(GREATER_IS_BETTER) if self.predict_with_generate else ["loss", "perplexity"]
        if self.objective != "sft":
            measured = ["loss"]
        if name not in measured:
            raise ValueError(
                f"metric_for_best_model is {self.metric_for_best_model}; allowed: {', '.join(measured)}; "
                "BLEU and ROUGE are measured with predict_with_generate"
            )
        if self.greater_is_better not in (None, GREATER_IS_BETTER[name]):
            raise ValueError(f"greater_is_better is {self.greater_is_better}; allowed for {name}: the other, or none")
        self.greater_is_better: bool | None = GREATER_IS_BETTER[name]

    def _fill_deepspeed_scheduler(self) -> None:
        """Put the warm-up's form where the DeepSpeed file says "auto"; one that differs from it is refused."""
        if self.lr_scheduler_type != SchedulerType.LINEAR:
            raise ValueError(
                f"lr_scheduler_type is {self.lr_scheduler_type.value}, but the DeepSpeed file names a scheduler; "
                "allowed beside it: linear"
            )
        params = self.hf_deepspeed_config.config["scheduler"]["params"]
        given = params.get("warmup_type", self.warmup_type)
        if given == "auto":
            params["warmup_type"] = self.warmup_type
        elif given != self.warmup_type:
            raise ValueError(f"warmup_type is {self.warmup_type}; allowed beside the DeepSpeed file: {given}")

    def decoding(self) -> Decoding:
        """How replies are drawn.

        Raises:
            ValueError: `top_p`, `temperature` or `max_new_tokens` is out of its range.
        """
        return Decoding(
            self.top_p, self.temperature, self.max_new_tokens, seed=self.seed, thinking=check_thinking(self.thinking)
        )

    def _keep_global_batch_size(self, num_processes: int) -> None:
        """Set the accumulation steps so that a step sees `global_batch_size` samples on any number of processes."""
        if self.max_tokens is not None or self.global_batch_size is None:
            return
        at_once = self.per_device_train_batch_size * num_processes
        steps, rest = divmod(self.global_batch_size, at_once)
        if rest or self.gradient_accumulation_steps not in (1, steps):
            raise ValueError(
                f"global_batch_size is {self.global_batch_size}, but {num_processes} processes x "
                f"{self.per_device_train_batch_size} per_device_train_batch_size x "
                f"{self.gradient_accumulation_steps} gradient_accumulation_steps do not make it; "
                f"take a per_device_train_batch_size that divides it, or another global_batch_size"
            )
        self.gradient_accumulation_steps: int = steps


@dataclass
class RunArguments:
    """What a recipe trains: a model, a tokenizer, a corpus; and what is done with the result."""

    model_name_or_path: str | None = field(
        default=None, metadata={"help": "Model to start from: a folder or a Hub name."}
    )
    model_config: dict | str | None = field(
        default=None, metadata={"help": "ChatGLMConfig values (JSON) of a model to train from scratch instead."}
    )
    tokenizer_name_or_path: str | None = field(
        default=None, metadata={"help": "Default: the model's, or the one that tokenizer_vocab_size asks for."}
    )
    tokenizer_vocab_size: int | None = field(
        default=None,
        metadata={"help": "Train a tokenizer of this size, or of the largest that the training split has pieces for."},
    )
    dataset: str = field(
        default="soulchatcorpus",
        metadata={"help": "Name for load_dataset, or a file of conversations in any format of soulchatcorpus."},
    )
    test_dataset: str | None = field(
        default=None, metadata={"help": "Corpus whose test turns are answered instead of those of the data set."}
    )
    num_test_turns: int = field(
        default=500, metadata={"help": "Held-out test turns to reply to and score after training; 0: none."}
    )
    streaming: bool = field(default=False, metadata={"help": "Tokenize the training split while it trains."})
    torch_dtype: Literal["auto", "float32", "float16", "bfloat16"] = field(
        default="auto", metadata={"help": "Type of the loaded weights."}
    )
    lora_rank: int | None = field(default=None, metadata={"help": "Train LoRA matrices of this rank (PEFT) instead."})
    lora_alpha: int = field(default=16, metadata={"help": "LoRA's scale."})
    lora_dropout: float = field(default=0.05, metadata={"help": "Dropout before LoRA's matrices."})
    lora_target_modules: list[str] | None = field(
        default=None, metadata={"help": "Default: PEFT's for the model; all-linear: every layer."}
    )
    quantize: Literal["nf4"] | None = field(
        default=None,
        metadata={"help": "nf4: keep the base in 4 bits while LoRA trains (QLoRA; bitsandbytes)."},
    )
    pre_seq_len: int | None = field(
        default=None, metadata={"help": "Train so many prefix tokens in each layer (P-Tuning v2) instead."}
    )
    prefix_projection: bool = field(default=False, metadata={"help": "Put P-Tuning's prefix through a small MLP."})

    def __post_init__(self) -> None:
        if (self.model_name_or_path is None) == (self.model_config is None):
            raise ValueError("a recipe needs either model_name_or_path or model_config, not both")
        if self.num_test_turns < 0:
            raise ValueError(f"num_test_turns is {self.num_test_turns}; allowed: 0 (none) or more")
        if self.model_config is not None:
            self.model_config = _read_mapping(self.model_config)
        if self.model_config is not None and (self.lora_rank is not None or self.pre_seq_len is not None):
            raise ValueError(
                "model_config is a new model and trains whole; lora_rank and pre_seq_len need a loaded one"
            )
        if self.model_name_or_path is not None and self.tokenizer_vocab_size is not None:
            raise ValueError("tokenizer_vocab_size is for model_config; a loaded model has its tokenizer")
        if self.quantize not in (None, "nf4"):
            raise ValueError(f"quantize is {self.quantize!r}; allowed: nf4")
        if self.quantize is not None and self.lora_rank is None:
            raise ValueError("quantize is for LoRA, whose matrices train beside the base; give lora_rank, or leave it")
        if self.quantize is not None and importlib.util.find_spec("bitsandbytes") is None:
            raise ValueError(f"quantize is nf4, and {needs_extra('bitsandbytes', 'qlora')}")
        if self.pre_seq_len is not None and self.pre_seq_len < 1:
            raise ValueError(f"pre_seq_len is {self.pre_seq_len}; allowed: 1 or more")
        if self.lora_rank is not None and self.pre_seq_len is not None:
            raise ValueError("lora_rank and pre_seq_len are two ways of training; take one")


def refuse_workers(values: Mapping[str, Any]) -> None:
    """Raises ValueError where the fields of training arguments ask for workers, which a stream has none of."""
    for name in WORKERS:
        if values[name]:
            raise ValueError(
                f"{name} is {values[name]}; allowed with a stream: none: it is read and tokenized where it is learned"
            )


def _read_mapping(value: object) -> dict:
    try:
        mapping = json.loads(value) if isinstance(value, str) else value
    except json.JSONDecodeError:
        mapping = None
    if not isinstance(mapping, dict):
        raise ValueError(f"model_config is {value!r}; allowed: a mapping of ChatGLMConfig values, in JSON as a flag")
    return mapping
