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
    hidden_size, num_hidden_layers, num_attention_heads = 32, 2, 4
    causal_lm_class = ChatGLMForConditionalGeneration
    gmask_column = -3  # a test of the mixin writes over the last but one
    bos_column = -1

    def get_config(self) -> ChatGLMConfig:
        # The control tokens come first, because tests that shrink the vocabulary cut its end off.
        return ChatGLMConfig(
            vocab_size=99,
            hidden_size=self.hidden_size,
            inner_hidden_size=64,
            num_layers=self.num_hidden_layers,
            num_attention_heads=self.num_attention_heads,
            max_sequence_length=512,
            pad_token_id=3,
            mask_token_id=4,
            gmask_token_id=5,
            bos_token_id=6,
            eos_token_id=7,
        )

    def prepare_config_and_inputs_for_common(self) -> tuple[ChatGLMConfig, dict]:
        config = self.get_config()
        input_ids = torch.randint(10, 80, (self.batch_size, self.seq_length))
        input_ids[:, self.gmask_column], input_ids[:, self.bos_column] = config.gmask_token_id, config.bos_token_id
        return config, {"input_ids": input_ids, "attention_mask": torch.ones_like(input_ids)}


NOT_APPLICABLE = {
    "test_inputs_embeds": "embeddings do not tell where the context ends: position_ids, not given here, are needed",
    "test_model_weights_reload_no_missing_tied_weights": "loads a folder without weights, which is an error here",
    "test_cannot_load_with_meta_device_context_manager": "weights that cannot be loaded are an OSError here",
    "test_generation_tester_mixin_inheritance": "asks for the generation mixin, which the source distribution lacks",
}


class ChatGLMModelTest(load_mixins(), unittest.TestCase):
    all_model_classes = (ChatGLMModel, ChatGLMForConditionalGeneration)
    all_generative_model_classes = (ChatGLMForConditionalGeneration,)

    def setUp(self):
        for prefix, reason in NOT_APPLICABLE.items():
            if self._testMethodName.startswith(prefix):
                self.skipTest(reason)
        self.model_tester = ChatGLMTester()
        if self._testMethodName.startswith("test_eager_matches_sdpa_inference"):
            # It masks an end of some rows away: [gMASK] <sop> stand inside, and there are rows enough.
            self.model_tester.batch_size = 8
            self.model_tester.gmask_column, self.model_tester.bos_column = 3, 4
        if self._testMethodName.startswith("test_training"):  # the model without a head has no loss
            self.all_model_classes = (ChatGLMForConditionalGeneration,)

    def _prepare_for_class(self, inputs_dict: dict, model_class: type, return_labels: bool = False) -> dict:
        inputs = super()._prepare_for_class(inputs_dict, model_class, return_labels=False)
        if return_labels and model_class is ChatGLMForConditionalGeneration:
            inputs["labels"] = inputs["input_ids"].clone()
        return inputs
