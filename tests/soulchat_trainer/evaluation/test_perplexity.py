"""Held-out loss against transformers' own, in any batch; the unigram model by hand."""

import math

import pytest
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from soulchat_trainer.chatglm import ChatGLMTokenizer
from soulchat_trainer.data import TrainingConversation
from soulchat_trainer.encoding.encoders import make_encoder
from soulchat_trainer.encoding.prompts import prompt_encoder, reply_ids
from soulchat_trainer.encoding.styles import renderer
from soulchat_trainer.evaluation import perplexity
from soulchat_trainer.evaluation.perplexity import held_out_loss, unigram_loss
from tests.soulchat_trainer import training_parts
from tests.soulchat_trainer.encoding.families import FAMILIES, Family

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
    for talk, target in zip(TALKS, reply_ids(tokenizer, REFERENCES), strict=True):
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


def labelled_loss(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> tuple[float, int]:
    """The loss, and the number of its tokens, of the samples that training makes of the talks and their replies."""
    talks = [[*talk, {"role": "assistant", "content": reply}] for talk, reply in zip(TALKS, REFERENCES, strict=True)]
    conversations = [TrainingConversation(talk, [len(talk) - 1]) for talk in talks]
    total, count = 0.0, 0
    for encoded in make_encoder(model, tokenizer, 128, 128)(conversations):
        [sample] = encoded.samples
        spans = list(zip(sample[::3], sample[1::3], sample[2::3], strict=True))
        ids = [id_ for start, end, _ in spans for id_ in encoded.ids[start:end]]
        labels = [id_ if labelled else -100 for start, end, labelled in spans for id_ in encoded.ids[start:end]]
        number = sum(label != -100 for label in labels)
        with torch.no_grad():
            loss = model(input_ids=torch.tensor([ids]), labels=torch.tensor([labels])).loss.item()
        total, count = total + loss * number, count + number
    return total / count, count


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_it_is_the_loss_that_training_lowers(family: Family) -> None:
    """Over the reply, the template's own mark behind it, and the end token."""
    tokenizer = family.make_tokenizer()
    model = training_parts.make_causal_model(tokenizer).eval()
    expected, count = labelled_loss(model, tokenizer)
    found = held_out_loss(model, tokenizer, TALKS, REFERENCES)
    assert (found.loss, found.tokens) == (pytest.approx(expected, rel=1e-5), count)
    assert unigram_loss(tokenizer, REFERENCES, REFERENCES).tokens == count


def test_chatglms_replies_are_those_of_training(chatglm_tokenizer: ChatGLMTokenizer) -> None:
    """Lines that begin like a speaker's are kept apart in both."""
    model = training_parts.make_chatglm(chatglm_tokenizer, initializer_range=0.3).eval()
    talk, reply = [{"role": "user", "content": "难过"}], "好。\n用户：我同意。"
    [encoded] = make_encoder(model, chatglm_tokenizer, 128, 128)(
        [TrainingConversation([*talk, {"role": "assistant", "content": reply}], [1])]
    )
    [sample] = encoded.samples
    start, end, is_labelled = sample[-3:]
    assert is_labelled
    assert reply_ids(chatglm_tokenizer, [reply]) == [encoded.ids[start + 1 : end]]
    assert held_out_loss(model, chatglm_tokenizer, [talk], [reply]).tokens == end - start - 1


def test_a_reply_to_a_talk_in_another_style_ends_as_the_template_ends_it() -> None:
    [family] = [family for family in FAMILIES if family.name == "gemma-3"]
    tokenizer = family.make_tokenizer()
    found = held_out_loss(
        training_parts.make_causal_model(tokenizer), tokenizer, TALKS, REFERENCES, renderer("soulchat")
    )
    assert found.tokens == sum(map(len, reply_ids(tokenizer, REFERENCES)))
    assert reply_ids(tokenizer, [""]) == [tokenizer.convert_tokens_to_ids(["<end_of_turn>"])]


def test_unigram_by_hand(chatglm_tokenizer: ChatGLMTokenizer) -> None:
    train = reply_ids(chatglm_tokenizer, ["难过", "难过"])
    [held_out] = reply_ids(chatglm_tokenizer, ["难过"])
    size = len(chatglm_tokenizer)
    total = sum(map(len, train))
    counts = {token: sum(row.count(token) for row in train) for token in held_out}
    expected = -sum(math.log((counts[token] + 1) / (total + size)) for token in held_out) / len(held_out)
    result = unigram_loss(chatglm_tokenizer, ["难过", "难过"], ["难过"])
    assert result.loss == pytest.approx(expected)
    assert result.tokens == len(held_out)
    assert held_out[-1] == chatglm_tokenizer.eos_token_id
