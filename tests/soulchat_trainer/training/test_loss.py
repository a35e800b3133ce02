"""The loss on labelled positions by a model's own head: equal to the model's own, found out where it is not."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import (
    AutoModelForCausalLM,
    CohereConfig,
    Gemma2Config,
    Gemma3TextConfig,
    Glm4MoeConfig,
    GraniteConfig,
    LlamaConfig,
    MistralConfig,
    PreTrainedConfig,
    PreTrainedModel,
    Qwen2Config,
    Qwen3Config,
    set_seed,
)

from soulchat_trainer.chatglm import head_loss
from soulchat_trainer.training.loss import COMPARED_TOKENS, LARGEST_DIFFERENCE, LabelledHead, cut_batch

SIZES = {
    "vocab_size": 97,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "intermediate_size": 48,
    "head_dim": 16,
    "max_position_embeddings": 128,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}


def make_model(kind: Callable[..., PreTrainedConfig], **changes: Any) -> PreTrainedModel:
    set_seed(0)
    model = AutoModelForCausalLM.from_config(kind(**SIZES, **changes))
    for parameter in model.parameters():  # fresh ones give logits too small for a cap or a scale to show
        torch.nn.init.normal_(parameter, std=0.3)
    return model


def make_batch(length: int = 20) -> dict[str, torch.Tensor]:
    torch.manual_seed(1)
    ids = torch.randint(3, 97, (3, length))
    labels = torch.where(torch.rand(3, length) < 0.4, ids, -100)
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": labels}


@pytest.mark.parametrize("kind", [Qwen2Config, Qwen3Config, LlamaConfig, MistralConfig, Gemma3TextConfig])
@pytest.mark.parametrize("num_items", [None, 50])
def test_loss_and_gradients_are_the_models_own(
    kind: Callable[..., PreTrainedConfig], num_items: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In several chunks, as a large vocabulary has them."""
    monkeypatch.setattr(head_loss, "LOGITS_PER_CHUNK_ON_CPU", 97 * 7)
    model = make_model(kind).double()
    head, found = LabelledHead(model), []
    for attach in (False, True):
        if attach:
            head.attach()
        model.zero_grad()
        output = model(**make_batch(), num_items_in_batch=num_items)
        output.loss.backward()
        found.append((output.loss, [p.grad.clone() for p in model.parameters()], output.logits.shape[1]))
    torch.testing.assert_close(found[1][:2], found[0][:2], rtol=1e-6, atol=1e-7)
    assert found[0][2] == 20
    assert found[1][2] == 1
    assert head.difference(make_batch()) < 1e-6


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        (Gemma2Config, {"final_logit_softcapping": 2.0}),
        (CohereConfig, {"logit_scale": 0.0625}),
        (GraniteConfig, {"logits_scaling": 8.0}),
    ],
)
def test_families_that_treat_logits_are_found(kind: Callable[..., PreTrainedConfig], changes: dict) -> None:
    head = LabelledHead(make_model(kind, **changes))
    assert head.difference(make_batch()) > LARGEST_DIFFERENCE
    assert not head.is_attached


def test_a_mixture_of_experts_without_a_loss_of_its_routers_is_as_others() -> None:
    model = make_model(
        Glm4MoeConfig, n_routed_experts=2, num_experts_per_tok=1, moe_intermediate_size=16, n_group=1, topk_group=1
    )
    assert LabelledHead(model).difference(make_batch()) < LARGEST_DIFFERENCE


def test_detached_the_model_is_as_before() -> None:
    model = make_model(Qwen2Config)
    before = model(**make_batch())
    head = LabelledHead(model)
    head.attach()
    head.attach()
    model(**make_batch())
    assert model(input_ids=make_batch()["input_ids"]).logits.shape == (3, 20, 97)
    head.detach()
    after = model(**make_batch())
    torch.testing.assert_close(after.loss, before.loss, rtol=0, atol=0)
    torch.testing.assert_close(after.logits, before.logits, rtol=0, atol=0)


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # PEFT 0.21 asks by the old name
def test_lora_trains_through_it() -> None:
    model = make_model(Qwen2Config)
    config = LoraConfig(task_type="CAUSAL_LM", target_modules=["q_proj", "lm_head"], init_lora_weights=False)
    adapted = get_peft_model(model, config)
    head = LabelledHead(adapted)
    assert head.difference(make_batch()) < LARGEST_DIFFERENCE
    head.attach()
    adapted(**make_batch()).loss.backward()
    assert all(p.grad is not None for p in adapted.parameters() if p.requires_grad)


def test_smoothing_is_spread_over_the_vocabulary_while_training_only() -> None:
    """By hand: (1 - e) of the target's and e of the mean negative log-likelihood, at labelled positions."""
    model, batch = make_model(Qwen2Config), make_batch()
    log_probs = model(input_ids=batch["input_ids"]).logits[:, :-1].log_softmax(-1)
    labels = batch["labels"][:, 1:]
    labelled = labels != -100
    target = -log_probs[labelled].gather(1, labels[labelled][:, None]).mean()
    spread = -log_probs[labelled].mean()
    head = LabelledHead(model, label_smoothing=0.1)
    head.attach()
    model.train()
    torch.testing.assert_close(model(**batch).loss, 0.9 * target + 0.1 * spread)
    model.eval()
    torch.testing.assert_close(model(**batch).loss, target)


def test_compiled_it_is_the_same() -> None:
    model = make_model(Qwen2Config)
    own = model(**make_batch()).loss
    LabelledHead(model).attach()
    compiled = torch.compile(model, backend="eager")
    torch.testing.assert_close(compiled(**make_batch()).loss, own)


def test_few_tokens_are_compared() -> None:
    batch = make_batch(400)
    batch["labels"][0] = -100
    batch["labels"][1, 390:] = -100
    batch["labels"][1, 389] = batch["input_ids"][1, 389]
    few = cut_batch(batch)
    assert few["input_ids"].tolist() == batch["input_ids"][1:2, 390 - COMPARED_TOKENS : 390].tolist()
    assert few["labels"][0, -1] == few["input_ids"][0, -1]
