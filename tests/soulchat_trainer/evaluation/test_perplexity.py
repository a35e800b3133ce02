"""Held-out loss against transformers' own, in any batch; the unigram model by hand."""

import math

import pytest
import torch

from soulchat_trainer.chatglm import ChatGLMTokenizer
from soulchat_trainer.encoding.prompts import prompt_encoder
from soulchat_trainer.evaluation import perplexity
from soulchat_trainer.evaluation.perplexity import held_out_loss, target_ids, unigram_loss
from tests.soulchat_trainer import training_parts

TALKS = [
    [{"role": "user", "content": "我最近总是睡不着"}],
    [
        {"role": "user", "content": "难过"},
        {"role": "assistant", "content": "告诉我"},
        {"role": "user", "content": "工作压力"},
    ],
]
REFERENCES = ["告诉我一些。", "理解你，慢慢来可以吗？"]


@pytest.fixture(params=["chatglm", "causal"])
def parts(request: pytest.FixtureRequest, chatglm_tokenizer, causal_tokenizer) -> tuple:
    if request.param == "chatglm":
        return training_parts.make_chatglm(chatglm_tokenizer, initializer_range=0.3), chatglm_tokenizer
    return training_parts.make_causal_model(causal_tokenizer), causal_tokenizer


def test_loss_is_that_of_the_labelled_tokens(parts: tuple, monkeypatch: pytest.MonkeyPatch) -> None:
    model, tokenizer = parts
    model.eval()
    total, count = 0.0, 0
    for talk, target in zip(TALKS, target_ids(tokenizer, REFERENCES), strict=True):
        context = prompt_encoder(tokenizer)(talk)
        ids = torch.tensor([context + target])
        labels = ids.clone()
        labels[:, : len(context)] = -100
        with torch.no_grad():
            total += model(input_ids=ids, labels=labels).loss.item() * len(target)
        count += len(target)
    result = held_out_loss(model, tokenizer, TALKS, REFERENCES)
    assert result.tokens == count
    assert result.loss == pytest.approx(total / count, rel=1e-5)
    assert result.perplexity == pytest.approx(math.exp(total / count), rel=1e-4)
    characters = sum(map(len, REFERENCES))
    assert result.bits_per_character == pytest.approx(total / math.log(2) / characters, rel=1e-5)
    monkeypatch.setattr(perplexity, "BATCH_TOKENS", 1)  # one at a time
    assert held_out_loss(model, tokenizer, TALKS, REFERENCES).loss == pytest.approx(result.loss, rel=1e-5)


def test_unigram_by_hand(chatglm_tokenizer: ChatGLMTokenizer) -> None:
    train = target_ids(chatglm_tokenizer, ["难过", "难过"])
    [held_out] = target_ids(chatglm_tokenizer, ["难过"])
    size = len(chatglm_tokenizer)
    total = sum(map(len, train))
    counts = {token: sum(row.count(token) for row in train) for token in held_out}
    expected = -sum(math.log((counts[token] + 1) / (total + size)) for token in held_out) / len(held_out)
    result = unigram_loss(chatglm_tokenizer, ["难过", "难过"], ["难过"])
    assert result.loss == pytest.approx(expected)
    assert result.tokens == len(held_out)
    assert held_out[-1] == chatglm_tokenizer.eos_token_id
