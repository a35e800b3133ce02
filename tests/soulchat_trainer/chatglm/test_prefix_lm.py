"""Mask, positions and rotation, as exact small tensors and beside the vectors of the original."""

import pytest
import torch
from transformers import DynamicCache

from soulchat_trainer.chatglm import ChatGLMConfig, ChatGLMForConditionalGeneration
from soulchat_trainer.chatglm.prefix_lm import (
    continue_positions,
    make_attention_mask,
    make_position_ids,
    rotary_table,
    rotate,
)
from tests.soulchat_trainer.chatglm.samples import SMALL, golden_cases, golden_tensors, load_config

CONFIG = ChatGLMConfig(**SMALL)
G, M, S = 101, 100, 104


def mask_of(position_ids: torch.Tensor, attention_mask=None, cache=None, config=CONFIG) -> list[list[int]]:
    mask = make_attention_mask(config, torch.empty(*position_ids[:, 0].shape, 0), attention_mask, position_ids, cache)
    return mask[0, 0].int().tolist()


def test_positions_and_mask_of_a_gmask_prompt():
    positions = make_position_ids(torch.tensor([[7, 8, G, S, 9, 9]]), None, CONFIG)
    assert positions.tolist() == [[[0, 1, 2, 2, 2, 2], [0, 0, 0, 1, 2, 3]]]
    assert mask_of(positions) == [
        [1, 1, 1, 0, 0, 0],
        [1, 1, 1, 0, 0, 0],
        [1, 1, 1, 0, 0, 0],
        [1, 1, 1, 1, 0, 0],
        [1, 1, 1, 1, 1, 0],
        [1, 1, 1, 1, 1, 1],
    ]


def test_the_position_of_the_target_is_that_of_the_mask_token():
    assert make_position_ids(torch.tensor([[7, M, 8, S, 9]]), None, CONFIG)[0, 0].tolist() == [0, 1, 2, 1, 1]
    both = make_position_ids(torch.tensor([[7, M, G, S, 9]]), None, CONFIG)
    assert both[0, 0].tolist() == [0, 1, 2, 2, 2]  # [gMASK] before [MASK]


def test_padding_is_seen_by_itself_alone():
    ids, real = torch.tensor([[3, 7, G, S]]), torch.tensor([[0, 1, 1, 1]])
    positions = make_position_ids(ids, real, CONFIG)
    assert positions.tolist() == [[[0, 0, 1, 1], [0, 0, 0, 1]]]
    assert mask_of(positions, real) == [[1, 1, 1, 0], [0, 1, 1, 0], [0, 1, 1, 0], [0, 1, 1, 1]]
    ids, real = torch.tensor([[7, G, S, 3]]), torch.tensor([[1, 1, 1, 0]])
    positions = make_position_ids(ids, real, CONFIG)
    assert positions[0, :, :3].tolist() == [[0, 1, 1], [0, 0, 1]]
    assert mask_of(positions, real) == [[1, 1, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 1]]


def test_control_tokens_among_the_target_move_nothing():
    positions = make_position_ids(torch.tensor([[7, G, S, 9, S, G]]), None, CONFIG)
    assert positions.tolist() == [[[0, 1, 1, 1, 1, 1], [0, 0, 1, 2, 3, 4]]]
    positions = make_position_ids(torch.tensor([[M, 7, S, 9, G]]), None, CONFIG)
    assert positions.tolist() == [[[0, 1, 0, 0, 0], [0, 0, 1, 2, 3]]]


def test_positions_of_the_callers_own_are_continued():
    """`generate` counts both rows on; the position stays that of <sop>."""
    counted = torch.tensor([[[0, 0, 1, 1, 2, 3], [0, 0, 0, 1, 2, 3]]])
    assert continue_positions(counted).tolist() == [[[0, 0, 1, 1, 1, 1], [0, 0, 0, 1, 2, 3]]]


def test_the_prefix_of_p_tuning_is_seen_by_all():
    positions = make_position_ids(torch.tensor([[3, 7, G, S]]), torch.tensor([[0, 1, 1, 1]]), CONFIG)
    config = ChatGLMConfig(**SMALL, pre_seq_len=2)
    assert mask_of(positions, torch.tensor([[0, 1, 1, 1]]), config=config) == [
        [1, 1, 1, 1, 1, 0],
        [1, 1, 0, 1, 1, 0],
        [1, 1, 0, 1, 1, 0],
        [1, 1, 0, 1, 1, 1],
    ]


def test_a_step_over_a_cache_sees_what_is_real():
    cache = DynamicCache()
    cache.update(torch.zeros(1, 1, 3, 2), torch.zeros(1, 1, 3, 2), 0)
    step = torch.tensor([[[1], [2]]])
    assert make_attention_mask(CONFIG, torch.empty(1, 1, 0), None, step, cache) is None
    assert mask_of(step, torch.tensor([[0, 1, 1, 1]]), cache) == [[0, 1, 1, 1]]
    two = torch.tensor([[[1, 1], [2, 3]]])
    assert mask_of(two, None, cache) == [[1, 1, 1, 1, 0], [1, 1, 1, 1, 1]]


@pytest.mark.parametrize(("folder", "case"), golden_cases())
def test_positions_and_masks_equal_those_of_the_original(folder: str, case: str):
    tensors, config = golden_tensors(folder, case), load_config(folder)
    if case == "both_masks_tokenizer_rule":
        pytest.skip("the padding code of the original tokenizer disagrees with the model, whose rule is ours")
    real = tensors["input_ids"] != config.pad_token_id
    if case == "batch3_right_train":
        real = torch.ones_like(real)  # the training script of the original gives no mask
    positions = make_position_ids(tensors["input_ids"], real, config)
    assert torch.equal(positions, tensors["position_ids"])
    mask = make_attention_mask(config, torch.empty(*real.shape, 0), real, positions, None)
    mask = mask[..., config.pre_seq_len or 0 :]
    hidden = tensors["attention_mask"].expand_as(mask)
    rows = real[:, None, :, None].expand_as(mask)
    assert torch.equal(mask[rows], ~hidden[rows])


def test_the_rotary_table_is_that_of_float16_frequencies():
    """Row by row the table of the original, whose width is half a head."""
    expected = golden_tensors("tiny3", "rotary")
    length = len(expected["cos"])
    positions = torch.arange(length).expand(1, 2, length)
    cos, sin = (table[0, :, 0, 0, 0] for table in rotary_table(positions, 16, torch.float32))
    torch.testing.assert_close(cos, expected["cos"].reshape(length, -1)[:, :4], atol=1e-6, rtol=0)
    torch.testing.assert_close(sin, expected["sin"].reshape(length, -1)[:, :4], atol=1e-6, rtol=0)


def test_rotation_turns_each_half_of_a_head_by_its_own_row():
    positions = torch.tensor([[[3], [5]]])
    cos, sin = rotary_table(positions, 4, torch.float32)
    turned = rotate(torch.tensor([1.0, 0.0, 1.0, 0.0]).expand(1, 1, 1, 1, 4), cos, sin).flatten()
    angles = torch.tensor([3.0, 5.0])
    torch.testing.assert_close(turned, torch.stack([angles.cos(), angles.sin()], 1).flatten())


def test_a_float_mask_of_four_dimensions_is_refused() -> None:
    model = ChatGLMForConditionalGeneration(CONFIG)
    ids = torch.tensor([[9, G, S]])
    with pytest.raises(ValueError, match=r"attention_mask is 4-D and torch.float32; allowed in 4-D: bool"):
        model(ids, attention_mask=torch.zeros(1, 1, 3, 3))


@pytest.mark.parametrize("shape", [(1, 1, 3, 4), (2, 1, 3, 3), (1, 3, 3, 3), (1, 1, 2, 3)])
def test_a_mask_of_four_dimensions_has_the_shape_of_the_scores(shape: tuple[int, ...]) -> None:
    model = ChatGLMForConditionalGeneration(CONFIG)
    ids = torch.tensor([[9, G, S]])
    with pytest.raises(ValueError, match=r"attention_mask has shape \[.*\]; allowed in 4-D: \[1, 4, 3, 3\], or 1"):
        model(ids, attention_mask=torch.ones(shape, dtype=torch.bool))
    whole = torch.ones(1, 4, 3, 3, dtype=torch.bool)
    assert torch.equal(model(ids, attention_mask=whole).logits, model(ids, attention_mask=whole[:, :1, :1]).logits)


@pytest.mark.parametrize("strict", [False, True])
def test_a_plain_call_is_exported(strict: bool) -> None:
    """Values are checked in a call, of which an exported graph has none."""
    model = ChatGLMForConditionalGeneration(CONFIG).eval()
    ids = torch.tensor([[9, 10, G, S]])
    mask = torch.ones_like(ids)
    exported = torch.export.export(
        model, (), {"input_ids": ids, "attention_mask": mask, "use_cache": False}, strict=strict
    )
    with torch.no_grad():
        expected = model(ids, attention_mask=mask, use_cache=False).logits
        found = exported.module()(input_ids=ids, attention_mask=mask, use_cache=False).logits
    torch.testing.assert_close(found, expected)
