"""Which encoder a model needs, and whether it can be trained as asked."""

from typing import Literal

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from soulchatcorpus.thoughts import Thinking

from ..chatglm import ChatGLMTokenizer
from .chat_template import ChatTemplateEncoder
from .paper_form import ChatGLMEncoder
from .spans import Encoder


def make_encoder(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    max_source_length: int,
    max_target_length: int,
    loss_on: Literal["last_turn", "every_turn"] = "last_turn",
    glm_objective: bool = False,
    thinking: Thinking = "off",
) -> Encoder:
    """The encoder of conversations for a model.

    Raises:
        ValueError: a sample as long as the lengths allow does not fit into the model's window; every-turn loss, or a
            tokenizer that is not its own, is asked of ChatGLM; GLM's objective of another model; a causal model's
            tokenizer has no chat template.
    """
    longest, window = max_source_length + max_target_length, model.config.max_position_embeddings
    if longest > window:
        raise ValueError(
            f"max_source_length + max_target_length is {max_source_length} + {max_target_length} = {longest}; "
            f"allowed: at most {window}, the model's window"
        )
    if model.config.model_type == "chatglm":
        if loss_on == "every_turn":
            raise ValueError(
                "loss_on: every_turn does not go with ChatGLM: its context is bidirectional, so in one pass over a "
                "conversation every turn would see the replies it is to predict; use last_turn"
            )
        if not isinstance(tokenizer, ChatGLMTokenizer):
            raise ValueError(
                f"{tokenizer.name_or_path}: ChatGLM needs a ChatGLMTokenizer, found {type(tokenizer).__name__}"
            )
        return ChatGLMEncoder(tokenizer, max_source_length, max_target_length, glm_objective)
    if glm_objective:
        raise ValueError(f"glm_objective is ChatGLM's; {model.config.model_type} is a causal model")
    return ChatTemplateEncoder(tokenizer, max_source_length, max_target_length, loss_on, thinking)
