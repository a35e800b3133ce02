"""Fixtures of the training tests: one small tokenizer of each kind for the session."""

import logging

import pytest
from transformers import PreTrainedTokenizerFast

from soulchat_trainer.chatglm import ChatGLMTokenizer
from tests.soulchat_trainer import training_parts


@pytest.fixture(scope="session")
def chatglm_tokenizer(tmp_path_factory: pytest.TempPathFactory) -> ChatGLMTokenizer:
    return training_parts.make_chatglm_tokenizer(tmp_path_factory.mktemp("tokenizer"))


@pytest.fixture(scope="session")
def causal_tokenizer() -> PreTrainedTokenizerFast:
    return training_parts.make_causal_tokenizer()


@pytest.fixture
def told(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> pytest.LogCaptureFixture:
    """What is logged through transformers, whose logger keeps it from the root's."""
    monkeypatch.setattr(logging.getLogger("transformers"), "propagate", True)
    return caplog
