"""Thoughts stay out of replies, and one pass equals turn by turn, with the template of every family."""

import functools
import importlib.util
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast

from soulchat_trainer.data import TrainingConversation
from soulchat_trainer.encoding.chat_template import ChatTemplateEncoder
from soulchat_trainer.encoding.collator import PaddingCollator, SampleDataset, assemble_sample
from soulchat_trainer.encoding.prompts import ChatTemplate, prompt_encoder
from soulchat_trainer.encoding.spans import encode_dataset
from soulchat_trainer.encoding.training_form import find_parts, write_template
from soulchatcorpus import Message
from tests.soulchat_trainer.encoding.families import FAMILIES, Family
from tests.soulchat_trainer.training_parts import make_causal_model, make_causal_tokenizer, make_rows

NO_LIMIT = 1_000_000
every_family = pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
TALK = [
    Message(role="user", content="我最近睡不着"),
    Message(role="assistant", content="多久了？\n愿意说说吗"),
    Message(role="user", content="两个月"),
    Message(role="assistant", content="我在听"),
    Message(role="user", content="谢谢"),
    Message(role="assistant", content="不客气。"),
]
TARGETS = [1, 3, 5]
# How the training form comes about, for docs/training.md.
KEEPS_TEMPLATE = {"qwen2.5", "qwen3-instruct-2507", "llama-3", "gemma-3", "internlm", "mistral", "deepseek-v3"}


@functools.cache
def make_encoder(family: Family, loss_on: str = "last_turn") -> ChatTemplateEncoder:
    return ChatTemplateEncoder(family.make_tokenizer(), NO_LIMIT, NO_LIMIT, loss_on)


def parts_of(encoder: ChatTemplateEncoder, messages: list[Message], targets: list[int]) -> list[tuple[str, str]]:
    """Text of context and of labelled part of each sample."""
    (encoded,) = encoder([TrainingConversation(messages, targets)])
    found = []
    for spans in encoded.samples:
        sample = assemble_sample(np.asarray(encoded.ids), spans)
        is_label = sample["labels"] != -100
        found.append(tuple(encoder.tokenizer.decode(sample["input_ids"][where]) for where in (~is_label, is_label)))
    return found


def without_marks(tokenizer: PreTrainedTokenizerFast, text: str) -> str:
    """As a decoded reply is shown."""
    return re.sub("|".join(map(re.escape, tokenizer.all_special_tokens)), "", text).strip()


@every_family
def test_a_target_is_the_reply_and_its_end(family: Family) -> None:
    encoder = make_encoder(family)
    for number, (context, target) in zip(TARGETS, parts_of(encoder, TALK, TARGETS), strict=True):
        said, end, rest = target.partition(encoder.tokenizer.eos_token)
        assert without_marks(encoder.tokenizer, said) == TALK[number]["content"]
        assert (end, rest) == (encoder.tokenizer.eos_token, "")
        assert context == encoder.template.render_prompt(encoder.template.prepare(TALK[:number]))


@every_family
def test_prompt_and_target_are_the_beginning_of_the_whole(family: Family) -> None:
    """What a server with the saved template writes."""
    encoder = make_encoder(family)
    whole = encoder.tokenizer.apply_chat_template(TALK, tokenize=False)
    for context, target in parts_of(encoder, TALK, TARGETS):
        assert whole.startswith(context + target)


@every_family
def test_the_saved_template_asks_without_being_told(family: Family, tmp_path: str) -> None:
    encoder = make_encoder(family)
    encoder.tokenizer.save_pretrained(tmp_path)
    loaded = PreTrainedTokenizerFast.from_pretrained(tmp_path)
    asked = loaded.apply_chat_template(TALK[:3], tokenize=True, add_generation_prompt=True, return_dict=False)
    assert asked == prompt_encoder(loaded)(TALK[:3]) == encoder.template.prompt_ids(TALK[:3])
    assert not loaded.decode(asked).rstrip().endswith("<think>")


@every_family
def test_a_first_turn_is_asked_as_the_family_is(family: Family) -> None:
    """The training form changes what stands before a second reply, never before the first."""
    asked = ChatTemplate(family.make_tokenizer()).render_prompt(TALK[:1])
    trained = make_encoder(family).template.render_prompt(TALK[:1])
    assert trained.rstrip("\n") == asked.rstrip("\n")
    assert (make_encoder(family).tokenizer.chat_template == family.template) == (family.name in KEEPS_TEMPLATE)


@pytest.mark.parametrize(
    ("name", "end"), [("gemma-3", "<end_of_turn>"), ("phi-3", "<|end|>"), ("qwen2.5", "<|im_end|>")]
)
def test_the_templates_own_mark_ends_a_reply(name: str, end: str, tmp_path: Path) -> None:
    """Whatever the tokenizer calls its end token; what is saved stops there."""
    [family] = [family for family in FAMILIES if family.name == name]
    encoder = make_encoder(family, "every_turn")
    assert parts_of(encoder, TALK[:2], [1]) == [(encoder.template.render_prompt(TALK[:1]), TALK[1]["content"] + end)]
    assert encoder.tokenizer.eos_token == end
    assert encoder.one_pass
    encoder.tokenizer.save_pretrained(tmp_path)
    assert PreTrainedTokenizerFast.from_pretrained(tmp_path).eos_token == end


def test_phi_3_is_asked_in_its_own_form() -> None:
    [family] = [family for family in FAMILIES if family.name == "phi-3"]
    assert make_encoder(family).template.render_prompt(TALK[:3]) == (
        "<|user|>\n我最近睡不着<|end|>\n<|assistant|>\n多久了？\n愿意说说吗<|end|>\n"
        "<|user|>\n两个月<|end|>\n<|assistant|>\n"
    )


@every_family
def test_a_training_form_is_its_own(family: Family) -> None:
    tokenizer = family.make_tokenizer()
    tokenizer.chat_template = first = write_template(find_parts(ChatTemplate(tokenizer)))
    assert write_template(find_parts(ChatTemplate(tokenizer))) == first
    assert ChatTemplateEncoder(tokenizer, NO_LIMIT, NO_LIMIT, "every_turn").one_pass
    assert tokenizer.chat_template == first


@every_family
def test_one_pass_is_turn_by_turn(family: Family) -> None:
    """In loss and gradients."""
    found = {}
    for loss_on in ("last_turn", "every_turn"):
        encoder = make_encoder(family, loss_on)
        model = make_causal_model(encoder.tokenizer).double()
        samples = SampleDataset(encode_dataset(make_rows(4), encoder))
        collate = PaddingCollator(encoder.tokenizer.pad_token_id)
        batch = collate([samples[index] for index in range(len(samples))])
        labels = int((batch["labels"] != -100).sum())
        loss = model(**batch, num_items_in_batch=labels).loss
        loss.backward()
        found[loss_on] = len(samples), labels, loss, [p.grad.clone() for p in model.parameters()]
    turns, passes = found["last_turn"], found["every_turn"]
    assert passes[0] == 4 < turns[0]
    assert passes[1] == turns[1]
    torch.testing.assert_close(passes[2:], turns[2:], rtol=1e-6, atol=1e-7)


@every_family
@settings(max_examples=25)
@given(
    talk=st.lists(
        st.tuples(st.sampled_from(["user", "assistant"]), st.sampled_from(["你好 ", "我在。", " 嗯\n", ""]))
    ),
    system=st.sampled_from([None, "温暖地回答"]),
)
def test_no_order_of_speakers_is_refused(family: Family, talk: list[tuple[str, str]], system: str | None) -> None:
    """Two of one speaker in a row, an opening of the counsellor's, a system text."""
    messages = [Message(role=role, content=text) for role, text in talk]
    messages = [*([Message(role="system", content=system)] if system else []), *messages]
    messages += [Message(role="user", content="最后"), Message(role="assistant", content="好")]
    ((context, target),) = parts_of(make_encoder(family), messages, [len(messages) - 1])
    assert target.strip().startswith("好")
    assert "最后" in context
    assert system is None or system in context


@every_family
def test_typed_control_tokens_stay_text(family: Family) -> None:
    """Of every family its own, marks of thoughts among them: in samples, and in the prompt of a chat."""
    encoder = make_encoder(family)
    controls = encoder.tokenizer.added_tokens_decoder

    def count(words: str) -> list[int]:
        talk = [Message(role=role, content=words) for role in ("system", "user", "assistant", "user", "assistant")]
        (encoded,) = encoder([TrainingConversation(talk, [2, 4])])
        samples = [assemble_sample(np.asarray(encoded.ids), spans)["input_ids"] for spans in encoded.samples]
        samples.append(np.asarray(prompt_encoder(encoder.tokenizer)(talk[:4])))
        return [sum(int(number) in controls for number in sample) for sample in samples]

    assert count("".join(token.content for token in controls.values())) == count("好")


@every_family
def test_thoughts_that_are_kept_are_asked_for(family: Family) -> None:
    """In the template's own way, which is learned with an empty thought, where it has any."""
    tokenizer = family.make_tokenizer()
    encoder = ChatTemplateEncoder(tokenizer, NO_LIMIT, NO_LIMIT, "every_turn", thinking="keep")
    assert tokenizer.chat_template == family.template
    asked = encoder.template.render_prompt(TALK[:1])
    thinks = {"qwen3-thinking-2507", "qwen3.5-think", "qwen3.5", "qwen3.6", "deepseek-r1-distill"}
    assert asked.endswith("<think>\n") == (family.name in thinks)
    target = parts_of(encoder, TALK[:2], [1])[0][1]
    assert target.endswith(tokenizer.eos_token)
    assert without_marks(tokenizer, target).endswith(TALK[1]["content"])


def test_qwen3_keeps_its_thought_out_of_the_reply() -> None:
    encoder = make_encoder(next(family for family in FAMILIES if family.name == "qwen3"), "every_turn")
    ((_, labelled),) = parts_of(encoder, TALK[:4], [1, 3])
    assert labelled == "多久了？\n愿意说说吗<|im_end|>我在听<|im_end|>"
    assert encoder.tokenizer.apply_chat_template(TALK[:4], tokenize=False) == (
        "<|im_start|>user\n我最近睡不着<|im_end|>\n"
        "<|im_start|>assistant\n<think>\n\n</think>\n\n多久了？\n愿意说说吗<|im_end|>\n"
        "<|im_start|>user\n两个月<|im_end|>\n"
        "<|im_start|>assistant\n<think>\n\n</think>\n\n我在听<|im_end|>\n"
    )


def trl_templates() -> list[Path]:
    """The families' own templates, as TRL ships them; those of models that see take parts of messages, not texts."""
    trl = importlib.util.find_spec("trl")
    folders = trl.submodule_search_locations if trl else []
    files = [path for folder in folders or [] for path in sorted((Path(folder) / "chat_templates").glob("*.jinja"))]
    return [path for path in files if not path.name.startswith(("idefics", "llava", "smolvlm"))]


CONTROL_TOKEN = re.compile(
    r"<\|[^|<>{}' ]+\|>|<｜[^<>{}']+?｜>|<bos>|<(?:start|end)_of_turn>|<turn\|>|<\|turn>|<sop>|\[gMASK\]"
)


@pytest.mark.slow
@pytest.mark.parametrize("path", trl_templates(), ids=lambda path: path.stem)
def test_the_families_own_templates(path: Path) -> None:
    """Each reply is learned without a tag, in one pass as turn by turn, as the saved template writes it."""
    template = path.read_text(encoding="utf-8")
    tokens = sorted({*CONTROL_TOKEN.findall(template), "<|endoftext|>", "<s>", "</s>"})
    probe = make_causal_tokenizer(template, tokens, ("<think>", "</think>"), "</s>", "<s>")
    end = CONTROL_TOKEN.match(ChatTemplate(probe).after_reply([Message(role="user", content="你好")]).lstrip())
    eos = end[0] if end else "<|endoftext|>"
    if "cohere" in path.stem:  # its mark of a reply's end has the end token behind it
        eos = "<|END_OF_TURN_TOKEN|>"
    family = Family(path.stem, template, tuple(tokens), eos=eos, bos="<s>")
    encoder = make_encoder(family, "every_turn")
    assert encoder.one_pass
    whole = encoder.tokenizer.apply_chat_template(TALK, tokenize=False)
    turns = parts_of(make_encoder(family), TALK, TARGETS)
    for number, (context, target) in zip(TARGETS, turns, strict=True):
        assert without_marks(encoder.tokenizer, target) == TALK[number]["content"]
        assert whole.startswith(context + target)
        assert "think" not in target
    ((_, labelled),) = parts_of(encoder, TALK, TARGETS)
    assert labelled == "".join(target for _, target in turns)
