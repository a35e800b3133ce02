"""Preferences as rows of a context and two replies."""

import numpy as np
import pytest
import torch
from datasets import Dataset
from transformers import PreTrainedTokenizerFast, Qwen2Config

from soulchat_trainer.chatglm import ChatGLMTokenizer
from soulchat_trainer.chatglm.prefix_lm import make_attention_mask, make_position_ids
from soulchat_trainer.encoding.chat_template import ChatTemplateEncoder
from soulchat_trainer.encoding.paper_form import ChatGLMEncoder
from soulchat_trainer.encoding.preferences import (
    PreferenceCollator,
    PreferenceDataset,
    encode_preferences,
    part,
    share,
)
from soulchat_trainer.encoding.prompts import prompt_encoder
from soulchatcorpus.reading.pairs import JUDGED_FEATURES
from tests.soulchat_trainer.preference_parts import make_judged, make_pairs
from tests.soulchat_trainer.training_parts import make_chatglm

BATCH = {
    "input_ids": torch.tensor([[5, 6, 7, 8, 9, 0], [5, 6, 7, 8, 0, 0]]),
    "labels": torch.tensor([[-100, -100, 7, 8, 9, -100], [-100, 6, 7, 8, -100, -100]]),
    "segments": torch.tensor([[0, 0, 1, 1, 2, -1], [0, 1, 2, 2, -1, -1]]),
}


def test_a_row_is_the_prompt_as_it_is_asked_and_both_replies(chatglm_tokenizer: ChatGLMTokenizer) -> None:
    rows = make_pairs(5)
    encoder = ChatGLMEncoder(chatglm_tokenizer, 128, 64)
    encoded = encode_preferences(rows, encoder)
    ask = prompt_encoder(chatglm_tokenizer)
    for row, each in zip(rows, encoded, strict=True):
        assert each["context"] == ask(row["prompt"])[:-1]  # a whole prompt has the <sop>, too
        for reply, ids in ((row["chosen"], each["first"]), (row["rejected"], each["second"])):
            assert ids == [
                chatglm_tokenizer.bos_token_id,
                *chatglm_tokenizer.encode_texts([reply])[0],
                chatglm_tokenizer.eos_token_id,
            ]
    sample = PreferenceDataset(encoded)[0]
    assert sample["segments"].tolist() == np.repeat([0, 1, 2], [len(encoded[0][n]) for n in ENCODED]).tolist()
    assert (sample["labels"] == -100).tolist() == (sample["segments"] == 0).tolist()


ENCODED = ("context", "first", "second")


def test_a_long_prompt_is_cut_alike_for_both_replies(causal_tokenizer: PreTrainedTokenizerFast) -> None:
    encoder = ChatTemplateEncoder(causal_tokenizer, 40, 5, "last_turn")
    samples = PreferenceDataset(encode_preferences(make_pairs(12), encoder))
    assert samples.cuts["cut_contexts"] > 0
    assert samples.cuts["cut_targets"] > 0
    assert "contexts beyond 40 tokens lost their oldest turns" in samples.describe_cuts(40, 5)
    for sample in samples:
        assert (sample["segments"] == 0).sum() <= 40
        for segment in (1, 2):
            reply = sample["input_ids"][sample["segments"] == segment]
            assert len(reply) <= 5
            assert reply[-1] == causal_tokenizer.eos_token_id


def test_a_judged_reply_has_one_to_another_prompt_beside_it(causal_tokenizer: PreTrainedTokenizerFast) -> None:
    """The one before it, as TRL has it, but never one to the same prompt."""
    rows = make_judged(4).to_list()
    rows[2]["prompt"] = rows[1]["prompt"]
    encoder = ChatTemplateEncoder(causal_tokenizer, 128, 64, "last_turn")
    encoded = encode_preferences(Dataset.from_list(rows, features=JUDGED_FEATURES), encoder)
    assert encoded["second"] == [encoded["first"][number] for number in (3, 0, 0, 2)]
    assert PreferenceDataset(encoded).is_good.tolist() == [True, False, True, False]
    same = [row | {"prompt": rows[0]["prompt"]} for row in rows]
    with pytest.raises(ValueError, match="all rows have one prompt; allowed for kto: several"):
        encode_preferences(Dataset.from_list(same, features=JUDGED_FEATURES), encoder)


def test_shared_rows_of_a_causal_model() -> None:
    call = share(BATCH, Qwen2Config())
    assert call.inputs["position_ids"].tolist() == [[0, 1, 2, 3, 2, 0], [0, 1, 1, 2, 0, 0]]
    assert call.inputs["predicted_from"].tolist() == [[-1, 0, 1, 2, 1, 4], [-1, 0, 0, 2, 3, 4]]
    assert call.inputs["attention_mask"][0, 0].long().tolist() == [
        [1, 0, 0, 0, 0, 0],
        [1, 1, 0, 0, 0, 0],
        [1, 1, 1, 0, 0, 0],
        [1, 1, 1, 1, 0, 0],
        [1, 1, 0, 0, 1, 0],
        [0, 0, 0, 0, 0, 1],
    ]
    assert call.places.tolist() == [0, 0, 1, 2, 3, 3]


def test_shared_rows_of_chatglm_have_the_positions_of_each_reply(chatglm_tokenizer: ChatGLMTokenizer) -> None:
    """The mask and the positions that the model makes itself for context and reply alone."""
    model = make_chatglm(chatglm_tokenizer)
    samples = PreferenceDataset(encode_preferences(make_pairs(3), ChatGLMEncoder(chatglm_tokenizer, 128, 64)))
    batch = PreferenceCollator(chatglm_tokenizer.pad_token_id)(list(samples))
    call = share(batch, model.config)
    for row in range(3):
        for segment in (1, 2):
            kept = (batch["segments"][row] == 0) | (batch["segments"][row] == segment)
            ids = batch["input_ids"][row : row + 1, kept]
            positions = make_position_ids(ids, None, model.config)
            assert torch.equal(call.inputs["position_ids"][row][:, kept], positions[0])
            mask = make_attention_mask(model.config, ids[..., None], None, positions, None)
            assert torch.equal(call.inputs["attention_mask"][row, 0][kept][:, kept], mask[0, 0])


def test_reference_log_probabilities_keep_every_bit(chatglm_tokenizer: ChatGLMTokenizer) -> None:
    """A batch has no floats, which transformers would cast to DeepSpeed's dtype."""
    samples = PreferenceDataset(encode_preferences(make_pairs(3), ChatGLMEncoder(chatglm_tokenizer, 128, 64)))
    samples.reference = np.array([[-123.4, -0.1], [-700.3, -5.0], [-1.0, -2.0]], dtype=np.float32)
    batch = PreferenceCollator(chatglm_tokenizer.pad_token_id)(list(samples))
    assert not any(values.is_floating_point() for values in batch.values())
    assert np.array_equal(batch["reference_bits"].view(torch.float32).numpy(), samples.reference)


def test_parted_rows() -> None:
    """All first replies, then all second ones; a labelled context is labelled once."""
    call = part(BATCH)
    assert call.inputs["attention_mask"].tolist() == [[1, 1, 1, 1], [1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 0]]
    assert (call.inputs["input_ids"] * call.inputs["attention_mask"]).tolist() == [
        [5, 6, 7, 8],
        [5, 6, 0, 0],
        [5, 6, 9, 0],
        [5, 7, 8, 0],
    ]
    assert call.inputs["labels"].tolist() == [
        [-100, -100, 7, 8],
        [-100, 6, -100, -100],
        [-100, -100, 9, -100],
        [-100, 7, 8, -100],
    ]
    assert call.places.tolist() == [0, 0, 2, 1, 3, 3]
    learned = BATCH | {"labels": torch.where(BATCH["segments"] >= 0, BATCH["input_ids"], -100)}
    learned["labels"][:, 0] = -100
    assert part(learned).places.tolist() == [-1, 0, 0, 2, 1, 3, 3]
    assert sorted(share(learned, Qwen2Config()).places.tolist()) == sorted(part(learned).places.tolist())
