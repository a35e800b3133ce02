"""Configurations and folders as they lie on the Hub, and those that are refused."""

import json
import logging
import os
import pickle
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM

from soulchat_trainer.chatglm import ChatGLMConfig
from tests.soulchat_trainer.chatglm.samples import GOLDEN, SMALL, golden_tensors, small_model

LATER = {"padded_vocab_size": 65024, "multi_query_attention": True, "ffn_hidden_size": 13696}


def copy_of(folder: str, target: Path) -> Path:
    for name in ("config.json", "model.safetensors"):
        shutil.copyfile(GOLDEN / folder / name, target / name)
    return target


def as_on_the_hub(target: Path, differ: bool = False) -> tuple[Path, dict]:
    """tied3 in float16 as two .bin shards: both tables, inv_freq buffers, `auto_map`, no key for tying."""
    config = json.loads((GOLDEN / "tied3" / "config.json").read_text())
    del config["tie_word_embeddings"], config["torch_dtype"]
    config |= {
        "torch_dtype": "float16",
        "architectures": ["ChatGLMModel"],
        "auto_map": {
            "AutoConfig": "configuration_chatglm.ChatGLMConfig",
            "AutoModel": "modeling_chatglm.ChatGLMForConditionalGeneration",
        },
    }
    weights = {name: tensor.half() for name, tensor in load_file(GOLDEN / "tied3" / "model.safetensors").items()}
    weights["lm_head.weight"] = weights["transformer.word_embeddings.weight"].clone() + float(differ)
    for layer in range(3):
        weights[f"transformer.layers.{layer}.attention.rotary_emb.inv_freq"] = torch.ones(4).half()
    names = sorted(weights)
    shards = {"pytorch_model-00001-of-00002.bin": names[::2], "pytorch_model-00002-of-00002.bin": names[1::2]}
    for file, inside in shards.items():
        torch.save({name: weights[name] for name in inside}, target / file)
    index = {"metadata": {"total_size": 0}, "weight_map": {name: file for file in shards for name in shards[file]}}
    (target / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    (target / "config.json").write_text(json.dumps(config))
    return target, weights


def test_the_defaults_are_those_of_the_released_model():
    config = ChatGLMConfig()
    assert (config.vocab_size, config.num_hidden_layers, config.head_dim) == (130528, 28, 128)
    assert (config.bos_token_id, config.eos_token_id, config.pad_token_id) == (130004, 130005, 3)
    assert config.max_position_embeddings == 2048
    assert config.tie_word_embeddings


def test_a_folder_as_on_the_hub_loads_without_remote_code(tmp_path):
    folder, weights = as_on_the_hub(tmp_path)
    model = AutoModelForCausalLM.from_pretrained(folder)
    assert model.dtype == torch.float16
    assert model.lm_head.weight is model.transformer.word_embeddings.weight
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, weights[name]), name
    tensors = golden_tensors("tied3", "single_gmask")
    logits = model(tensors["input_ids"]).logits.float()
    assert (logits - tensors["logits"]).abs().max() < 0.02 * tensors["logits"].abs().max()
    model.save_pretrained(tmp_path / "saved")
    assert "auto_map" not in json.loads((tmp_path / "saved" / "config.json").read_text())
    assert not list((tmp_path / "saved").glob("*.bin"))


def test_two_head_tables_that_differ_are_reported_and_both_kept(tmp_path, caplog):
    folder, weights = as_on_the_hub(tmp_path, differ=True)
    logger = logging.getLogger("transformers")
    logger.addHandler(caplog.handler)
    model = AutoModelForCausalLM.from_pretrained(folder)
    logger.removeHandler(caplog.handler)
    assert "different values, so we will NOT tie them" in caplog.text
    assert not model.config.tie_word_embeddings
    assert torch.equal(model.lm_head.weight, weights["lm_head.weight"])


def test_a_pickle_that_runs_code_is_not_loaded(tmp_path):
    class Payload:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path / 'ran'}",)

    copy_of("tied3", tmp_path)
    (tmp_path / "model.safetensors").unlink()
    (tmp_path / "pytorch_model.bin").write_bytes(pickle.dumps(Payload()))
    with pytest.raises(OSError, match=r"a .bin file is empty, damaged or holds more than tensors"):
        AutoModelForCausalLM.from_pretrained(tmp_path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (LATER, "ChatGLM2 or ChatGLM3 configuration .* `soulchat convert IN OUT`"),
        ({"quantization_bit": 4}, "quantization_bit is 4: quantised"),
        ({"quantization_bit": 8}, "quantization_bit is 8: quantised"),
        ({"position_encoding_2d": False}, "position_encoding_2d is false"),
        ({"num_attention_heads": 0}, "num_attention_heads is 0; allowed: 1 or more"),
        (
            {"hidden_size": 40, "num_attention_heads": 4},
            r"hidden_size is 40; allowed: a multiple of 4 \* num_attention",
        ),
    ],
)
def test_configurations_of_other_models_are_refused(tmp_path, settings: dict, message: str):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "chatglm"} | SMALL | settings))
    for load in (AutoConfig.from_pretrained, AutoModelForCausalLM.from_pretrained):
        with pytest.raises(ValueError, match=message):
            load(tmp_path)


@pytest.mark.parametrize("size", [5, 500, 100_000])
def test_torn_weights_are_refused(tmp_path, size: int):
    os.truncate(copy_of("tied3", tmp_path) / "model.safetensors", size)
    with pytest.raises(OSError, match="the weights cannot be loaded: Error while deserializing header"):
        AutoModelForCausalLM.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("file", "size"), [("pytorch_model-00002-of-00002.bin", 0), ("pytorch_model.bin.index.json", 9)]
)
def test_torn_shards_and_their_torn_index_are_refused(tmp_path, file: str, size: int):
    folder, _ = as_on_the_hub(tmp_path)
    os.truncate(folder / file, size)
    with pytest.raises(OSError, match="the weights cannot be loaded: "):
        AutoModelForCausalLM.from_pretrained(folder)


def test_a_folder_without_weights_is_refused(tmp_path):
    (copy_of("tied3", tmp_path) / "model.safetensors").unlink()
    with pytest.raises(OSError, match=r"no file named model.safetensors"):
        AutoModelForCausalLM.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda weights: weights.pop("transformer.final_layernorm.bias"), ValueError, "1 tensors are missing"),
        (lambda weights: weights.update(other=torch.ones(1)), ValueError, "1 tensors are unknown, the first is other"),
        (
            lambda weights: weights.update({"transformer.final_layernorm.bias": torch.ones(3)}),
            OSError,
            "the weights cannot be loaded",
        ),
    ],
)
def test_weights_that_are_not_the_models_are_refused(tmp_path, change, error: type, message: str):
    file = copy_of("tied3", tmp_path) / "model.safetensors"
    weights = load_file(file)
    change(weights)
    save_file(weights, file, {"format": "pt"})
    with pytest.raises(error, match=message):
        AutoModelForCausalLM.from_pretrained(tmp_path)


def test_a_base_model_takes_a_new_prefix_but_a_prefix_is_not_lost(tmp_path):
    small_model().save_pretrained(tmp_path / "base")
    tuned = AutoModelForCausalLM.from_pretrained(tmp_path / "base", pre_seq_len=4)
    assert tuned.transformer.prefix_encoder.embedding.weight.std() > 0
    tuned.save_pretrained(tmp_path / "tuned")
    with pytest.raises(ValueError, match=r"tensors are unknown, the first is transformer.prefix_encoder"):
        AutoModelForCausalLM.from_pretrained(tmp_path / "tuned", pre_seq_len=None)
