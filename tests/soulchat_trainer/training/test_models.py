"""Tokenizers and models as recipes ask for them."""

import importlib.util
import json
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM
from transformers.utils import logging
from typer.testing import CliRunner

from soulchat.cli import app
from soulchat_trainer.chatglm import ChatGLMTokenizer
from soulchat_trainer.loading import load_model
from soulchat_trainer.training.arguments import RunArguments, SoulChatTrainingArguments
from soulchat_trainer.training.models import add_lora, make_model, make_tokenizer, new_config
from soulchat_trainer.training.trainer import SoulChatTrainer
from tests.soulchat_trainer.training_parts import make_causal_model, make_chatglm, make_rows

SIZES = {"hidden_size": 32, "num_layers": 2, "num_attention_heads": 2, "inner_hidden_size": 64}


@pytest.fixture
def saved(chatglm_tokenizer: ChatGLMTokenizer, tmp_path: Path) -> str:
    make_chatglm(chatglm_tokenizer).save_pretrained(tmp_path / "model")
    chatglm_tokenizer.save_pretrained(tmp_path / "model")
    return str(tmp_path / "model")


def test_a_new_model_fits_its_tokenizer(chatglm_tokenizer: ChatGLMTokenizer) -> None:
    config = new_config(SIZES, chatglm_tokenizer)
    assert config.vocab_size == len(chatglm_tokenizer)
    assert config.gmask_token_id == chatglm_tokenizer.gmask_token_id
    assert config.eos_token_id == chatglm_tokenizer.eos_token_id
    assert config.residual_layers == 2


def test_unknown_sizes_are_refused(chatglm_tokenizer: ChatGLMTokenizer) -> None:
    with pytest.raises(ValueError, match="unknown keys hiden_size"):
        new_config({"hiden_size": 3}, chatglm_tokenizer)


@pytest.mark.parametrize(
    ("values", "line"),
    [({"hidden_size": "wide"}, "does not fit the fields of ChatGLMConfig.*hidden_size"), ({3: 4}, "unknown keys 3")],
)
def test_sizes_of_the_wrong_type_are_refused(values: dict, line: str, chatglm_tokenizer: ChatGLMTokenizer) -> None:
    with pytest.raises(ValueError, match=f"(?s){line}"):
        new_config(values, chatglm_tokenizer)


def test_the_same_seed_makes_the_same_model(chatglm_tokenizer: ChatGLMTokenizer) -> None:
    run = RunArguments(model_config=SIZES)
    first, second, other = (make_model(run, chatglm_tokenizer, seed) for seed in (1, 1, 2))
    assert (first.lm_head.weight == second.lm_head.weight).all()
    assert (first.lm_head.weight != other.lm_head.weight).any()


def test_the_tokenizer_is_trained_once_asked(tmp_path: Path) -> None:
    run = RunArguments(model_config=SIZES, tokenizer_vocab_size=420)
    trained = make_tokenizer(run, make_rows(200, seed=1), tmp_path, train=True)
    assert len(trained) == 420
    assert make_tokenizer(run, make_rows(1), tmp_path, train=False).get_vocab() == trained.get_vocab()


def test_a_small_corpus_gets_the_pieces_that_it_has(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run = RunArguments(model_config=SIZES, tokenizer_vocab_size=4000)
    logging.enable_propagation()
    with caplog.at_level("WARNING"):
        trained = make_tokenizer(run, make_rows(200, seed=1), tmp_path, train=True)
    logging.disable_propagation()
    assert 349 < len(trained) < 4000
    assert f"tokenizer_vocab_size is 4000; these texts have pieces for {len(trained)}" in caplog.text


def test_a_tokenizer_is_trained_on_system_texts_too(tmp_path: Path) -> None:
    system = {"role": "system", "content": "你是咨询师"}
    rows = make_rows(200, seed=1).map(lambda row: {"messages": [system, *row["messages"]]})
    run = RunArguments(model_config=SIZES, tokenizer_vocab_size=420)
    tokenizer = make_tokenizer(run, rows, tmp_path, train=True)
    assert tokenizer.unk_token_id not in tokenizer("你是咨询师").input_ids


def test_a_tokenizer_that_is_named_is_not_trained(chatglm_tokenizer: ChatGLMTokenizer, tmp_path: Path) -> None:
    """A flag beside a recipe that would train one."""
    chatglm_tokenizer.save_pretrained(tmp_path / "named")
    run = RunArguments(model_config=SIZES, tokenizer_name_or_path=str(tmp_path / "named"), tokenizer_vocab_size=420)
    found = make_tokenizer(run, make_rows(1), tmp_path / "own", train=True)
    assert found.get_vocab() == chatglm_tokenizer.get_vocab()
    assert not (tmp_path / "own").exists()


def test_a_folder_without_a_tokenizer_is_named(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=f"model {tmp_path} cannot be loaded: "):
        make_tokenizer(
            RunArguments(model_config=SIZES, tokenizer_name_or_path=str(tmp_path)), make_rows(1), tmp_path, True
        )


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # PEFT 0.21 asks by the old name
def test_lora_trains_only_its_matrices(saved: str, chatglm_tokenizer: ChatGLMTokenizer) -> None:
    model = make_model(RunArguments(saved, lora_rank=4), chatglm_tokenizer, 0)
    trained = [name for name, parameter in model.named_parameters() if parameter.requires_grad]
    assert len(trained) == 2 * 4 * 2  # layers, projections, A and B
    assert all("lora_" in name for name in trained)


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
def test_lora_on_all_layers(saved: str, chatglm_tokenizer: ChatGLMTokenizer) -> None:
    run = RunArguments(saved, lora_rank=4, lora_target_modules=["all-linear"])
    names = {
        name.split(".lora_")[0].split(".")[-1]
        for name, _ in make_model(run, chatglm_tokenizer, 0).named_parameters()
        if ".lora_" in name
    }
    assert names == {"query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h"}


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
@pytest.mark.parametrize("target", ["word_embeddings", "lm_head"])
def test_lora_on_one_of_two_tables_that_are_one_is_refused(
    target: str, saved: str, chatglm_tokenizer: ChatGLMTokenizer, tmp_path: Path
) -> None:
    """The other kept the change in training, and lost it when the model was loaded."""
    run = RunArguments(saved, lora_rank=4, lora_target_modules=[target])
    with pytest.raises(ValueError, match="which are one table in this model"):
        make_model(run, chatglm_tokenizer, 0)
    adapted = get_peft_model(make_chatglm(chatglm_tokenizer), LoraConfig(r=2, target_modules=[target]))
    adapted.peft_config["default"].base_model_name_or_path = saved
    adapted.save_pretrained(tmp_path / "adapter")
    with pytest.raises(OSError, match="which are one table in this model"):
        load_model(str(tmp_path / "adapter"), "cpu")


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
def test_lora_on_a_head_of_its_own(causal_tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> None:
    make_causal_model(causal_tokenizer).save_pretrained(tmp_path)
    model = make_model(RunArguments(str(tmp_path), lora_rank=4, lora_target_modules=["lm_head"]), causal_tokenizer, 0)
    assert sum(p.requires_grad for p in model.parameters()) == 2


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
def test_training_goes_on_from_an_adapter(saved: str, chatglm_tokenizer: ChatGLMTokenizer, tmp_path: Path) -> None:
    """With its own weights, and its own tokenizer or its base's; `soulchat export` merges it."""
    adapter, whole = tmp_path / "adapter", tmp_path / "whole"
    lora = LoraConfig(r=2, target_modules=["dense"], init_lora_weights=False)
    adapted = get_peft_model(load_model(saved, "cpu")[0], lora)
    adapted.peft_config["default"].base_model_name_or_path = saved
    adapted.save_pretrained(adapter)
    chatglm_tokenizer.save_pretrained(adapter)
    run = RunArguments(str(adapter))
    tokenizer = make_tokenizer(run, make_rows(1), tmp_path / "own", train=True)
    assert tokenizer.get_vocab() == chatglm_tokenizer.get_vocab()
    model = make_model(run, tokenizer, 0)
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    assert set(trained) == {name for name, _ in adapted.named_parameters() if "lora_" in name}
    assert all(torch.equal(p, dict(adapted.named_parameters())[name]) for name, p in trained.items())
    for changes in ({"lora_rank": 3}, {"pre_seq_len": 4}):
        with pytest.raises(ValueError, match=r"is an adapter and .*allowed: LoRA of its own rank"):
            make_model(RunArguments(str(adapter), **changes), tokenizer, 0)
    assert CliRunner().invoke(app, ["export", str(adapter), str(whole)]).exit_code == 0
    assert not (whole / "adapter_config.json").exists()
    ids = torch.tensor([tokenizer("最近总是睡不着").input_ids])
    with torch.no_grad():
        expected, found = adapted.eval()(ids).logits, load_model(str(whole), "cpu")[0](ids).logits
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-4)
    again = CliRunner().invoke(app, ["export", str(adapter), str(whole)])
    assert "is there already; allowed: a new folder" in str(again.exception)


def test_ptuning_trains_only_its_prefix(saved: str, chatglm_tokenizer: ChatGLMTokenizer) -> None:
    model = make_model(RunArguments(saved, pre_seq_len=5), chatglm_tokenizer, 0)
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    assert set(trained) == {"transformer.prefix_encoder.embedding.weight"}
    assert trained.popitem()[1].shape == (5, 2 * 2 * 32)


def test_ptuning_is_chatglms(causal_tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> None:
    make_causal_model(causal_tokenizer).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="qwen2 has no prefix"):
        make_model(RunArguments(str(tmp_path), pre_seq_len=5), causal_tokenizer, 0)


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
def test_qlora_trains_as_lora_does(causal_tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> None:
    """On the library's path for CPUs; the adapter is merged into the base in full."""
    pytest.importorskip("bitsandbytes")
    sizes = {"hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 2}
    config = Qwen3Config(vocab_size=len(causal_tokenizer), **sizes, intermediate_size=256, head_dim=64)
    Qwen3ForCausalLM(config).save_pretrained(tmp_path / "base")
    causal_tokenizer.save_pretrained(tmp_path / "base")
    final = []
    for quantize in (None, "nf4"):
        run = RunArguments(
            str(tmp_path / "base"), lora_rank=8, lora_target_modules=["all-linear"], lora_dropout=0, quantize=quantize
        )
        trainer = SoulChatTrainer(
            model=make_model(run, causal_tokenizer, 0),
            args=SoulChatTrainingArguments(
                str(tmp_path / "out"),
                max_steps=8,
                per_device_train_batch_size=8,
                global_batch_size=8,
                learning_rate=1e-2,
                warmup_steps=0,
                max_source_length=128,
                max_target_length=64,
                logging_steps=1,
                save_strategy="no",
                use_cpu=True,
                disable_tqdm=True,
            ),
            train_dataset=make_rows(40),
            processing_class=causal_tokenizer,
        )
        trainer.train()
        final.append(next(e["loss"] for e in reversed(trainer.state.log_history) if "loss" in e))
    weight = trainer.model.get_base_model().model.layers[0].mlp.up_proj.base_layer.weight
    assert weight.dtype == torch.uint8
    assert final[1] == pytest.approx(final[0], rel=0.02)
    trainer.save_model()
    assert load_model(str(tmp_path / "out"))[0].dtype is torch.float32
    again = RunArguments(str(tmp_path / "out"), lora_rank=8, quantize="nf4")
    weight = make_model(again, causal_tokenizer, 0).get_base_model().model.layers[0].mlp.up_proj.base_layer.weight
    assert weight.dtype == torch.uint8, "training goes on with the base in 4 bits"


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
def test_an_adapter_wants_a_whole_base(causal_tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> None:
    """Told before the weights are read, whatever library has quantised them."""
    base, adapter = tmp_path / "base", tmp_path / "adapter"
    model = make_causal_model(causal_tokenizer)
    model.save_pretrained(base)
    causal_tokenizer.save_pretrained(base)
    add_lora(model, RunArguments(str(base), lora_rank=4)).save_pretrained(adapter)
    told = json.loads((base / "config.json").read_text())
    told["quantization_config"] = {"quant_method": "gptq", "bits": 4}
    (base / "config.json").write_text(json.dumps(told))
    told = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(json.dumps(told | {"base_model_name_or_path": str(base)}))
    expected = rf"base {base} is quantised; allowed: its weights in full"
    with pytest.raises(ValueError, match=expected):
        load_model(str(adapter))
    with pytest.raises(ValueError, match=expected):
        make_model(RunArguments(str(adapter)), causal_tokenizer, 0)
    with pytest.raises(ValueError, match=expected):
        make_model(RunArguments(str(base), lora_rank=4), causal_tokenizer, 0)


def test_quantize_is_for_lora_and_needs_its_library(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="quantize is 'int8'; allowed: nf4"):
        RunArguments("x", lora_rank=4, quantize="int8")
    with pytest.raises(ValueError, match="give lora_rank, or leave it"):
        RunArguments("x", quantize="nf4")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"bitsandbytes is not installed; .* pip install .*\[qlora\]'"):
        RunArguments("x", lora_rank=4, quantize="nf4")


def test_two_ways_at_once_are_refused() -> None:
    with pytest.raises(ValueError, match="take one"):
        RunArguments("x", lora_rank=4, pre_seq_len=5)
