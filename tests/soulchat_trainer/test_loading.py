"""Models from folders: with an adapter, on a device, in a dtype; and what is refused."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import huggingface_hub
import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import PreTrainedTokenizerFast

from soulchat_trainer.chatglm import ChatGLMTokenizer
from soulchat_trainer.loading import load_model, model_revision
from soulchat_trainer.training.arguments import RunArguments
from soulchat_trainer.training.models import make_model
from tests.soulchat_trainer import training_parts


@pytest.fixture
def folder(causal_tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> Path:
    training_parts.make_causal_model(causal_tokenizer).save_pretrained(tmp_path / "base")
    causal_tokenizer.save_pretrained(tmp_path / "base")
    return tmp_path / "base"


def logits(model: torch.nn.Module) -> torch.Tensor:
    with torch.no_grad():
        return model(torch.tensor([[5, 6, 7]])).logits.float()


def test_a_folder(folder: Path) -> None:
    model, tokenizer = load_model(str(folder), "cpu")
    assert model.dtype is torch.float32
    assert not model.training
    assert tokenizer.chat_template
    assert load_model(str(folder), "cpu", "bfloat16")[0].dtype is torch.bfloat16


def test_no_weight_is_left_to_chance(folder: Path, chatglm_tokenizer: ChatGLMTokenizer, tmp_path: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    del tensors["model.layers.0.mlp.up_proj.weight"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(OSError, match=r"1 tensors are missing, the first is model.layers.0.mlp.up_proj.weight$"):
        load_model(str(folder), "cpu")
    model, other = training_parts.make_chatglm(chatglm_tokenizer), tmp_path / "chatglm"
    model.config.pre_seq_len = 4  # a prefix that was not saved
    model.save_pretrained(other)
    chatglm_tokenizer.save_pretrained(other)
    with pytest.raises(OSError, match=r"the first is transformer.prefix_encoder.embedding.weight$"):
        load_model(str(other), "cpu")
    run = RunArguments(model_name_or_path=str(other), pre_seq_len=4)
    assert make_model(run, chatglm_tokenizer, 0).transformer.prefix_encoder.embedding.weight.requires_grad


@pytest.mark.parametrize(
    ("told", "line"),
    [
        ({"quant_method": "unheard", "bits": 4}, "cannot be loaded: .* got unheard"),
        ({"bits": 4}, "no `quant_method`"),
        ([], r"quantization_config is \[\]; allowed: a JSON object whose quant_method is a name"),
        ({"quant_method": {}}, "allowed: a JSON object whose quant_method is a name"),
    ],
)
def test_weights_quantised_in_an_unknown_way_are_refused(
    told: object, line: str, folder: Path, chatglm_tokenizer: ChatGLMTokenizer, tmp_path: Path
) -> None:
    """transformers passed over it and took the numbers for whole weights."""
    other = tmp_path / "chatglm"
    training_parts.make_chatglm(chatglm_tokenizer).save_pretrained(other)
    chatglm_tokenizer.save_pretrained(other)
    for model in (folder, other):
        config = json.loads((model / "config.json").read_text())
        (model / "config.json").write_text(json.dumps(config | {"quantization_config": told}))
        with pytest.raises(OSError, match=line):
            load_model(str(model), "cpu")


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # peft's own, not ours
def test_an_adapter_is_merged(folder: Path, tmp_path: Path) -> None:
    base, _ = load_model(str(folder), "cpu")
    adapter = get_peft_model(base, LoraConfig(r=2, target_modules=["q_proj"], init_lora_weights=False))
    adapter.peft_config["default"].base_model_name_or_path = str(folder)
    adapter.save_pretrained(tmp_path / "adapter")
    merged, tokenizer = load_model(str(tmp_path / "adapter"), "cpu")
    assert tokenizer.chat_template
    assert torch.allclose(logits(merged), logits(adapter.eval()), atol=1e-5)
    plain, _ = load_model(str(folder), "cpu")
    assert not torch.allclose(logits(merged), logits(plain), atol=1e-3)


def test_revisions_follow_the_weights(folder: Path) -> None:
    model, _ = load_model(str(folder), "cpu")
    before = model_revision(str(folder))
    assert before == model_revision(str(folder))
    torch.nn.init.zeros_(model.lm_head.weight)
    model.save_pretrained(folder)
    assert model_revision(str(folder)) != before


def test_what_is_no_model_is_told(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(NotADirectoryError, match="is no folder"):
        load_model(str(tmp_path / "none"))
    with pytest.raises(NotADirectoryError, match="chatglm-6bb is no folder; allowed: a model's folder, or USER/NAME"):
        load_model("chatglm-6bb")  # a misspelt folder; the Hub is not asked
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"no config\.json"):
        load_model(str(tmp_path / "empty"))
    (tmp_path / "empty" / "config.json").write_text("{}")
    with pytest.raises(FileNotFoundError, match="has no weights"):
        load_model(str(tmp_path / "empty"))
    with pytest.raises(
        OSError, match="nobody/nothing is no folder here and not in the cache, and the Hub cannot be reached"
    ):
        load_model("nobody/nothing")
    with pytest.raises(ValueError, match="device is 'abacus'"):
        load_model(str(folder), "abacus")
    with pytest.raises(ValueError, match="dtype is 'int3'"):
        load_model(str(folder), "cpu", "int3")


def test_a_cached_model_loads_while_the_hub_is_away(folder: Path, tmp_path: Path) -> None:
    """Without asking for each file, six times over: a test that waits for the Hub would take minutes."""
    repository = tmp_path / "hub" / "models--someone--small"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text("a1")
    shutil.copytree(folder, repository / "snapshots" / "a1")
    environment = {**os.environ, "HF_HUB_CACHE": str(tmp_path / "hub"), "HF_ENDPOINT": "http://127.0.0.1:9"}
    code = (
        "from soulchat_trainer.loading import *; load_model('someone/small'); print(model_revision('someone/small'))"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=100)
    assert (done.returncode, done.stdout) == (0, "a1\n"), done.stderr
    assert done.stderr.count("the Hub cannot be reached, so someone/small is taken from the cache") == 1
    assert "Retrying" not in done.stderr
