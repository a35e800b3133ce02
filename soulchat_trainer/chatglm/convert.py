"""ChatGLM2-6B and ChatGLM3-6B as native `GlmForCausalLM`: the same numbers under other names, the fused parts cut.

Both keep the `model_type` of ChatGLM-6B but are another architecture (RMS norm, gated MLP, grouped keys and values),
which transformers has as `glm`.
"""

import json
import os
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import GlmConfig, GlmForCausalLM

from soulchatcorpus.files import check_new, making, read_object

from ..unreadable import UNREADABLE, cause_of, saving

OUTER_NAMES = {
    "transformer.embedding.word_embeddings.weight": "model.embed_tokens.weight",
    "transformer.encoder.final_layernorm.weight": "model.norm.weight",
    "transformer.output_layer.weight": "lm_head.weight",
}
LAYER_NAMES = {
    "input_layernorm.weight": "input_layernorm.weight",
    "self_attention.dense.weight": "self_attn.o_proj.weight",
    "post_attention_layernorm.weight": "post_attention_layernorm.weight",
    "mlp.dense_h_to_4h.weight": "mlp.gate_up_proj.weight",  # gate first in both
    "mlp.dense_4h_to_h.weight": "mlp.down_proj.weight",
}
LAYERS = "transformer.encoder.layers."
FUSED = "self_attention.query_key_value."
NOT_WEIGHTS = ("transformer.rotary_pos_emb.inv_freq",)
COPIED = ("tokenizer.model",)
NEEDED_SETTINGS = {
    "add_qkv_bias",
    "ffn_hidden_size",
    "hidden_size",
    "kv_channels",
    "layernorm_epsilon",
    "multi_query_group_num",
    "num_attention_heads",
    "num_layers",
    "padded_vocab_size",
    "seq_length",
}


def convert_checkpoint(source: Path, target: Path) -> None:
    """Write the ChatGLM2 or ChatGLM3 checkpoint in `source` to the new folder `target` as `GlmForCausalLM`.

    Shard by shard, so that only one is in memory; weights keep their dtype and are written as safetensors. The
    sentencepiece file is copied as it is; the tokenizer around it (control tokens, chat form) has no counterpart in
    transformers. A conversion that fails leaves no `target`.
    Raises `ValueError` for another kind of checkpoint and for tensors that are unknown, missing or of a wrong shape;
    `OSError` for files that are missing or cannot be read, a `target` that is there, and another run that makes it.
    """
    with making(target, "soulchat convert"):
        check_new(target)
        _convert(source, target)


def _convert(source: Path, target: Path) -> None:
    config = glm_config(read_object(source / "config.json"), source)
    with torch.device("meta"):
        expected = {name: tensor.shape for name, tensor in GlmForCausalLM(config).state_dict().items()}
    unfinished = target.with_name(target.name + ".unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    try:
        dtype = _convert_weights(source, unfinished, config, expected)
        config.dtype = dtype
        config.architectures = ["GlmForCausalLM"]
        config.save_pretrained(unfinished)
        for name in COPIED:
            if (source / name).is_file():
                shutil.copyfile(source / name, unfinished / name)
        os.replace(unfinished, target)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def glm_config(settings: dict, source: Path) -> GlmConfig:
    """The `GlmConfig` of the ChatGLM2 or ChatGLM3 `config.json` in `source`.

    Raises `ValueError` where it is of another model, or has values that `GlmConfig` does not take.
    """
    missing = sorted(NEEDED_SETTINGS - settings.keys())
    if missing:
        raise ValueError(
            f"config.json is not of ChatGLM2 or ChatGLM3 (model_type {settings.get('model_type')!r}, without "
            f"{', '.join(missing)}); ChatGLM-6B v1 needs no conversion"
        )
    if settings.get("quantization_bit"):
        bits = settings["quantization_bit"]
        raise ValueError(f"quantization_bit is {bits}; convert the checkpoint that is not quantised")
    if settings.get("quantization_config"):
        raise ValueError(
            f"quantization_config is {settings['quantization_config']}; convert the checkpoint that is not quantised"
        )
    needed = {
        "multi_query_attention": True,
        "rmsnorm": True,
        "post_layer_norm": True,
        "add_bias_linear": False,
        "apply_residual_connection_post_layernorm": False,
    }
    for key, value in needed.items():
        if settings.get(key, value) != value:
            raise ValueError(f"config.json has {key} {settings[key]}; GlmForCausalLM can only be {value}")
    rope_parameters = _rope_parameters(settings.get("rope_ratio", 1), source)
    try:
        return GlmConfig(
            vocab_size=settings["padded_vocab_size"],
            hidden_size=settings["hidden_size"],
            intermediate_size=settings["ffn_hidden_size"],
            num_hidden_layers=settings["num_layers"],
            num_attention_heads=settings["num_attention_heads"],
            num_key_value_heads=settings["multi_query_group_num"],
            head_dim=settings["kv_channels"],
            max_position_embeddings=settings["seq_length"],
            rms_norm_eps=settings["layernorm_epsilon"],
            attention_bias=settings["add_qkv_bias"],
            rope_parameters=rope_parameters,
            bos_token_id=1,
            eos_token_id=2,
            pad_token_id=0,
            tie_word_embeddings=False,
        )
    except StrictDataclassError as error:
        raise ValueError(f"{source / 'config.json'}: {' '.join(str(error).split())}") from error


def _rope_parameters(ratio: float, source: Path) -> dict[str, str | float]:
    """The rotation. The long checkpoints stretch it by `ratio`, and only their own code tells how (it is not run)."""
    plain: dict[str, str | float] = {"rope_type": "default", "rope_theta": 10000.0, "partial_rotary_factor": 0.5}
    if ratio == 1:
        return plain
    code_file = source / "modeling_chatglm.py"
    code = code_file.read_text(encoding="utf-8") if code_file.is_file() else ""
    divides_positions, multiplies_base = "/ self.rope_ratio" in code, "* self.rope_ratio" in code
    if divides_positions == multiplies_base:
        raise ValueError(
            f"config.json has rope_ratio {ratio}, by which ChatGLM2-6B-32K divides positions and ChatGLM3-6B-32K "
            f"multiplies the base; {code_file}, which tells one from the other, is missing or does neither"
        )
    if divides_positions:
        return plain | {"rope_type": "linear", "factor": float(ratio)}
    return plain | {"rope_theta": 10000.0 * ratio}


def _convert_weights(source: Path, target: Path, config: GlmConfig, expected: dict[str, torch.Size]) -> torch.dtype:
    files = _weight_files(source)
    weight_map: dict[str, str] = {}
    total_size, dtype = 0, torch.float16
    for number, file in enumerate(files, start=1):
        shard = {}
        for name, tensor in _read(file).items():
            for new_name, new_tensor in _convert_tensor(name, tensor, config):
                if expected.get(new_name) != new_tensor.shape:
                    raise ValueError(
                        f"{file}: {name} has shape {list(tensor.shape)}, which does not fit the sizes in config.json"
                    )
                shard[new_name] = new_tensor.contiguous()
        shard_name = f"model-{number:05}-of-{len(files):05}.safetensors"
        with saving("the converted weights", target.parent, "nothing of them is left"):
            save_file(shard, target / shard_name, metadata={"format": "pt"})
        weight_map |= dict.fromkeys(shard, shard_name)
        for tensor in shard.values():
            total_size, dtype = total_size + tensor.nbytes, tensor.dtype
    missing = sorted(expected.keys() - weight_map.keys())
    if missing:
        raise ValueError(f"{source}: {len(missing)} tensors are missing, the first is that of {missing[0]}")
    index = {"metadata": {"total_size": total_size}, "weight_map": weight_map}
    (target / "model.safetensors.index.json").write_text(json.dumps(index, indent=2), encoding="utf-8")
    return dtype


def _convert_tensor(name: str, tensor: Tensor, config: GlmConfig) -> Iterator[tuple[str, Tensor]]:
    """The native name and tensor, or three of each for the fused projection."""
    if name in NOT_WEIGHTS:
        return
    if name in OUTER_NAMES:
        yield OUTER_NAMES[name], tensor
        return
    layer, _, inner = name.removeprefix(LAYERS).partition(".")
    if name.startswith(LAYERS) and inner in LAYER_NAMES:
        yield f"model.layers.{layer}.{LAYER_NAMES[inner]}", tensor
    elif name.startswith(LAYERS) and inner.startswith(FUSED):
        kind = inner.removeprefix(FUSED)
        keys = config.num_key_value_heads * config.head_dim
        sizes = [config.num_attention_heads * config.head_dim, keys, keys]
        if len(tensor) != sum(sizes):
            raise ValueError(f"{name} has {len(tensor)} rows, config.json tells of {sum(sizes)}")
        parts = tensor.split(sizes)
        for part, projection in zip(parts, "qkv", strict=True):
            yield f"model.layers.{layer}.self_attn.{projection}_proj.{kind}", part
    else:
        raise ValueError(f"{name} is not a tensor of ChatGLM2 or ChatGLM3")


def _weight_files(source: Path) -> list[Path]:
    for index_name in ("model.safetensors.index.json", "pytorch_model.bin.index.json"):
        if (source / index_name).is_file():
            weight_map = read_object(source / index_name).get("weight_map")
            if not isinstance(weight_map, dict):
                raise ValueError(f"{source / index_name} has no weight_map, which tells the file of each tensor")
            return [source / name for name in sorted(set(weight_map.values()))]
    for name in ("model.safetensors", "pytorch_model.bin"):
        if (source / name).is_file():
            return [source / name]
    raise FileNotFoundError(f"{source} has no model.safetensors and no pytorch_model.bin, whole or in shards")


def _read(file: Path) -> dict[str, Tensor]:
    try:
        if file.suffix == ".safetensors":
            return load_file(file)
        if file.is_file() and not zipfile.is_zipfile(file):
            raise EOFError  # torch would read it as a bare pickle, and fail on it in many ways
        return torch.load(file, map_location="cpu", weights_only=True, mmap=True)
    except UNREADABLE as error:
        raise OSError(f"{file} cannot be read: {cause_of(error)}") from error
