"""transformers' own modeling tests on ChatGLM. Not collected by name: `test_mixins.py` runs this.

The mixins are no part of the transformers wheel, and only half of them are in its source distribution: the folder
named by TRANSFORMERS_TESTS (`tests` of a source tree) may lack `generation` and `exporters`, which are then stood in
for by empty classes.
"""

import importlib
import os
import sys
import types
import unittest
from pathlib import Path

import pytest
import torch

from soulchat_trainer.chatglm import ChatGLMConfig, ChatGLMForConditionalGeneration, ChatGLMModel

TESTS = Path(os.environ["TRANSFORMERS_TESTS"])
HALVES = {"generation.test_utils": "GenerationTesterMixin", "exporters.test_export": "ExportTesterMixin"}


def load_mixins() -> type:
    """`ModelTesterMixin`, with the generation mixin in it where the source tree has that."""
    package = types.ModuleType("transformers_tests")
    package.__path__ = [str(TESTS)]
    sys.modules["transformers_tests"] = package
    for module_name, class_name in HALVES.items():
        if not (TESTS / (module_name.replace(".", "/") + ".py")).is_file():
            parent = types.ModuleType(f"transformers_tests.{module_name.split('.')[0]}")
            parent.__path__ = []
            module = types.ModuleType(f"transformers_tests.{module_name}")
            setattr(module, class_name, type(class_name, (), {}))
            sys.modules |= {parent.__name__: parent, module.__name__: module}
    return importlib.import_module("transformers_tests.test_modeling_common").ModelTesterMixin


class ChatGLMTester:
    """What the mixins ask of a model: a small configuration and inputs for it."""

    batch_size, seq_length, is_training = 3, 9, True
    causal_lm_class = ChatGLMForConditionalGeneration

    def __init__(self, parent):
        self.parent = parent

    def get_config(self) -> ChatGLMConfig:
        return ChatGLMConfig(
            vocab_size=99,
            hidden_size=32,
            inner_hidden_size=64,
            num_layers=2,
            num_attention_heads=4,
            max_sequence_length=512,
            bos_token_id=94,
            eos_token_id=95,
            mask_token_id=90,
            gmask_token_id=91,
            pad_token_id=3,
        )

    def prepare_config_and_inputs_for_common(self) -> tuple[ChatGLMConfig, dict]:
        config = self.get_config()
        input_ids = torch.randint(5, 90, (self.batch_size, self.seq_length))
        input_ids[:, -2], input_ids[:, -1] = config.gmask_token_id, config.bos_token_id
        return config, {"input_ids": input_ids, "attention_mask": torch.ones_like(input_ids)}


class ChatGLMModelTest(load_mixins(), unittest.TestCase):
    all_model_classes = (ChatGLMModel, ChatGLMForConditionalGeneration)
    all_generative_model_classes = (ChatGLMForConditionalGeneration,)
    model_tester_class = ChatGLMTester

    def setUp(self):
        self.model_tester = ChatGLMTester(self)


if __name__ == "__main__":
    sys.exit(pytest.main([__file__, "-q", *sys.argv[1:]]))
