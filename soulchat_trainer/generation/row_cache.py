"""A key-value cache whose rows come and go, for continuous batching; `DynamicCache` copies itself at every token.

Every layer holds two buffers of [rows, heads, columns, head_dim] with room to spare. All rows write their next token
into the same column; a new row's prompt is laid right-aligned before that column, so rows are left-padded:

    column   0 1 2 3 4 5 6 7
    row 0    . . a b c d e|          the bar is `end`: where the next token goes
    row 1    . . . . . x y|          dots are hidden by the attention mask
             |<- start
"""

from dataclasses import dataclass
from typing import Any

from torch import Tensor
from transformers import Cache, DynamicCache
from transformers.cache_utils import DynamicLayer

COLUMN_BLOCK = 128


@dataclass(slots=True)
class Span:
    """Which part of the buffers is in use: the first `rows` rows, columns `start` to `end`."""

    rows: int = 0
    start: int = 0
    end: int = 0


class RowLayer(DynamicLayer):
    """One layer's buffers. `update` writes in place and returns views, so a step copies only its own token."""

    def __init__(self, span: Span, keys: Tensor, values: Tensor) -> None:
        super().__init__()
        self.span = span
        self.keys, self.values = keys, values
        self.is_initialized = True

    def update(self, key_states: Tensor, value_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
        """Write the new token's states [rows, heads, 1, head_dim] at `end`; return all columns in use and it."""
        rows, start, end = self.span.rows, self.span.start, self.span.end
        after = end + key_states.shape[-2]
        self.keys[:rows, :, end:after] = key_states
        self.values[:rows, :, end:after] = value_states
        return self.keys[:rows, :, start:after], self.values[:rows, :, start:after]

    def get_seq_length(self) -> int:
        """The number of columns in use."""
        return self.span.end - self.span.start


class RowCache(Cache):
    """Buffers for at most `max_rows` rows. After a forward pass of one token call `advance`."""

    def __init__(self, max_rows: int, like: DynamicCache) -> None:
        """Buffers of the number of layers, heads, head_dim, dtype and device of a cache that a forward pass filled."""
        self.span, self.max_rows = Span(), max_rows
        super().__init__(layers=[RowLayer(self.span, *self._room(layer, 0)) for layer in like.layers])

    def append(self, cache: DynamicCache) -> None:
        """Add the rows of a prompts' pass (left-padded, all of one width) after the present ones.

        Raises:
            ValueError: the cache's layers are of different widths (sliding windows, recurrent states).
        """
        span = self.span
        rows, _, width, _ = cache.layers[0].keys.shape
        if {layer.keys.shape[-2] for layer in cache.layers} != {width}:
            raise ValueError("the model's layers cache different numbers of tokens; allowed: full attention in all")
        self._reserve(left=width - (span.end - span.start), right=0)
        span.start = min(span.start, span.end - width)
        new, columns = slice(span.rows, span.rows + rows), slice(span.end - width, span.end)
        for layer, source in zip(self.layers, cache.layers, strict=True):
            layer.keys[new, :, columns] = source.keys
            layer.values[new, :, columns] = source.values
        span.rows += rows

    def make_room(self) -> None:
        """Make sure that one more token fits; call before a forward pass."""
        self._reserve(left=0, right=1)

    def advance(self) -> None:
        """The forward pass has written one column: count it."""
        self.span.end += 1

    def move_row(self, source: int, target: int) -> None:
        """Copy row `source` over row `target`."""
        used = slice(self.span.start, self.span.end)
        for layer in self.layers:
            layer.keys[target, :, used] = layer.keys[source, :, used]
            layer.values[target, :, used] = layer.values[source, :, used]

    def copy_row(self, row: int, columns: int) -> list[tuple[Tensor, Tensor]]:
        """Copies of a row's last `columns` keys and values in each layer, [1, heads, columns, head_dim]."""
        one, last = slice(row, row + 1), slice(self.span.end - columns, self.span.end)
        return [(layer.keys[one, :, last].clone(), layer.values[one, :, last].clone()) for layer in self.layers]

    def keep(self, rows: int, columns: int) -> None:
        """Forget all but the first `rows` rows and the last `columns` columns."""
        self.span.rows = rows
        self.span.start = self.span.end - columns

    def _room(self, layer: DynamicLayer, columns: int) -> tuple[Tensor, Tensor]:
        return tuple(x.new_zeros(self.max_rows, x.shape[1], columns, x.shape[3]) for x in (layer.keys, layer.values))

    def _reserve(self, left: int, right: int) -> None:
        """Move the used part into larger buffers where it lacks `left` columns before or `right` columns after it."""
        span = self.span
        if span.start >= left and span.end + right <= self.layers[0].keys.shape[-2]:
            return
        # New buffers are zeros: what the attention mask hides must still be finite, since 0 * nan is nan.
        old, new = slice(span.start, span.end), slice(max(left, 0), max(left, 0) + span.end - span.start)
        for layer in self.layers:
            keys, values = self._room(layer, new.stop + right + COLUMN_BLOCK)
            keys[: span.rows, :, new] = layer.keys[: span.rows, :, old]
            values[: span.rows, :, new] = layer.values[: span.rows, :, old]
            layer.keys, layer.values = keys, values
        span.start, span.end = new.start, new.stop
