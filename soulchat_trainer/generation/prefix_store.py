"""Keys and values of talks that may go on, so that a causal model does not read again what it has read.

In a causal model the states of a token depend on the tokens before it alone: the next turn of a talk begins with the
tokens of this one, and their keys and values stay as they are. ChatGLM reads its context in both directions. There
every new word changes the states of all words before it, and a reply, written left to right as the target, becomes
context that is read both ways: nothing can be kept.
"""

from collections import OrderedDict
from collections.abc import Sequence

from torch import Tensor
from transformers import DynamicCache

# Keys and values of one layer, each [1, heads, tokens, head_dim].
LayerStates = tuple[Tensor, Tensor]


class PrefixStore:
    """Holds the states of at most `max_tokens` tokens; what was not used for the longest time goes first."""

    def __init__(self, max_tokens: int) -> None:
        self.max_tokens = max_tokens
        self._entries: OrderedDict[tuple[int, ...], list[LayerStates]] = OrderedDict()

    @property
    def num_tokens(self) -> int:
        """How many tokens' states are held."""
        return sum(len(token_ids) for token_ids in self._entries)

    def keep(self, token_ids: Sequence[int], states: list[LayerStates]) -> None:
        """Hold the states of a row of tokens; they take the place of those of its own beginnings."""
        new = tuple(token_ids)
        for old in [old for old in self._entries if new[: len(old)] == old]:
            del self._entries[old]
        self._entries[new] = states
        while self.num_tokens > self.max_tokens:
            self._entries.popitem(last=False)

    def find(self, prompt_ids: Sequence[int]) -> DynamicCache | None:
        """A cache of the longest beginning of the prompt that is held, but not of all of it.

        None where it is less than half of the prompt: then reading the prompt in a batch with others is better.
        """
        prompt = tuple(prompt_ids)
        best = max(self._entries, key=lambda token_ids: shared_length(token_ids, prompt), default=())
        length = min(shared_length(best, prompt), len(prompt) - 1)
        if length * 2 < len(prompt):
            return None
        self._entries.move_to_end(best)
        cache = DynamicCache()
        for layer, (keys, values) in enumerate(self._entries[best]):
            cache.update(keys[:, :, :length], values[:, :, :length], layer)
        return cache


def shared_length(first: Sequence[int], second: Sequence[int]) -> int:
    """How many tokens two rows have in common at their beginning."""
    pairs = zip(first, second, strict=False)
    return next((index for index, (a, b) in enumerate(pairs) if a != b), min(len(first), len(second)))
