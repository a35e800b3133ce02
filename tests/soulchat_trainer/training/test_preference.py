"""Preference training: exact beside TRL and beside a naive computation, resumable, and refusing what it cannot do."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from datasets import Dataset
from peft import LoraConfig, get_peft_model
from transformers import (
    AutoModelForCausalLM,
    PreTrainedTokenizerFast,
    Qwen3Config,
    Qwen3ForCausalLM,
    TrainerCallback,
)

from soulchat_trainer.chatglm import ChatGLMTokenizer
from soulchat_trainer.encoding.preferences import part
from soulchat_trainer.training.arguments import RunArguments, SoulChatTrainingArguments
from soulchat_trainer.training.models import make_model
from soulchat_trainer.training.preference import PreferenceTrainer
from tests.soulchat_trainer.preference_parts import make_judged, make_pairs
from tests.soulchat_trainer.training_parts import make_causal_model, make_chatglm

ROWS = 6


def make_arguments(folder: Path, objective: str, **changes: Any) -> SoulChatTrainingArguments:
    values = {
        "objective": objective,
        "max_steps": 6,
        "per_device_train_batch_size": ROWS,
        "per_device_eval_batch_size": ROWS,
        "global_batch_size": ROWS,
        "learning_rate": 5e-3,
        "warmup_steps": 0,
        "max_source_length": 128,
        "max_target_length": 64,
        "save_steps": 2,
        "logging_steps": 1,
        "use_cpu": True,
        "disable_tqdm": True,
    }
    return SoulChatTrainingArguments(str(folder), **(values | changes))


def rows_for(objective: str, number: int = ROWS, seed: int = 0) -> Dataset:
    return make_judged(number, seed) if objective == "kto" else make_pairs(number, seed)


def make_trainer(model: Any, tokenizer: Any, folder: Path, objective: str, **changes: Any) -> PreferenceTrainer:
    return PreferenceTrainer(
        model=model,
        args=make_arguments(folder, objective, **changes),
        train_dataset=rows_for(objective),
        eval_dataset=rows_for(objective, seed=3),
        processing_class=tokenizer,
    )


def move_away(model: torch.nn.Module) -> None:
    """Weights as they are after some steps, so that no log ratio is 0."""
    torch.manual_seed(5)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.05 * torch.randn_like(parameter)


def our_loss(trainer: PreferenceTrainer) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Loss and gradients of all rows at once, by weights other than those that training started from."""
    trainer._add_references()
    move_away(trainer.model)
    [batch] = list(trainer.get_train_dataloader())
    batch = trainer._prepare_inputs(batch)
    trainer._attach_labelled_head(batch)
    trainer.model.zero_grad()
    loss = trainer.compute_loss(trainer.model, batch)
    loss.backward()
    return loss.detach(), {name: p.grad.clone() for name, p in trainer.model.named_parameters() if p.grad is not None}


# ChatML without the newline behind the last message: TRL learns it as well, we end a reply in its end token.
TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' }}"
    "{% if add_generation_prompt or not loop.last %}{{ '\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
WEIGHTS = {"desirable_weight": 1.5, "undesirable_weight": 0.5}
SETTINGS: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("dpo", {}, {}),
    ("dpo", {"beta": 0.3}, {"beta": 0.3}),
    ("dpo", {"label_smoothing": 0.1}, {"label_smoothing": 0.1, "loss_type": ["robust"]}),
    ("dpo", {"sft_weight": 0.5}, {"loss_type": ["sigmoid", "sft"], "loss_weights": [1.0, 0.5]}),
    ("kto", {"beta": 0.2}, {"beta": 0.2}),
    ("kto", WEIGHTS, WEIGHTS),
    ("orpo", {"sft_on": "all"}, {}),
    ("orpo", {"sft_on": "all", "beta": 0.4}, {"beta": 0.4}),
]


def their_loss(
    objective: str, model: Any, tokenizer: Any, folder: Path, changes: dict
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """The same by TRL's trainer."""
    trl = pytest.importorskip("trl", minversion="1.16")
    from trl.experimental.orpo import ORPOConfig, ORPOTrainer

    classes = {"dpo": (trl.DPOConfig, trl.DPOTrainer), "kto": (trl.KTOConfig, trl.KTOTrainer)}
    config, kind = classes.get(objective, (ORPOConfig, ORPOTrainer))
    rows = rows_for(objective).map(
        lambda row: {
            key: [{"role": "assistant", "content": row[key]}]
            for key in ("chosen", "rejected", "completion")
            if key in row
        }
    )
    args = config(
        str(folder),
        per_device_train_batch_size=ROWS,
        gradient_checkpointing=False,
        max_length=256,
        use_cpu=True,
        bf16=False,
        report_to="none",
        disable_tqdm=True,
        **changes,
    )
    model.save_pretrained(folder / "model")  # from where TRL takes its reference
    model = AutoModelForCausalLM.from_pretrained(folder / "model")
    trainer = kind(model=model, args=args, train_dataset=rows, processing_class=tokenizer)
    move_away(trainer.model)
    [batch] = list(trainer.get_train_dataloader())
    trainer.model.zero_grad()
    loss = trainer.compute_loss(trainer.model, trainer._prepare_inputs(batch))
    loss.backward()
    return loss.detach(), {name: p.grad.clone() for name, p in trainer.model.named_parameters() if p.grad is not None}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("objective", "ours", "theirs"), SETTINGS)
def test_loss_and_gradients_are_trls(
    objective: str, ours: dict, theirs: dict, causal_tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    tokenizer = copy.deepcopy(causal_tokenizer)
    tokenizer.chat_template = TEMPLATE
    model = make_causal_model(tokenizer)
    trainer = make_trainer(copy.deepcopy(model), tokenizer, tmp_path / "ours", objective, **ours)
    loss, gradients = our_loss(trainer)
    assert trainer.shares_context
    assert tokenizer.chat_template == TEMPLATE
    expected, expected_gradients = their_loss(objective, model, tokenizer, tmp_path / "theirs", theirs)
    torch.testing.assert_close(loss, expected, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(gradients, expected_gradients, rtol=1e-5, atol=1e-6)


def naive_log_probs(model: Any, batch: dict[str, torch.Tensor]) -> torch.Tensor:
    """Log-probabilities [b, 2] from all logits of padded rows of context and reply; float64 softmax."""
    inputs = part(batch).inputs
    logits = model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], use_cache=False).logits
    labels = inputs["labels"][:, 1:]
    found = logits[:, :-1].log_softmax(-1).gather(2, labels.clamp(min=0)[..., None])[..., 0]
    return (found * (labels != -100)).sum(1).view(2, -1).T


@pytest.mark.parametrize("family", ["chatglm", "ptuning", "qwen2"])
def test_loss_and_gradients_are_those_of_a_naive_computation(
    family: str, chatglm_tokenizer: ChatGLMTokenizer, causal_tokenizer: PreTrainedTokenizerFast, tmp_path: Path
) -> None:
    tokenizer: Any = causal_tokenizer if family == "qwen2" else chatglm_tokenizer
    changes = {"pre_seq_len": 3} if family == "ptuning" else {}
    model: Any = make_causal_model(tokenizer) if family == "qwen2" else make_chatglm(tokenizer, **changes)
    model = model.double()
    start = copy.deepcopy(model)
    trainer = make_trainer(model, tokenizer, tmp_path, "dpo", beta=0.3)
    loss, gradients = our_loss(trainer)
    assert trainer.shares_context
    trainer.labelled_head.detach()
    [batch] = list(trainer.get_train_dataloader())
    model.zero_grad()
    ratios = naive_log_probs(model, batch) - naive_log_probs(start, batch).detach()
    expected = -F.logsigmoid(0.3 * (ratios[:, 0] - ratios[:, 1])).mean()
    expected.backward()
    torch.testing.assert_close(loss.double(), expected.detach(), rtol=1e-6, atol=1e-6)
    trained = {name: p for name, p in model.named_parameters() if p.grad is not None}
    assert trained
    for name, parameter in trained.items():
        torch.testing.assert_close(gradients[name], parameter.grad, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("objective", ["dpo", "kto", "orpo"])
def test_a_prompt_for_two_replies_is_as_a_prompt_for_each(
    objective: str, chatglm_tokenizer: ChatGLMTokenizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for difference in (0.0, float("inf")):
        monkeypatch.setattr(PreferenceTrainer, "_shared_difference", lambda self, batch, d=difference: d)
        trainer = make_trainer(make_chatglm(chatglm_tokenizer).double(), chatglm_tokenizer, tmp_path, objective)
        found.append(our_loss(trainer))
        assert trainer.shares_context == (difference == 0)
    torch.testing.assert_close(found[0], found[1], rtol=1e-5, atol=1e-6)


def test_a_model_with_windows_computes_prompts_for_each_reply(
    causal_tokenizer: PreTrainedTokenizerFast, tmp_path: Path, told: pytest.LogCaptureFixture
) -> None:
    model = make_causal_model(causal_tokenizer)
    model.config.sliding_window = 16
    trainer = make_trainer(model, causal_tokenizer, tmp_path, "dpo")
    our_loss(trainer)
    assert not trainer.shares_context
    assert "qwen2 computes each prompt once for each reply" in told.text


def logged(trainer: PreferenceTrainer) -> list[dict[str, float]]:
    clock = {"seconds", "tokens_per_second", "epoch"}
    return [
        {name: value for name, value in entry.items() if name not in clock}
        for entry in trainer.state.log_history
        if "loss" in entry
    ]


def test_micro_batches_make_the_same_steps(chatglm_tokenizer: ChatGLMTokenizer, tmp_path: Path) -> None:
    """Of dpo; the baseline of kto and the cross-entropy of orpo are means of micro-batches, as in TRL."""
    found = []
    for size in (6, 2):
        changes = {"max_steps": 3, "save_strategy": "no", "per_device_train_batch_size": size}
        trainer = make_trainer(make_chatglm(chatglm_tokenizer), chatglm_tokenizer, tmp_path, "dpo", **changes)
        trainer.train()
        found.append([entry["loss"] for entry in logged(trainer)])
    assert found[0] == pytest.approx(found[1], rel=1e-4)


class StopAt(TrainerCallback):
    def __init__(self, step: int):
        self.step = step

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> Any:
        control.should_training_stop = state.global_step >= self.step
        return control


@pytest.mark.parametrize("objective", ["dpo", "kto", "orpo"])
def test_a_resumed_run_logs_the_same(objective: str, chatglm_tokenizer: ChatGLMTokenizer, tmp_path: Path) -> None:
    changes = {"global_batch_size": 4, "per_device_train_batch_size": 2}
    whole = make_trainer(make_chatglm(chatglm_tokenizer), chatglm_tokenizer, tmp_path / "whole", objective, **changes)
    whole.train()
    stopped = make_trainer(make_chatglm(chatglm_tokenizer), chatglm_tokenizer, tmp_path / "cut", objective, **changes)
    stopped.add_callback(StopAt(4))
    stopped.train()
    again = make_trainer(make_chatglm(chatglm_tokenizer), chatglm_tokenizer, tmp_path / "cut", objective, **changes)
    again.train(resume_from_checkpoint=True)
    assert logged(again) == logged(whole)
    for name, value in whole.model.state_dict().items():
        assert torch.equal(value, again.model.state_dict()[name])


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # PEFT 0.21 asks by the old name
@pytest.mark.parametrize("objective", ["dpo", "kto", "orpo"])
def test_lora_learns_the_choices(objective: str, causal_tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> None:
    """From the model without its adapter; the rewards of chosen replies grow above those of rejected ones."""
    config = LoraConfig(task_type="CAUSAL_LM", r=8, lora_dropout=0.5, target_modules="all-linear")
    model = get_peft_model(make_causal_model(causal_tokenizer), config)
    changes = {"max_steps": 30, "learning_rate": 2e-2, "save_strategy": "no", "activation_checkpointing": True}
    trainer = make_trainer(model, causal_tokenizer, tmp_path, objective, **changes)
    trainer.train()
    first, last = logged(trainer)[0], logged(trainer)[-1]
    if objective != "orpo":
        assert first["rewards/margins"] == pytest.approx(0, abs=1e-5)  # dropout 0.5 would show
        assert first["loss"] == pytest.approx(0.6931472 if objective == "dpo" else 0.5, abs=1e-5)
    assert last["loss"] < first["loss"]
    assert last["rewards/chosen"] > last["rewards/rejected"]
    held_out = trainer.evaluate()
    assert {"eval_loss", "eval_rewards/margins"} <= held_out.keys()
    assert "eval_perplexity" not in held_out


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
def test_qlora_learns_the_choices_as_lora_does(causal_tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes")
    sizes = {"hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 2}
    config = Qwen3Config(vocab_size=len(causal_tokenizer), **sizes, intermediate_size=256, head_dim=64)
    Qwen3ForCausalLM(config).save_pretrained(tmp_path / "base")
    causal_tokenizer.save_pretrained(tmp_path / "base")
    found = []
    for quantize in (None, "nf4"):
        run = RunArguments(
            str(tmp_path / "base"), lora_rank=8, lora_target_modules=["all-linear"], lora_dropout=0, quantize=quantize
        )
        model = make_model(run, causal_tokenizer, 0)
        changes = {"max_steps": 8, "learning_rate": 1e-2, "save_strategy": "no"}
        trainer = make_trainer(model, causal_tokenizer, tmp_path / str(quantize), "dpo", **changes)
        trainer.train()
        assert trainer.shares_context
        found.append(logged(trainer))
    assert found[1][0]["loss"] == pytest.approx(0.6931472, abs=1e-5)
    assert found[1][-1]["rewards/margins"] > 0
    assert found[1][-1]["loss"] == pytest.approx(found[0][-1]["loss"], abs=0.1)
