"""Which encoder a model gets, and what it is refused."""

import pytest
from transformers import PreTrainedTokenizerFast

from soulchat_trainer.chatglm import ChatGLMTokenizer
from soulchat_trainer.encoding.chat_template import ChatTemplateEncoder
from soulchat_trainer.encoding.encoders import make_encoder
from soulchat_trainer.encoding.paper_form import ChatGLMEncoder
from tests.soulchat_trainer.training_parts import make_causal_model, make_chatglm


def test_chatglm_gets_its_own(chatglm_tokenizer: ChatGLMTokenizer) -> None:
    encoder = make_encoder(make_chatglm(chatglm_tokenizer), chatglm_tokenizer, 100, 50, glm_objective=True)
    assert isinstance(encoder, ChatGLMEncoder)
    assert (encoder.max_source_length, encoder.max_target_length, encoder.glm_objective) == (100, 50, True)


def test_other_models_get_their_chat_template_s(causal_tokenizer: PreTrainedTokenizerFast) -> None:
    model = make_causal_model(causal_tokenizer)
    encoder = make_encoder(model, causal_tokenizer, 100, 50, loss_on="every_turn")
    assert isinstance(encoder, ChatTemplateEncoder)
    with pytest.raises(ValueError, match="glm_objective is ChatGLM's; qwen2 is a causal model"):
        make_encoder(model, causal_tokenizer, 100, 50, glm_objective=True)


def test_every_turn_of_chatglm_is_refused_with_the_reason(chatglm_tokenizer: ChatGLMTokenizer) -> None:
    with pytest.raises(ValueError, match="its context is bidirectional"):
        make_encoder(make_chatglm(chatglm_tokenizer), chatglm_tokenizer, 100, 50, loss_on="every_turn")


def test_chatglm_with_another_model_s_tokenizer_is_refused(
    chatglm_tokenizer: ChatGLMTokenizer, causal_tokenizer: PreTrainedTokenizerFast
) -> None:
    with pytest.raises(ValueError, match="ChatGLM needs a ChatGLMTokenizer, found "):
        make_encoder(make_chatglm(chatglm_tokenizer), causal_tokenizer, 100, 50)


def test_lengths_that_the_window_cannot_hold_are_refused(
    chatglm_tokenizer: ChatGLMTokenizer, causal_tokenizer: PreTrainedTokenizerFast
) -> None:
    """Before a run and not in the middle of it; what just fits is taken."""
    models = (
        (make_chatglm(chatglm_tokenizer), chatglm_tokenizer),
        (make_causal_model(causal_tokenizer), causal_tokenizer),
    )
    for (model, tokenizer), window in zip(models, (256, 512), strict=True):
        make_encoder(model, tokenizer, window - 50, 50)
        line = rf"is {window - 49} \+ 50 = {window + 1}; allowed: at most {window}, the model's window"
        with pytest.raises(ValueError, match=line):
            make_encoder(model, tokenizer, window - 49, 50)
