"""Causal models: one pass over a conversation equals its turn samples, in loss and gradients."""

import numpy as np
import pytest
import torch
from transformers import PreTrainedTokenizerFast

from soulchat_trainer.data import TrainingConversation
from soulchat_trainer.encoding.chat_template import ChatTemplateEncoder
from soulchat_trainer.encoding.collator import PaddingCollator, SampleDataset, assemble_sample
from soulchat_trainer.encoding.prompts import prompt_encoder
from soulchat_trainer.encoding.spans import encode_dataset
from soulchatcorpus.schema import Message
from soulchatcorpus.turns import find_targets
from tests.soulchat_trainer.training_parts import (
    CHATML,
    GEMMA,
    THINKING,
    make_causal_model,
    make_causal_tokenizer,
    make_rows,
)

NO_LIMIT = 1_000_000
MESSAGES = [
    Message(role="user", content="我最近睡不着"),
    Message(role="assistant", content="多久了？\n愿意说说吗"),
    Message(role="user", content=" 两个月 "),
    Message(role="assistant", content="我在听"),
]
CONVERSATION = TrainingConversation(MESSAGES, [1, 3])


def decoded(tokenizer: PreTrainedTokenizerFast, encoder: ChatTemplateEncoder, number: int) -> tuple[str, str]:
    """The text of a sample's context and of its labelled part."""
    (encoded,) = encoder([CONVERSATION])
    sample = assemble_sample(np.asarray(encoded.ids), encoded.samples[number])
    is_label = sample["labels"] != -100
    return tokenizer.decode(sample["input_ids"][~is_label]), tokenizer.decode(sample["input_ids"][is_label])


def test_turn_samples_are_the_templates_text(causal_tokenizer: PreTrainedTokenizerFast) -> None:
    encoder = ChatTemplateEncoder(causal_tokenizer, NO_LIMIT, NO_LIMIT, "last_turn")
    assert encoder.is_prefix_preserving
    for number, target in enumerate((1, 3)):
        context, labelled = decoded(causal_tokenizer, encoder, number)
        assert context == causal_tokenizer.apply_chat_template(
            MESSAGES[:target], tokenize=False, add_generation_prompt=True
        )
        assert labelled == MESSAGES[target]["content"] + "<|im_end|>"


def test_one_pass_labels_every_reply(causal_tokenizer: PreTrainedTokenizerFast) -> None:
    encoder = ChatTemplateEncoder(causal_tokenizer, NO_LIMIT, NO_LIMIT, "every_turn")
    _, labelled = decoded(causal_tokenizer, encoder, 0)
    assert labelled == "多久了？\n愿意说说吗<|im_end|>我在听<|im_end|>"


def test_loss_and_gradients_are_those_of_turn_samples(causal_tokenizer: PreTrainedTokenizerFast) -> None:
    model = make_causal_model(causal_tokenizer).double()
    collate = PaddingCollator(causal_tokenizer.pad_token_id)
    found = {}
    for loss_on in ("last_turn", "every_turn"):
        encoder = ChatTemplateEncoder(causal_tokenizer, NO_LIMIT, NO_LIMIT, loss_on)
        samples = SampleDataset(encode_dataset(make_rows(8), encoder))
        batch = collate([samples[index] for index in range(len(samples))])
        labels = int((batch["labels"] != -100).sum())
        model.zero_grad()
        loss = model(**batch, num_items_in_batch=labels).loss
        loss.backward()
        found[loss_on] = len(samples), labels, loss, [p.grad.clone() for p in model.parameters()]
    turns, passes = found["last_turn"], found["every_turn"]
    assert passes[0] == 8 < turns[0]
    assert passes[1] == turns[1]
    torch.testing.assert_close(passes[2], turns[2], rtol=1e-7, atol=0)
    torch.testing.assert_close(passes[3], turns[3], rtol=1e-6, atol=1e-9)


def test_a_template_that_rewrites_replies_is_replaced() -> None:
    """Qwen 3's template drops the thought of earlier replies: trained is the form of the last one."""
    tokenizer = make_causal_tokenizer(THINKING)
    encoder = ChatTemplateEncoder(tokenizer, NO_LIMIT, NO_LIMIT, "every_turn")
    assert encoder.one_pass
    assert tokenizer.chat_template != THINKING
    context, labelled = decoded(tokenizer, encoder, 0)
    assert labelled == "多久了？\n愿意说说吗<|im_end|>我在听<|im_end|>"
    assert context.count("<think>\n\n</think>\n\n") == 2


def test_with_thoughts_kept_it_is_turn_split() -> None:
    tokenizer = make_causal_tokenizer(THINKING)
    encoder = ChatTemplateEncoder(tokenizer, NO_LIMIT, NO_LIMIT, "every_turn", thinking="keep")
    assert not encoder.is_prefix_preserving
    assert not encoder.one_pass
    assert tokenizer.chat_template == THINKING
    context, labelled = decoded(tokenizer, encoder, 1)
    assert labelled == "<think>\n\n</think>\n\n我在听<|im_end|>"
    assert "<think>" not in context


def test_a_template_without_end_token_gets_one() -> None:
    """GLM-4's form: the next speaker's mark ends a reply."""
    template = (
        "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
    )
    tokenizer = make_causal_tokenizer(template)
    encoder = ChatTemplateEncoder(tokenizer, NO_LIMIT, NO_LIMIT, "last_turn")
    assert decoded(tokenizer, encoder, 0)[1] == "多久了？\n愿意说说吗<|im_end|>"
    assert encoder.template.render_prompt(MESSAGES[:3]).count("<|im_end|>") == 1


def test_what_is_too_long_is_cut_as_turns(causal_tokenizer: PreTrainedTokenizerFast) -> None:
    def count(text: str) -> int:
        return len(causal_tokenizer(text, add_special_tokens=False)["input_ids"])

    last = causal_tokenizer.apply_chat_template(MESSAGES[2:3], tokenize=False, add_generation_prompt=True)
    for loss_on in ("last_turn", "every_turn"):
        encoder = ChatTemplateEncoder(causal_tokenizer, count(last), 6, loss_on)
        (encoded,) = encoder([CONVERSATION])
        sample = assemble_sample(np.asarray(encoded.ids), encoded.samples[1])
        is_label = sample["labels"] != -100
        assert causal_tokenizer.decode(sample["input_ids"][~is_label]) == last
        assert len(encoded.samples) == 2
        assert encoded.cut_contexts >= 1
        first = assemble_sample(np.asarray(encoded.ids), encoded.samples[0])["labels"]
        assert (first != -100).sum() == 6
        assert first[-1] == causal_tokenizer.eos_token_id
        assert encoded.cut_targets >= 1


def test_a_long_user_turn_keeps_its_frame_and_its_end(causal_tokenizer: PreTrainedTokenizerFast) -> None:
    messages = [Message(role="user", content="很" * 200 + "最后"), Message(role="assistant", content="好")]
    encoder = ChatTemplateEncoder(causal_tokenizer, 40, 64, "last_turn")
    (encoded,) = encoder([TrainingConversation(messages, [1])])
    sample = assemble_sample(np.asarray(encoded.ids), encoded.samples[0])
    context = causal_tokenizer.decode(sample["input_ids"][sample["labels"] == -100])
    assert (sample["labels"] == -100).sum() == 40
    assert context.startswith("<|im_start|>user\n")
    assert context.endswith("最后<|im_end|>\n<|im_start|>assistant\n")
    assert encoded.cut_user_turns == 1


def test_every_reply_of_a_counsellor_who_speaks_twice_is_trained(causal_tokenizer: PreTrainedTokenizerFast) -> None:
    messages = [MESSAGES[0], Message(role="assistant", content="嗯"), Message(role="assistant", content="说说看")]
    encoder = ChatTemplateEncoder(causal_tokenizer, NO_LIMIT, NO_LIMIT, "every_turn")
    (encoded,) = encoder([TrainingConversation(messages, [1, 2])])
    samples = [assemble_sample(np.asarray(encoded.ids), spans) for spans in encoded.samples]
    labelled = [causal_tokenizer.decode(sample["input_ids"][sample["labels"] != -100]) for sample in samples]
    assert labelled == ["嗯<|im_end|>", "说说看<|im_end|>"]


def test_no_template_is_refused() -> None:
    tokenizer = make_causal_tokenizer()
    tokenizer.chat_template = None
    with pytest.raises(ValueError, match="no chat template"):
        ChatTemplateEncoder(tokenizer, 10, 10, "last_turn")


IRREGULAR = [
    "system user assistant user assistant",
    "user user assistant user user user assistant",
    "assistant user assistant",
    "assistant assistant user assistant assistant user assistant",
    "system assistant user assistant",
    "system user user assistant assistant user assistant",
]


@pytest.mark.parametrize("template", [CHATML, THINKING, GEMMA])
@pytest.mark.parametrize("roles", IRREGULAR)
@pytest.mark.parametrize("content", ["第{}句", "  第{}句", "\n第{}句\n", "第{}句<|im_end|>"])
def test_irregular_talks_are_asked_as_they_were_trained(template: str, roles: str, content: str) -> None:
    """Neighbours of one speaker, openings of the counsellor's and system texts, in templates that refuse them.

    Gemma's cuts white space off around what is said, and so off words of the counsellor's that a reply goes on with.
    """
    tokenizer = make_causal_tokenizer(template)
    messages = [{"role": role, "content": content.format(number)} for number, role in enumerate(roles.split())]
    targets = find_targets(messages)
    [encoded] = ChatTemplateEncoder(tokenizer, 400, 400, "last_turn")([TrainingConversation(messages, targets)])
    for target, sample in zip(targets, encoded.samples, strict=True):
        spans = zip(sample[::3], sample[1::3], sample[2::3], strict=True)
        context = [id_ for start, end, labelled in spans if not labelled for id_ in encoded.ids[start:end]]
        assert context == prompt_encoder(tokenizer)(messages[:target])
