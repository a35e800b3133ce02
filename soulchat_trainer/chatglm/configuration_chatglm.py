"""The configuration of ChatGLM-6B (v1). Defaults are those of the released `THUDM/chatglm-6b`."""

from typing import Any

from huggingface_hub.dataclasses import strict
from transformers import PreTrainedConfig

from .cache_name import CACHE


@strict
class ChatGLMConfig(PreTrainedConfig):
    """Sizes and token ids of a ChatGLM-6B (v1) model.

    The keys are those of the released `config.json`; three are ours:

    - `residual_layers`: the residual factor is alpha = sqrt(2 * residual_layers). The original never tells its blocks
      how many they are, so alpha is that of 28 layers whatever `num_layers` is; give a model trained from scratch its
      own depth.
    - `tie_word_embeddings`: the released file has no such key, and its code was trained tied (transformers 4.28 tied
      by default), so that is the default here.
    - `initializer_range`: the standard deviation of new weights.

    Raises `ValueError` for a ChatGLM2/ChatGLM3 configuration (they use the same `model_type`), for a quantised
    checkpoint, and for sizes that do not fit together.
    """

    model_type = "chatglm"
    keys_to_ignore_at_inference = [CACHE]
    attribute_map = {
        "num_hidden_layers": "num_layers",
        "intermediate_size": "inner_hidden_size",
        "max_position_embeddings": "max_sequence_length",
    }

    vocab_size: int = 130528
    hidden_size: int = 4096
    inner_hidden_size: int = 16384
    num_layers: int = 28
    num_attention_heads: int = 32
    layernorm_epsilon: float = 1e-5
    max_sequence_length: int = 2048
    position_encoding_2d: bool = True
    bos_token_id: int | None = 130004
    eos_token_id: int | list[int] | None = 130005
    mask_token_id: int = 130000
    gmask_token_id: int = 130001
    pad_token_id: int | None = 3
    use_cache: bool = True
    pre_seq_len: int | None = None
    prefix_projection: bool = False
    quantization_bit: int = 0
    residual_layers: int = 28
    tie_word_embeddings: bool = True
    initializer_range: float = 0.02

    def __post_init__(self, **kwargs: Any) -> None:
        later = {"padded_vocab_size", "multi_query_attention", "ffn_hidden_size"} & kwargs.keys()
        if later:
            raise ValueError(
                f"this is a ChatGLM2 or ChatGLM3 configuration (it has {', '.join(sorted(later))}), not ChatGLM-6B "
                "v1: `soulchat convert IN OUT` makes it a native GlmForCausalLM folder"
            )
        if self.quantization_bit:
            raise ValueError(
                f"quantization_bit is {self.quantization_bit}: quantised ChatGLM-6B checkpoints (int4, int8) are not "
                "supported; load the float16 checkpoint THUDM/chatglm-6b"
            )
        if not self.position_encoding_2d:
            raise ValueError("position_encoding_2d is false; ChatGLM-6B v1 has two-dimensional positions (true)")
        for name in ("vocab_size", "hidden_size", "inner_hidden_size", "num_layers", "num_attention_heads"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; allowed: 1 or more")
        if self.hidden_size % (4 * self.num_attention_heads):
            raise ValueError(
                f"hidden_size is {self.hidden_size}; allowed: a multiple of 4 * num_attention_heads "
                f"({4 * self.num_attention_heads}): each head is turned in two halves of pairs"
            )
        if self.pre_seq_len is not None and not 1 <= self.pre_seq_len <= self.max_sequence_length:
            raise ValueError(
                f"pre_seq_len is {self.pre_seq_len}; allowed: 1 to max_sequence_length, {self.max_sequence_length}"
            )
        kwargs.pop("auto_map", None)  # names the original's remote code, which is not needed and not saved
        super().__post_init__(**kwargs)

    @property
    def head_dim(self) -> int:
        """Width of one attention head."""
        return self.hidden_size // self.num_attention_heads

    @property
    def attention(self) -> str | None:
        """The implementation of attention that was asked for (sdpa, eager, flex_attention, …)."""
        return self._attn_implementation


__all__ = ["ChatGLMConfig"]
