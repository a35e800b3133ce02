"""Exports: what is read from them is what was trained, or there is none."""

import importlib.util
import json
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig

from soulchat_trainer import export
from soulchat_trainer.chatglm import ChatGLMTokenizer
from soulchat_trainer.encoding.prompts import ChatTemplate
from soulchat_trainer.encoding.training_form import find_parts
from soulchat_trainer.export import export_model, parity_talks, write_go_template
from soulchat_trainer.loading import load_model
from soulchatcorpus.files import working_in
from tests.limits import no_room_for_files_above
from tests.soulchat_trainer.encoding.families import FAMILIES
from tests.soulchat_trainer.training_parts import make_causal_model, make_causal_tokenizer, make_chatglm

QWEN3 = next(family for family in FAMILIES if family.name == "qwen3")


@pytest.fixture
def trained(tmp_path: Path) -> str:
    """A small causal model with Qwen 3's template, as its base has it."""
    tokenizer = QWEN3.make_tokenizer()
    model = make_causal_model(tokenizer)
    model.config.max_position_embeddings = 8192
    model.save_pretrained(tmp_path / "trained")
    tokenizer.save_pretrained(tmp_path / "trained")
    return str(tmp_path / "trained")


def test_an_export_is_read_as_it_was_trained(trained: str, tmp_path: Path) -> None:
    (Path(trained) / "results.json").write_text(json.dumps({"decoding": {"top_p": 0.6, "max_new_tokens": 77}}))
    parity = export_model(trained, tmp_path / "out", "hf")
    assert (parity.talks, parity.replies, parity.gguf) == (50, 3, None)
    decoding = GenerationConfig.from_pretrained(tmp_path / "out")
    assert (decoding.do_sample, decoding.top_p, decoding.temperature, decoding.max_new_tokens) == (True, 0.6, 0.95, 77)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    assert tokenizer.eos_token_id in decoding.eos_token_id
    asked = tokenizer.apply_chat_template(parity_talks()[0], tokenize=False, add_generation_prompt=True)
    assert asked.endswith("<think>\n\n</think>\n\n")
    torch.testing.assert_close(
        AutoModelForCausalLM.from_pretrained(tmp_path / "out").state_dict(), load_model(trained)[0].state_dict()
    )
    with pytest.raises(FileExistsError, match="is there already; allowed: a new folder"):
        export_model(trained, tmp_path / "out", "hf")


def test_the_second_in_a_folder_is_told_who_is_at_work_and_takes_nothing_away(trained: str, tmp_path: Path) -> None:
    with working_in(tmp_path / "out", "soulchat export"):
        with pytest.raises(OSError, match=r"is in use by soulchat export \(process \d+ on "):
            export_model(trained, tmp_path / "out", "hf")
        assert (tmp_path / "out").is_dir()


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # PEFT 0.21 asks by the old name
def test_an_adapter_is_merged(trained: str, tmp_path: Path) -> None:
    base = AutoModelForCausalLM.from_pretrained(trained)
    config = LoraConfig(task_type="CAUSAL_LM", target_modules=["q_proj"], init_lora_weights=False)
    get_peft_model(base, config).save_pretrained(tmp_path / "adapter")
    export_model(str(tmp_path / "adapter"), tmp_path / "out", "vllm")
    merged = load_model(str(tmp_path / "adapter"))[0]
    name = "model.layers.0.self_attn.q_proj.weight"
    found = AutoModelForCausalLM.from_pretrained(tmp_path / "out").state_dict()[name]
    torch.testing.assert_close(found, merged.state_dict()[name])
    assert not torch.equal(found, AutoModelForCausalLM.from_pretrained(trained).state_dict()[name])


def test_chatglm_is_exported_for_transformers_alone(chatglm_tokenizer: ChatGLMTokenizer, tmp_path: Path) -> None:
    make_chatglm(chatglm_tokenizer, max_sequence_length=2048).save_pretrained(tmp_path / "glm")
    chatglm_tokenizer.save_pretrained(tmp_path / "glm")
    assert export_model(str(tmp_path / "glm"), tmp_path / "out", "hf").talks == 50
    with pytest.raises(ValueError, match=r"ChatGLM-6B \(v1\), which vLLM and Ollama do not know"):
        export_model(str(tmp_path / "glm"), tmp_path / "other", "vllm")


def test_an_export_that_differs_leaves_nothing(trained: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here a template that was not saved in its training form."""
    monkeypatch.setattr(export, "ChatTemplateEncoder", lambda *_: None)
    with pytest.raises(ValueError, match="the exported tokenizer gives other ids than the trainer for talk 1"):
        export_model(trained, tmp_path / "out", "hf")
    assert not (tmp_path / "out").exists()


def test_what_is_wrong_is_told_before_anything_is_loaded(trained: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="to is 'gguf'; allowed: hf, vllm, ollama"):
        export_model(trained, tmp_path / "out", "gguf")
    with pytest.raises(FileNotFoundError, match=r"converter is not given; allowed: convert_hf_to_gguf.py of a clone"):
        export_model(trained, tmp_path / "out", "ollama")
    failing = tmp_path / "convert_hf_to_gguf.py"
    failing.write_text("raise SystemExit('architecture unknown')")
    with pytest.raises(OSError, match=r"could not convert .*: architecture unknown"):
        export_model(trained, tmp_path / "out", "ollama", failing)
    assert not (tmp_path / "out").exists()


def test_a_modelfile_has_template_stop_and_decoding(trained: str, tmp_path: Path) -> None:
    converter = tmp_path / "convert_hf_to_gguf.py"
    converter.write_text("import sys\nopen(sys.argv[sys.argv.index('--outfile') + 1], 'wb').close()")
    if importlib.util.find_spec("llama_cpp"):
        pytest.skip("the file is none that llama.cpp reads")
    export_model(trained, tmp_path / "out", "ollama", converter)
    lines = (tmp_path / "out/Modelfile").read_text().splitlines()
    assert lines[0] == "FROM ./model.gguf"
    assert 'PARAMETER stop "<|im_end|>"' in lines
    assert "PARAMETER top_p 0.75" in lines
    assert "PARAMETER num_predict 512" in lines


def test_ollamas_template_has_the_parts_of_a_turn() -> None:
    """Read by hand: Go's own engine is not here."""
    parts = find_parts(ChatTemplate(make_causal_tokenizer()))
    assert write_go_template(parts, None) == (
        '{{ $before := "" }}{{ range .Messages }}'
        '{{ if eq .Role "system" }}{{ "<|im_start|>system\\n" }}{{ .Content }}{{ "<|im_end|>\\n<|im_start|>user\\n" }}'
        "{{ end }}"
        '{{ if eq .Role "user" }}{{ if eq $before "" }}{{ "<|im_start|>user\\n" }}{{ end }}'
        '{{ if eq $before "assistant" }}{{ "<|im_start|>user\\n" }}{{ end }}'
        '{{ .Content }}{{ "<|im_end|>\\n" }}{{ end }}'
        '{{ if eq .Role "assistant" }}{{ "<|im_start|>assistant\\n" }}{{ .Content }}{{ "<|im_end|>\\n" }}{{ end }}'
        '{{ $before = .Role }}{{ end }}{{ "<|im_start|>assistant\\n" }}'
    )


def test_a_full_disk_is_one_line_and_leaves_nothing(trained: str, tmp_path: Path) -> None:
    with (
        no_room_for_files_above(8192),
        pytest.raises(OSError, match=r"^the export could not be written to .*; nothing"),
    ):
        export_model(trained, tmp_path / "out", "hf")
    assert not (tmp_path / "out").exists()
