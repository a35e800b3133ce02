"""ChatGLM2 and ChatGLM3 beside a plain restatement of their architecture, written here from its description."""

import json
import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, GlmForCausalLM
from typer.testing import CliRunner

from soulchat.cli import app
from soulchat_trainer.chatglm.convert import convert_checkpoint

SETTINGS = {
    "model_type": "chatglm",
    "padded_vocab_size": 90,
    "hidden_size": 32,
    "ffn_hidden_size": 48,
    "num_layers": 2,
    "num_attention_heads": 4,
    "multi_query_attention": True,
    "multi_query_group_num": 2,
    "kv_channels": 8,
    "seq_length": 64,
    "layernorm_epsilon": 1e-5,
    "rmsnorm": True,
    "post_layer_norm": True,
    "add_qkv_bias": True,
    "add_bias_linear": False,
    "apply_residual_connection_post_layernorm": False,
}


def make_weights() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator) * 0.3

    weights = {
        "transformer.embedding.word_embeddings.weight": draw(90, 32),
        "transformer.rotary_pos_emb.inv_freq": draw(2),
        "transformer.encoder.final_layernorm.weight": 1 + draw(32),
        "transformer.output_layer.weight": draw(90, 32),
    }
    for layer in range(2):
        weights |= {
            f"transformer.encoder.layers.{layer}.{name}": tensor
            for name, tensor in {
                "input_layernorm.weight": 1 + draw(32),
                "self_attention.query_key_value.weight": draw(64, 32),
                "self_attention.query_key_value.bias": draw(64),
                "self_attention.dense.weight": draw(32, 32),
                "post_attention_layernorm.weight": 1 + draw(32),
                "mlp.dense_h_to_4h.weight": draw(96, 32),
                "mlp.dense_4h_to_h.weight": draw(32, 48),
            }.items()
        }
    return weights


def logits_of_chatglm2(
    weights: dict[str, torch.Tensor], ids: torch.Tensor, times_base: float = 1, over_positions: float = 1
) -> torch.Tensor:
    """One row of ids: RMS norm, half of every head rotated in neighbouring pairs, keys shared in groups."""
    length = len(ids)

    def norm(states: torch.Tensor, name: str) -> torch.Tensor:
        return (
            states * torch.rsqrt(states.pow(2).mean(-1, keepdim=True) + 1e-5) * weights[f"transformer.encoder.{name}"]
        )

    def rotate(heads: torch.Tensor) -> torch.Tensor:  # [s, n, 8]: the first four numbers are two pairs
        frequencies = (10000 * times_base) ** (-torch.arange(0, 4, 2) / 4)
        angles = torch.arange(length)[:, None] / over_positions * frequencies
        turns = torch.polar(torch.ones_like(angles), angles)[:, None]
        pairs = torch.view_as_complex(heads[..., :4].reshape(length, -1, 2, 2).contiguous())
        return torch.cat([torch.view_as_real(pairs * turns).flatten(-2), heads[..., 4:]], -1)

    states = weights["transformer.embedding.word_embeddings.weight"][ids]
    hidden = torch.ones(length, length, dtype=torch.bool).triu(1)
    for layer in range(2):
        part = lambda name: weights[f"transformer.encoder.layers.{layer}.{name}"]  # noqa: B023, E731
        fused = F.linear(
            norm(states, f"layers.{layer}.input_layernorm.weight"),
            part("self_attention.query_key_value.weight"),
            part("self_attention.query_key_value.bias"),
        )
        query, key, value = (rows.reshape(length, -1, 8) for rows in fused.split([32, 16, 16], -1))
        query, key = rotate(query), rotate(key)
        key, value = key.repeat_interleave(2, 1), value.repeat_interleave(2, 1)
        scores = torch.einsum("qnd,knd->nqk", query, key) / math.sqrt(8)
        attended = torch.einsum("nqk,knd->qnd", scores.masked_fill(hidden, -torch.inf).softmax(-1), value)
        states = states + F.linear(attended.flatten(1), part("self_attention.dense.weight"))
        gate, up = F.linear(
            norm(states, f"layers.{layer}.post_attention_layernorm.weight"), part("mlp.dense_h_to_4h.weight")
        ).chunk(2, -1)
        states = states + F.linear(F.silu(gate) * up, part("mlp.dense_4h_to_h.weight"))
    return F.linear(norm(states, "final_layernorm.weight"), weights["transformer.output_layer.weight"])


def write(folder: Path, weights: dict[str, torch.Tensor], form: str = "sharded bin", **settings) -> Path:
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(SETTINGS | settings))
    (folder / "tokenizer.model").write_bytes(b"pieces")
    if form == "safetensors":
        save_file(weights, folder / "model.safetensors")
        return folder
    names = sorted(weights)
    shards = {"pytorch_model-00001-of-00002.bin": names[:5], "pytorch_model-00002-of-00002.bin": names[5:]}
    for file, inside in shards.items():
        torch.save({name: weights[name] for name in inside}, folder / file)
    weight_map = {name: file for file, inside in shards.items() for name in inside}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"weight_map": weight_map}))
    return folder


@pytest.mark.parametrize(
    ("form", "ratio", "code", "rotation"),
    [
        ("sharded bin", 1, "", {}),
        ("safetensors", 50, "base = base * self.rope_ratio", {"times_base": 50}),  # ChatGLM3-6B-32K
        ("safetensors", 4, "index = index / self.rope_ratio", {"over_positions": 4}),  # ChatGLM2-6B-32K
    ],
)
def test_the_converted_model_gives_the_logits_of_the_original_architecture(
    tmp_path, form: str, ratio: int, code: str, rotation: dict
):
    weights = make_weights()
    source = write(tmp_path / "in", weights, form, **({"rope_ratio": ratio} if ratio != 1 else {}))
    (source / "modeling_chatglm.py").write_text(code)
    result = CliRunner().invoke(app, ["convert", str(source), str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "out").eval()
    assert isinstance(model, GlmForCausalLM)
    ids = torch.randint(0, 90, (20,), generator=torch.Generator().manual_seed(1))
    expected = logits_of_chatglm2(weights, ids, **rotation)
    torch.testing.assert_close(model(ids[None]).logits[0], expected, atol=2e-5, rtol=0)
    assert (tmp_path / "out" / "tokenizer.model").read_bytes() == b"pieces"
    assert not list((tmp_path / "out").glob("*.bin"))


def test_half_precision_stays_bit_for_bit(tmp_path):
    weights = {name: tensor.half() for name, tensor in make_weights().items()}
    convert_checkpoint(write(tmp_path / "in", weights), tmp_path / "out")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    assert model.dtype == torch.float16
    assert torch.equal(model.lm_head.weight, weights["transformer.output_layer.weight"])
    fused = weights["transformer.encoder.layers.1.self_attention.query_key_value.weight"]
    attention = model.model.layers[1].self_attn
    parts = [attention.q_proj.weight, attention.k_proj.weight, attention.v_proj.weight]
    assert torch.equal(torch.cat(parts), fused)


@pytest.mark.parametrize(
    ("change", "settings", "message"),
    [
        (lambda weights: weights.pop("transformer.output_layer.weight"), {}, "1 tensors are missing"),
        (lambda weights: weights.update(other=torch.ones(1)), {}, "other is not a tensor of ChatGLM2 or ChatGLM3"),
        (lambda weights: None, {"hidden_size": 64}, "does not fit the sizes in config.json"),
        (lambda weights: None, {"multi_query_group_num": 4}, "has 64 rows, config.json tells of 96"),
        (lambda weights: None, {"quantization_bit": 4}, "quantization_bit is 4"),
        (lambda weights: None, {"quantization_config": {"bits": 4}}, "quantization_config is {'bits': 4}; convert"),
        (lambda weights: None, {"rmsnorm": False}, "config.json has rmsnorm False"),
        (lambda weights: None, {"rope_ratio": 4}, "rope_ratio 4, by which ChatGLM2-6B-32K divides positions"),
        (lambda weights: None, {"num_layers": "2"}, r"in/config\.json: .* expected int, got str"),
    ],
)
def test_what_cannot_be_converted_is_refused_and_leaves_nothing(tmp_path, change, settings: dict, message: str):
    weights = make_weights()
    change(weights)
    source = write(tmp_path / "in", weights, **settings)
    with pytest.raises(ValueError, match=message):
        convert_checkpoint(source, tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_other_folders_are_refused(tmp_path):
    source = write(tmp_path / "in", make_weights())
    (tmp_path / "out").mkdir()
    with pytest.raises(FileExistsError, match="out already exists; allowed: another name"):
        convert_checkpoint(source, tmp_path / "out")
    for torn in (b"torn", b""):
        (source / "pytorch_model-00002-of-00002.bin").write_bytes(torn)
        with pytest.raises(OSError, match=r"00002-of-00002.bin cannot be read: a .bin file is empty, damaged"):
            convert_checkpoint(source, tmp_path / "new")
    for index, message in (("{}", "has no weight_map"), ("{", "is not JSON"), ("[]", "is of type list")):
        (source / "pytorch_model.bin.index.json").write_text(index)
        with pytest.raises(ValueError, match=f"pytorch_model.bin.index.json {message}"):
            convert_checkpoint(source, tmp_path / "new")
    (source / "config.json").write_text('{"model_type": "chatglm", "inner_hidden_size": 64}')
    with pytest.raises(ValueError, match="ChatGLM-6B v1 needs no conversion"):
        convert_checkpoint(source, tmp_path / "new")
