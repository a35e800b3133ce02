"""What makes ChatGLM a prefix language model: the mask, the two rows of positions, and the rotation by them.

For the row `a b [gMASK] <sop> x y` (a, b context; x, y target), ■ = sees, · = does not:

             a b g s x y        position        0 1 2 2 2 2    grows on the context, then stays that of [gMASK]
    a        ■ ■ ■ · · ·        block position  0 0 0 1 2 3    0 on the context, then counts from <sop>
    b        ■ ■ ■ · · ·
    [gMASK]  ■ ■ ■ · · ·
    <sop>    ■ ■ ■ ■ · ·
    x        ■ ■ ■ ■ ■ ·
    y        ■ ■ ■ ■ ■ ■

A padded token is seen by nobody but itself, so that no row of the softmax is empty. The virtual tokens of P-Tuning
stand before all keys and are seen by everybody.
"""

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, create_block_mask
from transformers import Cache

from .configuration_chatglm import ChatGLMConfig


def make_position_ids(input_ids: Tensor, attention_mask: Tensor | None, config: ChatGLMConfig) -> Tensor:
    """The two rows of positions [b, 2, s] int64 of `input_ids` [b, s].

    `attention_mask` [b, s]: 1 = a real token; positions count from the first real token; padding has 0 on the left.
    The context ends before the first `<sop>`; its mask token is [gMASK] where it has one, else [MASK].
    Raises `ValueError` for an id outside the vocabulary, a row without `<sop>` or mask token, padding on the left that
    the mask does not tell of, and a row beyond `max_sequence_length`.
    """
    if input_ids.dim() != 2 or input_ids.shape[1] == 0:
        raise ValueError(
            f"input_ids have shape {list(input_ids.shape)}; allowed: [batch, tokens], each row with [gMASK] <sop>"
        )
    if attention_mask is None or attention_mask.dim() == 4:
        real = torch.ones_like(input_ids)
    elif attention_mask.shape == input_ids.shape:
        real = (attention_mask != 0).long().to(input_ids.device)
    else:
        raise ValueError(f"attention_mask has shape {list(attention_mask.shape)}, input_ids {list(input_ids.shape)}")
    is_bos = (input_ids == config.bos_token_id) & (real == 1)
    column = torch.arange(input_ids.shape[1], device=input_ids.device).expand_as(input_ids)
    context_end = is_bos.long().argmax(1, keepdim=True)
    in_context = (real == 1) & (column < context_end)  # what a model writes into a target is no mask token of its row
    is_gmask = (input_ids == config.gmask_token_id) & in_context
    is_mask = (input_ids == config.mask_token_id) & in_context
    has_gmask = is_gmask.any(1, keepdim=True)
    is_anchor = torch.where(has_gmask, is_gmask, is_mask)
    wrong = torch.stack(
        [
            ((input_ids < 0) | (input_ids >= config.vocab_size)).any(1),
            ~is_bos.any(1),
            ~is_anchor.any(1),
            (input_ids[:, 0] == config.pad_token_id) & (real[:, 0] == 1),
            real.sum(1) > config.max_sequence_length,
        ]
    )
    if not torch.compiler.is_exporting():  # there are no values yet while a graph is exported
        _refuse_wrong(input_ids, real, wrong, config)

    start = real.argmax(1, keepdim=True)
    anchor = is_anchor.long().argmax(1, keepdim=True)
    position = (torch.where(column < context_end, column, anchor) - start).clamp(min=0)
    block_position = (column - context_end + 1).clamp(min=0)
    return torch.stack([position, block_position], dim=1)


def continue_positions(position_ids: Tensor) -> Tensor:
    """Positions [b, 2, s] of which both rows were counted on for the target: the first row's stays that of <sop>."""
    position, block_position = position_ids.unbind(1)
    bos = (block_position == 1).long().argmax(1, keepdim=True)
    return torch.stack([torch.where(block_position > 0, position.gather(1, bos), position), block_position], dim=1)


@torch.compiler.disable
def _refuse_wrong(input_ids: Tensor, real: Tensor, wrong: Tensor, config: ChatGLMConfig) -> None:
    if not wrong.any():  # one synchronisation with the device for all checks
        return
    check, row = (int(index) for index in wrong.nonzero()[0])
    causes = (
        f"input_ids has ids from {int(input_ids[row].min())} to {int(input_ids[row].max())}; the vocabulary has 0 to "
        f"{config.vocab_size - 1}",
        f"no <sop> (id {config.bos_token_id}) in input_ids; a prompt ends in [gMASK] <sop>",
        f"no [gMASK] (id {config.gmask_token_id}) or [MASK] (id {config.mask_token_id}) in input_ids",
        f"input_ids begins with padding (id {config.pad_token_id}) that no attention_mask tells of",
        f"a sequence of {int(real[row].sum())} tokens is beyond max_sequence_length {config.max_sequence_length}",
    )
    raise ValueError(f"row {row}: {causes[check]}")


def check_positions(input_ids: Tensor | None, position_ids: Tensor, config: ChatGLMConfig) -> None:
    """Raises `ValueError` where a call that brings its own positions has an id or a position that does not exist."""
    if position_ids.dim() != 3 or position_ids.shape[1] != 2:
        raise ValueError(f"position_ids have shape {list(position_ids.shape)}; allowed: [batch, 2, tokens]")
    beyond = position_ids.sum(1).max() >= config.max_sequence_length
    unknown = torch.zeros_like(beyond)
    if input_ids is not None:
        unknown = ((input_ids < 0) | (input_ids >= config.vocab_size)).any().to(beyond.device)
    if beyond | unknown:
        if input_ids is not None and unknown:
            low, high = int(input_ids.min()), int(input_ids.max())
            raise ValueError(f"input_ids go from {low} to {high}; the vocabulary has 0 to {config.vocab_size - 1}")
        raise ValueError(f"position_ids are beyond max_sequence_length {config.max_sequence_length}")


def make_attention_mask(
    config: ChatGLMConfig,
    inputs_embeds: Tensor,
    attention_mask: Tensor | None,
    position_ids: Tensor,
    cache: Cache | None,
) -> Tensor | BlockMask | None:
    """The prefix mask of this call, bool [b, 1, s, k], True = sees; a `BlockMask` for flex attention.

    `inputs_embeds` [b, s, …] tells size and device; `attention_mask` [b, past + s], 1 = real, or a finished bool mask
    [b, 1, s, k]; `position_ids` [b, 2, s].
    Keys are: the P-Tuning prefix, what the cache holds, this call. None where one token sees every key.
    """
    batch, length = inputs_embeds.shape[:2]
    device = inputs_embeds.device
    past_length, key_length = 0, length
    if cache is not None:
        past_length = cache.get_seq_length()
        key_length, _ = cache.get_mask_sizes(length, 0)
    prefix_length = config.pre_seq_len or 0
    if attention_mask is not None and attention_mask.dim() == 4:
        _check_whole_mask(attention_mask, [batch, config.num_attention_heads, length, key_length + prefix_length])
        return attention_mask
    if isinstance(past_length, int) and key_length == past_length + length:  # not a static cache
        if attention_mask is None and length == 1:
            return None
        if attention_mask is not None and attention_mask.shape != (batch, key_length):
            raise ValueError(
                f"attention_mask has shape {list(attention_mask.shape)}; allowed: [{batch}, {key_length}] for "
                f"{past_length} cached and {length} new tokens"
            )

    own_columns = torch.arange(length, device=device) + past_length
    in_context = torch.zeros(batch, key_length, dtype=torch.bool, device=device)
    in_context = in_context.index_copy(1, own_columns, position_ids[:, 1].to(device) == 0)
    if attention_mask is None:
        is_real = torch.ones_like(in_context)
    else:
        is_real = F.pad(attention_mask.to(device) != 0, (0, key_length - attention_mask.shape[1]))
    if prefix_length:
        in_context, is_real = (F.pad(keys, (prefix_length, 0), value=True) for keys in (in_context, is_real))
    first_query = past_length + prefix_length

    def sees(b: Tensor, _: Tensor, query: Tensor, key: Tensor) -> Tensor:
        own = query + first_query
        return (((key <= own) | in_context[b, key]) & is_real[b, key]) | (key == own)

    key_length = key_length + prefix_length
    if config.attention == "flex_attention":
        return create_block_mask(sees, batch, None, length, key_length, device=device)
    rows = torch.arange(batch, device=device)[:, None, None, None]
    queries = torch.arange(length, device=device)[:, None]
    return sees(rows, rows, queries, torch.arange(key_length, device=device))


def _check_whole_mask(mask: Tensor, shape: list[int]) -> None:
    if mask.dtype is not torch.bool:
        raise ValueError(f"attention_mask is 4-D and {mask.dtype}; allowed in 4-D: bool, True = sees")
    if any(found not in (1, wanted) for found, wanted in zip(mask.shape, shape, strict=True)):
        raise ValueError(
            f"attention_mask has shape {list(mask.shape)}; allowed in 4-D: {shape}, or 1 in place of a size"
        )


def rotary_table(position_ids: Tensor, head_dim: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Cosine and sine, each [b, s, 1, 1, 2, d / 4], of the angles of both rows of `position_ids` [b, 2, s].

    The frequencies are rounded to float16, as the original was trained with them; the angles are float32 (the
    original's products in half precision are coarser, bfloat16 by up to a radian).
    """
    half = head_dim // 2
    powers = torch.arange(0, half, 2, dtype=torch.float32, device=position_ids.device) / half
    frequencies = (1.0 / 10000.0**powers).to(torch.float16).float()
    angles = position_ids.transpose(1, 2)[:, :, None, None, :, None].float() * frequencies
    return angles.cos().to(dtype), angles.sin().to(dtype)


def rotate(states: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn `states` [b, s, n, …, d]: the first half of d by the position, the second by the block position.

    Inside each half the pairs are (i, i + d / 4).
    """
    first, second = states.unflatten(-1, (2, 2, -1)).unbind(-2)
    return torch.stack([first * cos - second * sin, second * cos + first * sin], dim=-2).flatten(-3)
