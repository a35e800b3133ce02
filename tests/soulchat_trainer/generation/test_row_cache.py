"""The cache whose rows come and go: what it holds after every kind of move."""

import pytest
import torch
from transformers import DynamicCache

from soulchat_trainer.generation import row_cache
from soulchat_trainer.generation.row_cache import RowCache

HEADS, WIDTH, LAYERS = 2, 3, 2


def prompt_cache(rows: int, columns: int, start: float) -> DynamicCache:
    """Keys that count on from `start` over rows and columns; values are their negatives."""
    cache = DynamicCache()
    keys = torch.arange(rows * columns, dtype=torch.float32).view(rows, 1, columns, 1) + start
    keys = keys.expand(rows, HEADS, columns, WIDTH)
    for layer in range(LAYERS):
        cache.update(keys + 1000 * layer, -keys - 1000 * layer, layer)
    return cache


def step(cache: RowCache, token: float) -> torch.Tensor:
    """One token for each row, as a forward pass does it; returns layer 0's keys [rows, columns] of one head."""
    cache.make_room()
    states = torch.full((cache.span.rows, HEADS, 1, WIDTH), token)
    held = [cache.update(states + 1000 * layer, -states - 1000 * layer, layer) for layer in range(LAYERS)]
    cache.advance()
    first, second = held
    assert all(torch.equal(keys, -values) for keys, values in held)
    assert torch.equal((second[0] - 1000)[second[0] != 0], first[0][second[0] != 0])
    return first[0][:, 0, :, 0]


def test_rows_of_other_lengths_join_and_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(row_cache, "COLUMN_BLOCK", 2)
    first = prompt_cache(rows=2, columns=3, start=10)
    cache = RowCache(max_rows=4, like=first)
    cache.append(first)
    assert step(cache, 1).tolist() == [[10, 11, 12, 1], [13, 14, 15, 1]]

    cache.append(prompt_cache(rows=1, columns=2, start=20))  # narrower: laid before the common column
    assert step(cache, 2).tolist() == [[10, 11, 12, 1, 2], [13, 14, 15, 1, 2], [0, 0, 20, 21, 2]]

    cache.append(prompt_cache(rows=1, columns=7, start=30))  # wider: the others get columns in front
    keys = step(cache, 3)
    assert keys[3].tolist() == [30, 31, 32, 33, 34, 35, 36, 3]
    assert keys[0, 2:].tolist() == [10, 11, 12, 1, 2, 3]
    assert torch.isfinite(keys).all()

    cache.move_row(source=2, target=0)
    cache.keep(rows=1, columns=4)
    assert cache.get_seq_length() == 4
    assert step(cache, 4).tolist() == [[20, 21, 2, 3, 4]]

    cache.keep(rows=0, columns=0)
    cache.append(prompt_cache(rows=2, columns=1, start=40))
    assert step(cache, 5).tolist() == [[40, 5], [41, 5]]


def test_mask_sizes_are_those_of_the_columns_in_use() -> None:
    first = prompt_cache(rows=1, columns=3, start=0)
    cache = RowCache(max_rows=1, like=first)
    cache.append(first)
    assert cache.get_mask_sizes(1, 0) == (4, 0)


def test_layers_of_different_widths_are_refused() -> None:
    cache = prompt_cache(rows=1, columns=3, start=0)
    rows = RowCache(max_rows=1, like=cache)
    cache.layers[1].keys = cache.layers[1].keys[:, :, 1:]
    with pytest.raises(ValueError, match="full attention"):
        rows.append(cache)
