"""The released tokenizer where its file is at hand, and a small trained one."""

import pytest

from soulchat_trainer.chatglm import ChatGLMTokenizer
from soulchat_trainer.chatglm.tokenization_chatglm import train_tokenizer
from soulchatcorpus.dialogue import render_prompt
from tests.soulchat_trainer.chatglm.samples import ICE_TEXT_MODEL, TALK


@pytest.fixture(scope="session")
def ice_tokenizer() -> ChatGLMTokenizer:
    if not ICE_TEXT_MODEL.is_file():
        pytest.skip(
            "ice_text.model is not in the repository (its licence is not clear); name it in SOULCHAT_ICE_TEXT_MODEL"
        )
    return ChatGLMTokenizer(str(ICE_TEXT_MODEL))


@pytest.fixture(scope="session")
def small_tokenizer(tmp_path_factory) -> ChatGLMTokenizer:
    texts = [*TALK, render_prompt([{"role": "user", "content": TALK[0]}])]
    return train_tokenizer(texts, 450, tmp_path_factory.mktemp("tokenizer"))
