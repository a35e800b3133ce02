"""A real model for Ollama: what llama.cpp reads in the GGUF is what was trained, ids and greedy replies.

Small made models will not do: llama.cpp's converter knows tokenizers by their ids of one text. So this takes SmolLM2;
skipped with the reason where it, or llama.cpp, cannot be had.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from smollm2 import fetch_base
from transformers import AutoModelForCausalLM

from soulchat_trainer.export import parity_talks
from soulchat_trainer.generation import Decoding
from soulchat_trainer.generation.engine import generate_replies
from soulchat_trainer.loading import load_model
from tests.llama_cpp_parts import LlamaCpp, fetch_llama_cpp
from tests.paths import ROOT

pytestmark = pytest.mark.slow
TOKENS = 24
# Reads a GGUF as Ollama does, in a process of its own: the talk through the chat template in the file.
ANSWER = """
import json, sys
from llama_cpp import Llama
model = Llama(sys.argv[1], n_ctx=4096, verbose=False)
for messages in json.load(sys.stdin):
    answer = model.create_chat_completion(messages, temperature=0, repeat_penalty=1, max_tokens=int(sys.argv[2]))
    print(json.dumps(answer["choices"][0]["message"]["content"]))
"""


@pytest.fixture(scope="module")
def parts() -> tuple[Path, LlamaCpp]:
    try:
        return fetch_base(), fetch_llama_cpp()
    except OSError as error:
        pytest.skip(str(error))


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # PEFT 0.21 asks by the old name
def test_a_merged_adapter_in_llama_cpp_is_the_trained_model(parts: tuple[Path, LlamaCpp], tmp_path: Path) -> None:
    base, llama_cpp = parts
    adapter, exported = tmp_path / "adapter", tmp_path / "exported"
    torch.manual_seed(0)
    config = LoraConfig(task_type="CAUSAL_LM", r=2, target_modules=["q_proj"], init_lora_weights="gaussian")
    adapted = get_peft_model(AutoModelForCausalLM.from_pretrained(base), config)
    for name, weight in adapted.named_parameters():
        if "lora_B" in name:
            weight.data.fill_(0.02)
    adapted.save_pretrained(adapter)

    paths = os.pathsep.join(map(str, [ROOT, ROOT / "metrics", llama_cpp.packages]))
    environment = os.environ | {"PYTHONPATH": paths}
    command: list[object] = [
        sys.executable,
        "-c",
        "from soulchat_command import main; main()",
        "export",
        adapter,
        exported,
    ]
    command += ["--to", "ollama", "--converter", llama_cpp.converter]
    done = subprocess.run(list(map(str, command)), env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads((exported / "parity.json").read_text()) == {"talks": 50, "replies": 3, "gguf": 50}
    assert "FROM ./model.gguf" in (exported / "Modelfile").read_text()

    talks = [[{"role": "user", "content": "What is the capital of France?"}], *parity_talks()[:2]]
    answered = subprocess.run(
        [sys.executable, "-c", ANSWER, str(exported / "model.gguf"), str(TOKENS)],
        env=environment,
        input=json.dumps(talks),
        capture_output=True,
        text=True,
        check=True,
    )
    decoding = Decoding(do_sample=False, max_new_tokens=TOKENS)
    model, tokenizer = load_model(str(adapter), "cpu", "float32")
    expected = generate_replies(model, tokenizer, talks, ["1", "2", "3"], decoding)
    for line, reply in zip(answered.stdout.splitlines(), expected, strict=True):
        said = json.loads(line)  # ends a character that the limit cuts, which a reply of ours leaves out
        assert said.startswith(reply.text)
        assert len(said) <= len(reply.text) + 1
        assert reply.num_tokens > 5
