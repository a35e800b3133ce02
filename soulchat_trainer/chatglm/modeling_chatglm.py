"""ChatGLM-6B (v1): a prefix language model with two-dimensional rotary positions, native in transformers 5.

What is unusual about it:
- The context (everything before `<sop>`) sees itself in both directions; the target after it is causal.
- Every token has two positions; the first half of a head is turned by the one, the second half by the other.
- The residual branch carries the normalised input, times alpha = sqrt(2 * 28).
- The fused projection is laid out per head as [query | key | value].

Shapes: b batch, s tokens of this call, k keys (cache and P-Tuning prefix included), n heads, d width of a head,
h hidden.
"""

import copy
import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention.flex_attention import BlockMask
from transformers import (
    Cache,
    DynamicCache,
    GenerationConfig,
    GenerationMixin,
    GradientCheckpointingLayer,
    LogitsProcessorList,
    PreTrainedModel,
    StoppingCriteriaList,
)
from transformers.modeling_outputs import BaseModelOutputWithPast, CausalLMOutputWithPast
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.utils import can_return_tuple
from transformers.utils.output_capturing import capture_outputs

from ..unreadable import UNREADABLE, cause_of
from .cache_name import CACHE, one_cache
from .configuration_chatglm import ChatGLMConfig
from .head_loss import exported_loss, labelled_loss
from .prefix_lm import (
    check_positions,
    continue_positions,
    make_attention_mask,
    make_position_ids,
    rotary_table,
    rotate,
)


def eager_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float,
    **kwargs: Any,
) -> tuple[Tensor, Tensor]:
    """Attention with the weights written out: query [b, n, s, d], key and value [b, n, k, d], mask [b, 1, s, k] bool.

    True in the mask means "sees". Scores and softmax are float32, so that float16 cannot overflow.
    Returns the output [b, s, n, d] and the weights [b, n, s, k].
    """
    scores = (query.float() * scaling) @ key.float().transpose(-1, -2)
    if attention_mask is not None:
        scores = scores.masked_fill(~attention_mask, torch.finfo(scores.dtype).min)
    weights = scores.softmax(-1).to(value.dtype)
    return (weights @ value).transpose(1, 2), weights


class ChatGLMAttention(nn.Module):
    def __init__(self, config: ChatGLMConfig, layer_idx: int):
        super().__init__()
        self.config = config
        self.layer_idx = layer_idx
        self.scaling = config.head_dim**-0.5
        self.is_causal = False  # the mask says all there is to say
        self.query_key_value = nn.Linear(config.hidden_size, 3 * config.hidden_size)
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)

    def forward(
        self,
        hidden_states: Tensor,
        attention_mask: Tensor | None,
        rotary: tuple[Tensor, Tensor],
        prefix: tuple[Tensor, Tensor] | None = None,
        **kwargs: Any,
    ) -> tuple[Tensor, Tensor | None]:
        """Attention over [b, s, h]; `prefix` is the P-Tuning key and value of this layer, each [n, pre_seq_len, d]."""
        batch, length, _ = hidden_states.shape
        fused = self.query_key_value(hidden_states).view(batch, length, -1, 3, self.config.head_dim)
        query, key = rotate(fused[..., :2, :], *rotary).transpose(1, 2).unbind(-2)
        value = fused[..., 2, :].transpose(1, 2)
        cache = kwargs.pop(CACHE, None)
        if cache is not None:
            key, value = cache.update(key, value, self.layer_idx)
        if prefix is not None:
            key = torch.cat([prefix[0].expand(batch, -1, -1, -1), key], dim=2)
            value = torch.cat([prefix[1].expand(batch, -1, -1, -1), value], dim=2)

        attention = ALL_ATTENTION_FUNCTIONS.get_interface(self.config.attention, eager_attention)
        output, weights = attention(self, query, key, value, attention_mask, scaling=self.scaling, **kwargs)
        return self.dense(output.reshape(batch, length, -1)), weights


class ChatGLMMLP(nn.Module):
    def __init__(self, config: ChatGLMConfig):
        super().__init__()
        self.dense_h_to_4h = nn.Linear(config.hidden_size, config.inner_hidden_size)
        self.dense_4h_to_h = nn.Linear(config.inner_hidden_size, config.hidden_size)

    def forward(self, hidden_states: Tensor) -> Tensor:
        return self.dense_4h_to_h(F.gelu(self.dense_h_to_4h(hidden_states), approximate="tanh"))


class ChatGLMBlock(GradientCheckpointingLayer):
    def __init__(self, config: ChatGLMConfig, layer_idx: int):
        super().__init__()
        self.alpha = math.sqrt(2 * config.residual_layers)
        self.input_layernorm = nn.LayerNorm(config.hidden_size, config.layernorm_epsilon)
        self.attention = ChatGLMAttention(config, layer_idx)
        self.post_attention_layernorm = nn.LayerNorm(config.hidden_size, config.layernorm_epsilon)
        self.mlp = ChatGLMMLP(config)

    def forward(self, hidden_states: Tensor, **kwargs: Any) -> Tensor:
        """One block over [b, s, h]. Both residuals carry the normalised input, as in the original."""
        normalised = self.input_layernorm(hidden_states)
        attended, _ = self.attention(normalised, **kwargs)
        normalised = self.post_attention_layernorm(torch.add(attended, normalised, alpha=self.alpha))
        return torch.add(self.mlp(normalised), normalised, alpha=self.alpha)


class ChatGLMPrefixEncoder(nn.Module):
    """P-Tuning v2: `pre_seq_len` virtual tokens, each a key and a value in every layer, not rotated, seen by all."""

    def __init__(self, config: ChatGLMConfig):
        super().__init__()
        self.config = config
        length, width = config.pre_seq_len or 0, 2 * config.num_layers * config.hidden_size
        self.dropout = nn.Dropout(0.1)
        self.trans = None
        if config.prefix_projection:
            self.embedding = nn.Embedding(length, config.hidden_size)
            self.trans = nn.Sequential(
                nn.Linear(config.hidden_size, config.hidden_size), nn.Tanh(), nn.Linear(config.hidden_size, width)
            )
        else:
            self.embedding = nn.Embedding(length, width)

    def forward(self, dtype: torch.dtype) -> list[tuple[Tensor, Tensor]]:
        """A (key, value) for every layer, each [n, pre_seq_len, d] in `dtype`."""
        config, length = self.config, self.embedding.num_embeddings
        # Through the module and not its weight: sharded training gathers weights where a module is called.
        states = self.embedding(torch.arange(length, device=self.embedding.weight.device))
        if self.trans is not None:
            states = self.trans(states)
        states = states.view(length, -1, 2, config.num_attention_heads, config.head_dim)
        states = self.dropout(states).to(dtype).permute(1, 2, 3, 0, 4)
        return [tuple(layer) for layer in states]


class ChatGLMPreTrainedModel(PreTrainedModel):
    config: ChatGLMConfig
    config_class = ChatGLMConfig
    base_model_prefix = "transformer"
    supports_gradient_checkpointing = True
    _no_split_modules = ["ChatGLMBlock"]
    _supports_sdpa = True
    _supports_flex_attn = True
    _can_record_outputs = {"hidden_states": ChatGLMBlock, "attentions": ChatGLMAttention}
    # The table of frequencies is computed (see `rotary_table`), not loaded.
    _keys_to_ignore_on_load_unexpected = [r"rotary_emb\.inv_freq$"]

    @classmethod
    def from_pretrained(
        cls, pretrained_model_name_or_path: Any, *args: Any, output_loading_info: bool = False, **kwargs: Any
    ) -> Any:
        """As in transformers, but strict: a tensor that is missing or not of this model is an error, not a warning.

        New in P-Tuning v2 are the weights of the prefix encoder, so only they may be missing; all others are frozen.
        Raises `OSError` where the weights cannot be read and `ValueError` where they are not those of the model.
        """
        try:
            model, info = super().from_pretrained(
                pretrained_model_name_or_path, *args, output_loading_info=True, **kwargs
            )
        except UNREADABLE as error:
            if isinstance(error, torch.OutOfMemoryError):
                raise
            raise OSError(
                f"{pretrained_model_name_or_path}: the weights cannot be loaded: {cause_of(error)}"
            ) from error
        missing = [name for name in info["missing_keys"] if "prefix_encoder." not in name]
        surplus = [name for name in info["unexpected_keys"] if name != "lm_head.weight"]
        for names, verdict in ((missing, "missing"), (surplus, "unknown")):
            if names:
                raise ValueError(
                    f"{pretrained_model_name_or_path}: {len(names)} tensors are {verdict}, the first is {min(names)}"
                )
        head = model.get_output_embeddings()
        if head is not None and head.weight is not model.get_input_embeddings().weight:
            # Not asked for, or transformers has just warned that the two tables differ and kept both: so say it.
            model.config.tie_word_embeddings = False
        if model.config.pre_seq_len is not None:
            model.base_model.freeze_all_but_prefix()
        return (model, info) if output_loading_info else model


class ChatGLMModel(ChatGLMPreTrainedModel):
    """The blocks without a head."""

    def __init__(self, config: ChatGLMConfig):
        super().__init__(config)
        self.word_embeddings = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(ChatGLMBlock(config, layer_idx) for layer_idx in range(config.num_layers))
        self.final_layernorm = nn.LayerNorm(config.hidden_size, config.layernorm_epsilon)
        if config.pre_seq_len is not None:
            self.prefix_encoder = ChatGLMPrefixEncoder(config)
            self.freeze_all_but_prefix()
        self.gradient_checkpointing = False
        self.post_init()

    def get_input_embeddings(self) -> nn.Module:
        """The table of token embeddings."""
        return self.word_embeddings

    def set_input_embeddings(self, value: nn.Embedding) -> None:
        """Another one in its place."""
        self.word_embeddings = value

    def freeze_all_but_prefix(self) -> None:
        """What P-Tuning v2 trains: the virtual tokens alone (and, as in the original, a head that is not tied)."""
        self.requires_grad_(False)
        self.prefix_encoder.requires_grad_(True)

    @capture_outputs
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: Tensor | None = None,
        use_cache: bool | None = None,
        cache: Cache | None = None,
        **kwargs: Any,
    ) -> BaseModelOutputWithPast:
        """Hidden states [b, s, h] after the final layer norm.

        - `input_ids` [b, s] int64: context, [gMASK] or [MASK], `<sop>`, target so far.
        - `attention_mask` [b, past + s]: 1 = a real token, 0 = padding, on either side; nothing given = no padding.
          A bool mask [b, 1, s, k] (True = sees) is used as it is.
        - `position_ids` [b, 2, s] int64: row 0 the position, row 1 the block position, which is 0 on the context.
          Made from `input_ids` when not given; needed together with `inputs_embeds` or a cache that is not empty.
        - `cache`, in transformers before 5.24 `past_key_values`: keys and values of the tokens before these.

        Raises `ValueError` for ids outside the vocabulary, a row without `<sop>` or without mask token, and a sequence
        beyond `max_sequence_length`.
        """
        if (input_ids is None) == (inputs_embeds is None):
            raise ValueError("give either input_ids or inputs_embeds")
        cache = one_cache(cache, past_key_values)
        past_length = cache.get_seq_length() if cache is not None else 0
        if position_ids is None:
            if input_ids is None or (isinstance(past_length, int) and past_length > 0):
                raise ValueError(
                    "position_ids [batch, 2, tokens] are needed with inputs_embeds or a cache that is not empty: only "
                    "a whole row of input_ids tells where its context ends"
                )
            position_ids = make_position_ids(input_ids, attention_mask, self.config)
        elif not torch.compiler.is_compiling():
            check_positions(input_ids, position_ids, self.config)
        if inputs_embeds is None:
            inputs_embeds = self.word_embeddings(input_ids)
        use_cache = self.config.use_cache if use_cache is None else use_cache
        if use_cache and cache is None:
            cache = DynamicCache(config=self.config)

        mask = make_attention_mask(self.config, inputs_embeds, attention_mask, position_ids, cache)
        rotary = rotary_table(position_ids, self.config.head_dim, inputs_embeds.dtype)
        layers = self.layers[: self.config.num_layers]  # fewer where `generate` lets the first ones draft
        prefixes = [None] * len(layers)
        if self.config.pre_seq_len is not None:
            prefixes = self.prefix_encoder(inputs_embeds.dtype)[: len(layers)]

        hidden_states = inputs_embeds
        for layer, prefix in zip(layers, prefixes, strict=True):
            hidden_states = layer(
                hidden_states,
                attention_mask=mask,
                rotary=rotary,
                prefix=prefix,
                **{CACHE: cache},
                **kwargs,
            )
        return BaseModelOutputWithPast(last_hidden_state=self.final_layernorm(hidden_states), **{CACHE: cache})


class ChatGLMForConditionalGeneration(ChatGLMPreTrainedModel, GenerationMixin):
    """The blocks and the language model head."""

    _tied_weights_keys = {"lm_head.weight": "transformer.word_embeddings.weight"}

    def __init__(self, config: ChatGLMConfig):
        super().__init__(config)
        self.transformer = ChatGLMModel(config)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()

    @can_return_tuple
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int | Tensor = 0,
        num_items_in_batch: Tensor | int | None = None,
        cache: Cache | None = None,
        **kwargs: Any,
    ) -> CausalLMOutputWithPast:
        """Logits [b, s, vocab], or with `labels` the loss and no logits. Other arguments as in `ChatGLMModel.forward`.

        - `labels` [b, s] int64: -100 = no label; the label at i is predicted from the token at i - 1. Context and
          [gMASK] carry no labels; `<sop>`, target and `<eop>` do.
        - `logits_to_keep`: only the last so many positions (0 = all), or the positions in a tensor.
        - `num_items_in_batch`: the loss is the sum over labels divided by this; their mean when not given.
        """
        outputs = self.transformer(
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids,
            cache=one_cache(cache, past_key_values),
            inputs_embeds=inputs_embeds,
            use_cache=False if labels is not None and use_cache is None else use_cache,
            **kwargs,
        )
        hidden_states = outputs.last_hidden_state
        loss, logits = None, None
        if labels is not None and torch.compiler.is_exporting():
            loss = exported_loss(self.lm_head, hidden_states, labels, num_items_in_batch)
        elif labels is not None:
            loss = labelled_loss(self.lm_head, hidden_states, labels, self.config.vocab_size, num_items_in_batch)
        else:
            kept = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep
            logits = self.lm_head(hidden_states[:, kept])
        return CausalLMOutputWithPast(
            loss=loss,
            logits=logits,
            **{CACHE: outputs.get(CACHE)},
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
        )

    def prepare_inputs_for_generation(
        self,
        input_ids: Tensor,
        next_sequence_length: int | None = None,
        past_key_values: Cache | None = None,
        attention_mask: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        is_first_iteration: bool | None = False,
        position_ids: Tensor | None = None,
        cache: Cache | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """The parent's, with both rows of positions: made of the ids of all rows so far, or the caller's [b, 2, s].

        What is drafted beyond the window, to be dropped, has the last position in it. Raises `ValueError` for rows
        padded on the right, and `inputs_embeds` without positions.
        """
        if is_first_iteration and attention_mask is not None and not attention_mask[:, -1].all():
            raise ValueError("generate needs prompts padded on the left; a row here ends in padding")
        if position_ids is not None and position_ids.dim() == 3:
            position_ids = continue_positions(position_ids)
        elif inputs_embeds is not None:
            raise ValueError("generate from inputs_embeds needs position_ids [batch, 2, tokens]")
        else:  # the one row that generate counts for models of one position is of no use here
            window = self.config.max_sequence_length
            mask = None if attention_mask is None else attention_mask[:, :window]
            position_ids = make_position_ids(input_ids[:, :window], mask, self.config)
            position_ids = F.pad(position_ids, (0, max(input_ids.shape[1] - window, 0)), mode="replicate")
        return super().prepare_inputs_for_generation(
            input_ids,
            next_sequence_length=next_sequence_length,
            **{CACHE: one_cache(cache, past_key_values)},
            attention_mask=attention_mask,
            inputs_embeds=inputs_embeds,
            is_first_iteration=is_first_iteration,
            position_ids=position_ids,
            **kwargs,
        )

    def generate(
        self,
        inputs: Tensor | None = None,
        generation_config: GenerationConfig | None = None,
        logits_processor: LogitsProcessorList | None = None,
        stopping_criteria: StoppingCriteriaList | None = None,
        **kwargs: Any,
    ) -> Any:
        """The parent's; a reply ends where the window ends.

        Raises `ValueError` for a prompt that fills the window, and for `prefill_chunk_size`.
        """
        config = generation_config or self.generation_config
        if kwargs.get("prefill_chunk_size", config.prefill_chunk_size) is not None:
            raise ValueError("prefill_chunk_size: the context sees itself in both directions and is read in one piece")
        given = (inputs, kwargs.get("input_ids"), kwargs.get("inputs_embeds"))
        length = next((prompt.shape[1] for prompt in given if prompt is not None), 0)
        window = self.config.max_sequence_length
        if length >= window:
            raise ValueError(f"a prompt of {length} tokens leaves no room to generate in {window} tokens")
        limits = {}
        for name, most in (("max_new_tokens", window - length), ("max_length", window)):
            asked = kwargs.get(name, getattr(config, name))
            if asked is not None and asked > most:
                limits[name] = most
        if generation_config is None:
            kwargs |= limits
        elif limits:
            generation_config = copy.deepcopy(generation_config)
            generation_config.update(**limits)
            kwargs = {name: value for name, value in kwargs.items() if name not in limits}
        return super().generate(inputs, generation_config, logits_processor, stopping_criteria, **kwargs)

    @staticmethod
    def create_masks_for_generate(
        config: ChatGLMConfig,
        inputs_embeds: Tensor,
        attention_mask: Tensor | None,
        past_key_values: Cache | None = None,
        position_ids: Any = None,
        cache: Cache | None = None,
        **kwargs: Any,
    ) -> Tensor | BlockMask | None:
        """The mask [b, 1, s, k] that `generate` hands to a compiled forward over a static cache."""
        cache = one_cache(cache, past_key_values)
        return make_attention_mask(config, inputs_embeds, attention_mask, position_ids, cache)


__all__ = ["ChatGLMForConditionalGeneration", "ChatGLMModel", "ChatGLMPreTrainedModel"]
