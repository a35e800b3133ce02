"""What was trained, for other programs: merged weights, template, decoding, stop tokens; and the proof of it.

The exported folder is read again and compared: the token ids of talks equal those that training made, with the chat
template as anybody applies it, and greedy replies equal. What does not is an error, and nothing is left behind.
"""

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

import soulchatcorpus
from soulchatcorpus import Message
from soulchatcorpus.files import LOCK, read_object, working_in, write_json

from .chatglm import ChatGLMConfig
from .data import list_turns, load_corpus
from .encoding.chat_template import ChatTemplateEncoder
from .encoding.prompts import ChatTemplate, prompt_encoder
from .encoding.training_form import TemplateParts, find_parts
from .generation.engine import generate_replies, stop_token_ids
from .generation.sampling import Decoding
from .loading import DTYPES, adapter_base, load_config, load_model, load_tokenizer, load_weights
from .unreadable import saving

Target = Literal["hf", "vllm", "ollama"]
TARGETS: tuple[Target, ...] = ("hf", "vllm", "ollama")
CONVERTER = "convert_hf_to_gguf.py"
GGUF = "model.gguf"
PARITY = "parity.json"
COMPARED_TALKS, COMPARED_REPLIES, COMPARED_TOKENS = 50, 3, 24
NO_LIMIT = 1_000_000


@dataclass(frozen=True, slots=True)
class Parity:
    """What was compared, all of it equal; `gguf` is None where the file was not read.

    Attributes:
        talks: whose token ids were compared, between trainer and exported tokenizer.
        replies: greedy ones that were compared, between the model and its export.
        gguf: talks whose ids in the GGUF were compared.
    """

    talks: int
    replies: int
    gguf: int | None = None


def export_model(model: str, folder: Path, target: str, converter: Path | None = None, dtype: str = "auto") -> Parity:
    """Write a model's export into a new folder.

    Args:
        model: a folder or a repository of the Hub; an adapter is merged into its base in float32.
        folder: new, or empty.
        target: hf: a folder of transformers; vllm: the same; ollama: that, a GGUF and a Modelfile.
        converter: llama.cpp's convert_hf_to_gguf.py, for ollama.
        dtype: float32, bfloat16 or float16 of the weights; auto: as they were saved, an adapter's as its base's.

    Raises:
        ValueError: an unknown target; ChatGLM for a program that does not know it; an export that differs.
        OSError: the folder is not empty, another run is at work in it; the converter is missing or fails.
    """
    if target not in TARGETS:
        raise ValueError(f"to is {target!r}; allowed: {', '.join(TARGETS)}")
    _check_new(folder)
    if dtype != "auto" and dtype not in DTYPES:
        raise ValueError(f"dtype is {dtype!r}; allowed: auto, {', '.join(DTYPES)}")
    script = check_converter(converter) if target == "ollama" else None
    loaded, tokenizer = load_model(model, "cpu", "float32")
    is_chatglm = isinstance(loaded.config, ChatGLMConfig)
    if is_chatglm and target != "hf":
        raise ValueError(
            f"{model} is a ChatGLM-6B (v1), which vLLM and Ollama do not know; allowed: hf, or soulchat serve"
        )
    if not is_chatglm:
        ChatTemplateEncoder(tokenizer, NO_LIMIT, NO_LIMIT, "last_turn")  # leaves the training form where there is one
    with working_in(folder, "soulchat export"):
        _check_new(folder)  # a model takes its time to load
        try:
            with saving("the export", folder, "nothing of it is left"):
                _write_model(model, loaded, tokenizer, folder, dtype)
            parity = prove_parity(loaded, tokenizer, folder)
            if script is not None:
                convert_to_gguf(script, folder)
                write_modelfile(folder, tokenizer, read_decoding(model))
                parity = Parity(parity.talks, parity.replies, compare_gguf(tokenizer, folder / GGUF))
        except BaseException:
            shutil.rmtree(folder)
            raise
        write_json(folder / PARITY, {"talks": parity.talks, "replies": parity.replies, "gguf": parity.gguf})
    return parity


def _check_new(folder: Path) -> None:
    if folder.exists() and not (folder.is_dir() and {path.name for path in folder.iterdir()} <= {LOCK}):
        raise FileExistsError(f"{folder} is there already; allowed: a new folder")


def _write_model(
    model: str, loaded: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path, dtype: str
) -> None:
    saved = load_config(adapter_base(model) or model).dtype or torch.float32
    stops = sorted(stop_token_ids(loaded, tokenizer))
    loaded.generation_config.update(**read_decoding(model).arguments, eos_token_id=stops)
    loaded.to(saved if dtype == "auto" else DTYPES[dtype]).save_pretrained(folder)
    loaded.float()
    tokenizer.save_pretrained(folder)


def read_decoding(model: str) -> Decoding:
    """The decoding that a run was measured with, from its results.json; the paper's where there is none."""
    path = Path(model) / "results.json"
    told: dict[str, Any] = (read_object(path).get("decoding") or {}) if path.is_file() else {}
    known = {name: value for name, value in told.items() if name in Decoding.__dataclass_fields__}
    return Decoding(**known)


def parity_talks() -> list[list[Message]]:
    """The talks that are compared: of the embedded test split, each ending before a reply."""
    turns = list_turns(load_corpus(soulchatcorpus.__name__)["test"])
    return [turn.context for turn in turns[:: max(1, len(turns) // COMPARED_TALKS)][:COMPARED_TALKS]]


def prove_parity(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path) -> Parity:
    """Read the export again and compare it with what it was made of; raises ValueError where they differ."""
    talks, encode = parity_talks(), prompt_encoder(tokenizer)
    exported = load_tokenizer(folder)
    plain = prompt_encoder(exported) if isinstance(model.config, ChatGLMConfig) else _as_anybody(exported)
    for number, talk in enumerate(talks):
        if encode(talk) != plain(talk):
            raise ValueError(f"the exported tokenizer gives other ids than the trainer for talk {number + 1}")
    again = load_weights(str(folder), torch.float32).eval()
    model.load_state_dict(again.state_dict())  # rounded alike, where the export is in half precision
    decoding = Decoding(do_sample=False, max_new_tokens=COMPARED_TOKENS)
    some = talks[:COMPARED_REPLIES]
    keys = [str(number) for number in range(len(some))]
    found = [generate_replies(*parts, some, keys, decoding) for parts in ((model, tokenizer), (again, exported))]
    if found[0] != found[1]:
        raise ValueError("the exported model gives other greedy replies than the one it was made of")
    return Parity(len(talks), len(some))


def _as_anybody(tokenizer: PreTrainedTokenizerBase) -> Any:
    """Prompts by the chat template as a server applies it, without any switch."""
    template = ChatTemplate(tokenizer)

    def encode(messages: Sequence[Message]) -> list[int]:
        text = tokenizer.apply_chat_template(template.prepare(messages), tokenize=False, add_generation_prompt=True)
        return tokenizer(text, add_special_tokens=False).input_ids

    return encode


def check_converter(converter: Path | None) -> Path:
    """llama.cpp's converter; raises OSError with what to do where it is missing."""
    if converter is None or not converter.is_file():
        raise FileNotFoundError(
            f"converter is {converter or 'not given'}; allowed: {CONVERTER} of a clone of "
            "https://github.com/ggml-org/llama.cpp, with `pip install gguf`"
        )
    return converter


def convert_to_gguf(converter: Path, folder: Path) -> None:
    """Call llama.cpp's converter; raises OSError with the last line that it told."""
    command = [sys.executable, converter, folder, "--outfile", folder / GGUF, "--outtype", "auto"]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise OSError(f"{converter.name} could not convert {folder}: {lines[-1]}")


def compare_gguf(tokenizer: PreTrainedTokenizerBase, path: Path) -> int | None:
    """How many talks have the same ids in the GGUF; None where llama-cpp-python is not installed."""
    try:
        from llama_cpp import Llama
    except ModuleNotFoundError:
        return None
    talks, encode = parity_talks(), prompt_encoder(tokenizer)
    reader = Llama(str(path), vocab_only=True, verbose=False)
    for number, talk in enumerate(talks):
        ids = encode(talk)
        text = tokenizer.decode(ids)
        if reader.tokenize(text.encode(), add_bos=False, special=True) != ids:
            raise ValueError(f"the GGUF gives other ids than the trainer for talk {number + 1}")
    return len(talks)


def write_modelfile(folder: Path, tokenizer: PreTrainedTokenizerBase, decoding: Decoding) -> None:
    """The Modelfile that `ollama create` reads: weights, template, decoding, stop tokens."""
    parts = find_parts(ChatTemplate(tokenizer))
    adds_bos = tokenizer("a").input_ids[:1] == [tokenizer.bos_token_id]
    lines = [
        f"FROM ./{GGUF}",
        f'TEMPLATE """{write_go_template(parts, tokenizer.bos_token if adds_bos else None)}"""',
        f"PARAMETER stop {json.dumps(tokenizer.eos_token, ensure_ascii=False)}",
        f"PARAMETER temperature {decoding.temperature if decoding.do_sample else 0}",
        f"PARAMETER top_p {decoding.top_p}",
        "PARAMETER top_k 0",
        "PARAMETER repeat_penalty 1",
        f"PARAMETER num_predict {decoding.max_new_tokens}",
    ]
    (folder / "Modelfile").write_text("\n".join(lines) + "\n", encoding="utf-8")


def write_go_template(parts: TemplateParts, added: str | None) -> str:
    """The parts of a chat template in the language of Ollama's, on one line so that no white space is added.

    Args:
        added: the token that llama.cpp puts before a text by itself.
    """

    def put(text: str) -> str:
        return "{{ " + json.dumps(text, ensure_ascii=False) + " }}" if text else ""

    start, system = (text.removeprefix(added or "") for text in (parts.start, parts.system_start))
    return (
        '{{ $before := "" }}{{ range .Messages }}'
        '{{ if eq .Role "system" }}' + put(system) + "{{ .Content }}" + put(parts.system_end) + "{{ end }}"
        '{{ if eq .Role "user" }}{{ if eq $before "" }}' + put(start) + "{{ end }}"
        '{{ if eq $before "assistant" }}' + put(parts.user_start) + "{{ end }}"
        "{{ .Content }}" + put(parts.user_end) + "{{ end }}"
        '{{ if eq .Role "assistant" }}'
        + put(parts.reply_start)
        + "{{ .Content }}"
        + put(parts.reply_end)
        + "{{ end }}"
        "{{ $before = .Role }}{{ end }}" + put(parts.reply_start)
    )
