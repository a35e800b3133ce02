"""How transformers calls the cache of keys and values, in what it hands to a model and takes from it."""

import transformers
from packaging.version import Version
from transformers import Cache

CACHE = "cache" if Version(transformers.__version__) >= Version("5.24") else "past_key_values"


def one_cache(cache: Cache | None, past_key_values: Cache | None) -> Cache | None:
    """The cache, by whichever of its two names it was given."""
    if cache is not None and past_key_values is not None:
        raise ValueError("cache and past_key_values are two names of one thing; give one of them")
    return cache if cache is not None else past_key_values
