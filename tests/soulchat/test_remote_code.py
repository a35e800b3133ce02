"""A model's folder runs no code of its own, whatever stands on standard input; and is refused in one line."""

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from peft import LoraConfig, get_peft_model
from transformers import PreTrainedTokenizerFast

from hub_cards.predictions import Prediction, write_predictions
from soulchat.cli import main as soulchat
from soulchat_trainer.train import main as train
from soulchatcorpus import Message
from tests.soulchat_trainer.training_parts import make_causal_model, make_causal_tokenizer

CODE = """from pathlib import Path
Path(__file__).resolve()
Path({mark!r}).write_text("ran")
from transformers import Qwen2Config as Config, Qwen2ForCausalLM as Model, PreTrainedTokenizerFast as Tokenizer
"""
AUTO_MAP = {
    "AutoConfig": "code.Config",
    "AutoModelForCausalLM": "code.Model",
    "AutoTokenizer": ["code.Tokenizer", None],
}


def write_replies(out: Path) -> Path:
    """A folder of one reply to judge."""
    asked = [Message(role="user", content="我睡不着")]
    rows = [Prediction(id="1-1", messages=asked, reference="多久了？", prediction="我在听。")]
    out.with_name("replies").mkdir(exist_ok=True)
    write_predictions(out.with_name("replies") / "predictions.jsonl", rows)
    return out.with_name("replies")


VERBS: dict[str, Callable[[str, Path], list[str]]] = {
    "chat": lambda folder, out: ["chat", folder],
    "serve": lambda folder, out: ["serve", folder, "--port", "0"],
    "crisis model": lambda folder, out: ["serve", str(out), "--port", "0", "--crisis-model", folder],
    "benchmark": lambda folder, out: ["benchmark", "run", "--model", folder, "--output", str(out), "--samples", "1"],
    "untrained": lambda folder, out: [
        *("benchmark", "run", "--model", f"untrained:{folder}"),
        *("--output", str(out), "--samples", "1"),
    ],
    "swap": lambda folder, out: ["benchmark", "swap", "--model", folder, "--output", str(out), "--samples", "1"],
    "simulate": lambda folder, out: ["simulate", "--counsellor", folder, "--client", folder, "--output", str(out)],
    "talks": lambda folder, out: [
        *("benchmark", "talks", "--counsellor", folder, "--client", folder, "--output", str(out)),
    ],
    "crisis": lambda folder, out: [
        *("benchmark", "crisis", "--counsellor", folder, "--client", folder, "--output", str(out)),
    ],
    "judge": lambda folder, out: [
        *("judge", "run", str(write_replies(out)), "--rubric", "cehs", "--model", folder, "--output", str(out)),
    ],
    "export": lambda folder, out: ["export", folder, str(out)],
    "convert": lambda folder, out: ["convert", folder, str(out)],
    "train": lambda folder, out: ["lora", "--model_name_or_path", folder, "--output_dir", str(out), "--use_cpu"],
}


pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # PEFT's own


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return make_causal_tokenizer()


@pytest.fixture
def folder(tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> Path:
    """A small Qwen 2 with its tokenizer."""
    make_causal_model(tokenizer).save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def change(path: Path, **values: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def refusal(verb: str, folder: Path, out: Path, answer: str, capsys: pytest.CaptureFixture) -> str:
    """The line that a verb refuses a folder with, where standard input says `answer` again and again."""
    arguments = VERBS[verb](str(folder), out)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["soulchat", *arguments])
        patch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(f"{answer}\n".encode() * 9)))
        with pytest.raises(SystemExit) as exit_:
            train(arguments) if verb == "train" else soulchat()
    assert exit_.value.code not in (0, None)
    output = capsys.readouterr().err
    lines = [line for line in output.splitlines() if line.startswith("soulchat: error: ")]
    assert len(lines) == 1, output
    assert "Traceback" not in output
    return lines[0]


@pytest.fixture(params=["config", "tokenizer", "adapter"])
def with_code(request: pytest.FixtureRequest, folder: Path, tmp_path: Path) -> tuple[Path, Path]:
    """A folder that names code for its model, for its tokenizer alone, or is an adapter of one that does; its mark."""
    mark = tmp_path / "mark"
    (folder / "code.py").write_text(CODE.format(mark=str(mark)))
    if request.param == "tokenizer":
        change(folder / "tokenizer_config.json", tokenizer_class="Unheard", auto_map=AUTO_MAP)
        (folder / "tokenizer.json").unlink()
        return folder, mark
    chosen = folder
    if request.param == "adapter":
        adapted = get_peft_model(
            make_causal_model(make_causal_tokenizer()), LoraConfig(r=2, target_modules=["q_proj"])
        )
        adapted.peft_config["default"].base_model_name_or_path = str(folder)
        chosen = tmp_path / "adapter"
        adapted.save_pretrained(chosen)
    change(folder / "config.json", model_type="unheard", auto_map=AUTO_MAP)
    change(folder / "tokenizer_config.json", auto_map=AUTO_MAP)
    return chosen, mark


@pytest.mark.parametrize(("verb", "answer"), [*((verb, "y") for verb in VERBS), ("chat", "yes"), ("train", "1")])
def test_no_answer_on_standard_input_runs_code(
    verb: str,
    answer: str,
    with_code: tuple[Path, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture,
) -> None:
    folder, mark = with_code
    line = refusal(verb, folder, tmp_path / "out", answer, capsys)
    assert not mark.exists()
    assert "trust_remote_code" not in line  # advice that would run it


def index(folder: Path, shard: str) -> None:
    names = ["lm_head.weight"]
    shutil.move(folder / "model.safetensors", folder / "shard.safetensors")
    text = json.dumps({"metadata": {}, "weight_map": dict.fromkeys(names, shard)})
    (folder / "model.safetensors.index.json").write_text(text)


def config(**values: Any) -> Callable[[Path], None]:
    return lambda folder: change(folder / "config.json", **values)


def content(name: str, data: bytes) -> Callable[[Path], Any]:
    return lambda folder: (folder / name).write_bytes(data)


HOSTILE: dict[str, tuple[Callable[[Path], Any], str]] = {
    "a million layers": (config(num_hidden_layers=10**6, layer_types=None), "tells of 1000000 layers"),
    "wide": (config(hidden_size=4 * 10**9), "numbers each, and the weights have"),
    "many words": (config(vocab_size=10**12), "1000000000000 words"),
    "inner size": (config(intermediate_size=10**10), "ignore_mismatched_sizes"),
    "layers in words": (config(num_hidden_layers="two"), "num_hidden_layers"),
    "no heads": (config(num_attention_heads=0), "zero"),
    "dtype": (config(dtype="nothing"), "nothing"),
    "activation": (config(hidden_act="nothing"), "nothing"),
    "quantisation": (config(quantization_config="nothing"), "'nothing'; allowed: a JSON object whose quant_method"),
    "an unknown quantisation": (config(quantization_config={"quant_method": "unheard"}), "got unheard"),
    "a quantisation of lists": (config(quantization_config={"quant_method": [1]}), "allowed: a JSON object whose"),
    "a kernel of the Hub": (config(attn_implementation="some/kernel", _attn_implementation="some/kernel"), "kernels"),
    "a list": (content("config.json", b"[]"), "config.json is of type list; allowed: a JSON object"),
    "null": (content("config.json", b"null"), "config.json is null; allowed: a JSON object"),
    "deep": (content("config.json", b"[" * 100_000), "recursion"),
    "no text": (content("config.json", b"\xff\xfe"), "config.json"),
    "empty weights": (content("model.safetensors", b""), "the weights have 0 bytes"),
    "torn weights": (content("model.safetensors", b"\xff" * 100_000), "header"),
    "no index": (lambda folder: index(folder, "none"), "names 'none'; allowed: files beside it"),
    "an index out of the folder": (lambda folder: index(folder, "../model.safetensors"), "allowed: files beside it"),
    "an absolute index": (lambda folder: index(folder, "/etc/passwd"), "allowed: files beside it"),
    "an index of numbers": (lambda folder: index(folder, 3), "allowed: files beside it"),  # type: ignore[arg-type]
    "an index of lists": (content("model.safetensors.index.json", b'{"weight_map": []}'), "weight_map"),
    "an empty index": (content("model.safetensors.index.json", b"{}"), "weight_map"),
    "a tokenizer's list": (content("tokenizer_config.json", b"[]"), "of type list; allowed: a JSON object"),
    "no tokenizer's text": (content("tokenizer.json", b"\xff"), "0xff"),
    "an adapter's list": (content("adapter_config.json", b"[]"), "of type list; allowed: a JSON object"),
    "an adapter of nothing": (content("adapter_config.json", b'{"base_model_name_or_path": ""}'), "allowed: a folder"),
    "an adapter of numbers": (content("adapter_config.json", b'{"base_model_name_or_path": 3}'), "allowed: a folder"),
    "an adapter of a kind": (content("adapter_config.json", b'{"base_model_name_or_path": "BASE"}'), "peft_type"),
    "a deep adapter": (content("adapter_config.json", b"[" * 100_000), "recursion"),
    "a generation": (content("generation_config.json", b"[]"), "mapping"),
}


@pytest.mark.parametrize("verb", ["chat", "train"])
@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_folder_is_refused_in_a_line(
    case: str,
    verb: str,
    folder: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture,
) -> None:
    shutil.copytree(folder, tmp_path / "base")
    spoil, cause = HOSTILE[case]
    spoil(folder)
    adapter = folder / "adapter_config.json"
    if adapter.is_file():
        adapter.write_text(adapter.read_text().replace("BASE", str(tmp_path / "base")))
    line = refusal(verb, folder, tmp_path / "out", "", capsys)
    assert cause in line
    assert len(line) < 2000
