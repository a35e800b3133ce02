"""Publish corpus, metric, model; then, in a fresh process with an empty cache, get the same rows, score and logits."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hub_cards.samples import make_model_folder, make_results, write_json
from tests.hub_cards.server import LoopbackHub
from tests.paths import ROOT

PUBLISH = """
import sys
from soulchat.cli import app
for arguments in (
    ["dataset", "soulchatcorpus", "user/soulchatcorpus"],
    ["metric", "user/soulchat_metrics"],
    ["model", sys.argv[1], "user/soulchat-demo", "--dataset", "user/soulchatcorpus"],
):
    app(["publish", *arguments, "--yes"], standalone_mode=False)
"""
# What a stranger does. Rows and score need nothing of ours; the model needs the one line that its card tells.
MEASURE = """
import json, sys
corpus, metric, model = sys.argv[1:4]
import evaluate
from datasets import load_dataset

turns = load_dataset(corpus)
conversations = load_dataset(corpus, "conversations", split="test", streaming=True)
score = evaluate.load(metric).compute(predictions=["我能理解你的感受。"], references=["我理解你的感受，愿意多说吗？"])
ours = sorted(name for name in sys.modules if name.startswith(("soulchatcorpus", "soulchat_trainer", "hub_cards")))

import soulchat_trainer
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

tokenizer = AutoTokenizer.from_pretrained(model)
network = AutoModelForCausalLM.from_pretrained(model)
inputs = tokenizer("用户：我很累\\n心理咨询师：", return_tensors="pt")
with torch.no_grad():
    logits = network(**inputs).logits
generation = network.generation_config
print(json.dumps({
    "rows": {split: rows.to_list()[:20] for split, rows in turns.items()},
    "features": str(turns["test"].features),
    "conversation": next(iter(conversations)),
    "score": score,
    "ours": ours,
    "logits": logits.double().tolist(),
    "decoding": [generation.do_sample, generation.top_p, generation.temperature],
}))
"""


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run's output with a real, very small ChatGLM."""
    import torch

    from soulchat_trainer.chatglm import ChatGLMConfig, ChatGLMForConditionalGeneration
    from soulchat_trainer.chatglm.tokenization_chatglm import train_tokenizer

    folder = make_model_folder(tmp_path_factory.mktemp("e2e") / "run")
    rows = (ROOT / "LICENSE").read_text(encoding="utf-8")
    tokenizer = train_tokenizer([line for line in rows.splitlines() if line], 700, folder)
    torch.manual_seed(0)
    config = ChatGLMConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        inner_hidden_size=64,
        num_layers=2,
        num_attention_heads=2,
        residual_layers=2,
        max_sequence_length=128,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        mask_token_id=tokenizer.convert_tokens_to_ids("[MASK]"),
        gmask_token_id=tokenizer.convert_tokens_to_ids("[gMASK]"),
    )
    ChatGLMForConditionalGeneration(config).save_pretrained(folder)
    return folder


def python(script: str, *arguments: object, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)],
        cwd=cwd,
        env=os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def measure(corpus: str, metric: str, model: object, cwd: Path, **environment: str) -> dict:
    done = python(MEASURE, corpus, metric, model, cwd=cwd, **environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def inject_faults(hub: LoopbackHub) -> None:
    """Something goes wrong at each kind of request, some with the work done and the answer lost."""
    for method, path, outcome in (
        ("GET", "/whoami-v2", 500),
        ("POST", "/repos/create", 503),
        ("POST", "/preupload/", 429),
        ("POST", "/lfs/objects/batch", "cut"),
        ("PUT", "/lfs/", "cut"),
        ("PUT", "/lfs/", 500),
        ("POST", "/lfs-verify/", 503),
        ("POST", "/datasets/user/soulchatcorpus/commit/", "cut after"),
        ("POST", "/spaces/user/soulchat_metrics/commit/", 500),
        ("POST", "/models/user/soulchat-demo/commit/", "cut"),
    ):
        hub.fail(method, path, outcome)


def publish_all(run_folder: Path, hub: LoopbackHub, cwd: Path) -> None:
    published = python(PUBLISH, run_folder, cwd=cwd, **hub.environment(cwd / "publisher"))
    assert published.returncode == 0, published.stderr
    assert hub.token not in published.stdout + published.stderr
    for kind, name in (("dataset", "soulchatcorpus"), ("space", "soulchat_metrics"), ("model", "soulchat-demo")):
        assert hub.repo(kind, f"user/{name}").titles() == [f"Publish {kind}"]


def check_what_a_stranger_gets(run_folder: Path, hub: LoopbackHub, cwd: Path) -> None:
    stranger = hub.environment(cwd / "stranger") | {"HF_TOKEN": ""}
    found = measure("user/soulchatcorpus", "user/soulchat_metrics", "user/soulchat-demo", cwd, **stranger)
    metric, offline = ROOT / "metrics" / "soulchat_metrics", {"HF_HOME": str(cwd / "local"), "HF_HUB_OFFLINE": "1"}
    local = measure(str(ROOT / "soulchatcorpus"), str(metric), run_folder, cwd, **offline)
    assert found["ours"] == []
    assert found["decoding"] == [True, 0.75, 0.95]
    for key in ("rows", "features", "conversation", "score", "logits"):
        assert found[key] == local[key], key
    written = [path for path in cwd.rglob("*") if path.is_file()]
    assert [path for path in written if hub.token.encode() in path.read_bytes()] == []


@pytest.fixture(scope="module")
def published(run_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LoopbackHub]:
    """A Hub to which all three were published."""
    with LoopbackHub() as server:
        publish_all(run_folder, server, tmp_path_factory.mktemp("publisher"))
        yield server


def test_what_was_published_comes_back_the_same(run_folder: Path, published: LoopbackHub, tmp_path: Path) -> None:
    check_what_a_stranger_gets(run_folder, published, tmp_path)


def test_the_lines_of_the_card_work_as_they_stand(published: LoopbackHub, tmp_path: Path) -> None:
    card = published.repo("model", "user/soulchat-demo").files()["README.md"].decode()
    usage = card.split("```python\n")[1].split("```")[0]
    done = python(usage, cwd=tmp_path, **published.environment(tmp_path / "home"))
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_it_holds_where_every_kind_of_request_fails_once(run_folder: Path, hub: LoopbackHub, tmp_path: Path) -> None:
    inject_faults(hub)
    publish_all(run_folder, hub, tmp_path)
    assert hub.unused_faults() == []
    check_what_a_stranger_gets(run_folder, hub, tmp_path)


@pytest.mark.slow
def test_training_pushes_checkpoints_and_then_what_was_measured(hub: LoopbackHub, tmp_path: Path) -> None:
    hub.fail("POST", "/preupload/", "cut")
    hub.fail("POST", "/commit/", "cut after")
    hub.fail("POST", "/commit/", 500)
    sizes = {"hidden_size": 32, "num_layers": 2, "num_attention_heads": 2, "inner_hidden_size": 64}
    flags = {
        "output_dir": tmp_path / "out",
        "model_config": json.dumps(sizes | {"max_sequence_length": 480}),
        "max_steps": 4,
        "save_steps": 2,
        "max_tokens": 400,
        "max_new_tokens": 8,
        "num_test_turns": 6,
        "push_to_hub": "true",
        "hub_model_id": "user/trained",
    }
    done = subprocess.run(
        [sys.executable, ROOT / "train.py", "demo", *(str(part) for k, v in flags.items() for part in (f"--{k}", v))],
        cwd=tmp_path,
        env=os.environ | {"OMP_NUM_THREADS": "1"} | hub.environment(tmp_path / "home"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert hub.unused_faults() == []
    first, *_, last = hub.repo("model", "user/trained").history(hub.repo("model", "user/trained").resolve("main"))[
        -2::-1
    ]
    assert "| this model | not measured |" in first.files["README.md"].content.decode()
    assert first.files["model.safetensors"] != last.files["model.safetensors"]
    for name in ("model.safetensors", "config.json", "loss.png", "training_openings.txt"):
        assert last.files[name].content == (tmp_path / "out" / name).read_bytes(), name
    measured = json.loads((tmp_path / "out" / "results.json").read_bytes())
    assert json.loads(last.files["results.json"].content)["systems"] == measured["systems"]
    assert f"| trained | 6 | {measured['systems'][0]['loss']:.3f} |" in last.files["README.md"].content.decode()
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path for path in written if hub.token.encode() in path.read_bytes()] == []
    assert hub.token not in done.stdout + done.stderr


LOAD_PART = """
print("logits", model(**tokenizer("用户：我很累\\n心理咨询师：", return_tensors="pt")).logits.double().sum().item())
"""


def make_part(part: str, run_folder: Path, folder: Path) -> float:
    """An adapter or a prefix on the model of `run_folder`, saved as a run leaves it; the sum of its logits."""
    import torch
    from transformers import AutoTokenizer

    from soulchat_trainer.chatglm import ChatGLMConfig, ChatGLMForConditionalGeneration

    tokenizer = AutoTokenizer.from_pretrained(run_folder)
    torch.manual_seed(1)
    if part == "adapter":
        from peft import LoraConfig, get_peft_model

        base = ChatGLMForConditionalGeneration.from_pretrained(run_folder)
        lora = LoraConfig(task_type="CAUSAL_LM", r=2, target_modules=["query_key_value"], init_lora_weights=False)
        model = get_peft_model(base, lora)
    else:
        config = ChatGLMConfig.from_pretrained(run_folder, pre_seq_len=3)
        model = ChatGLMForConditionalGeneration.from_pretrained(run_folder, config=config)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    results = make_results()
    results["training"]["arguments"] = {"model_name_or_path": str(run_folder)}
    write_json(folder / "results.json", results)
    with torch.no_grad():
        return (
            model.eval()(**tokenizer("用户：我很累\n心理咨询师：", return_tensors="pt")).logits.double().sum().item()
        )


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")  # PEFT 0.21 still asks for it
@pytest.mark.parametrize("part", ["adapter", "prefix"])
def test_parts_are_put_together_by_the_lines_of_their_card(
    part: str, run_folder: Path, published: LoopbackHub, tmp_path: Path
) -> None:
    folder, repo_id = tmp_path / part, f"user/{part}"
    expected = make_part(part, run_folder, folder)
    script = (
        "import sys; from soulchat.cli import app; app(['publish', 'model', *sys.argv[1:]], standalone_mode=False)"
    )
    arguments = [folder, repo_id, "--yes", "--base-model", "user/soulchat-demo", "--licence", "apache-2.0"]
    done = python(script, *arguments, cwd=tmp_path, **published.environment(tmp_path / "publisher"))
    assert done.returncode == 0, done.stderr
    files = published.repo("model", repo_id).files()
    assert len(files["adapter_model.safetensors" if part == "adapter" else "prefix_encoder.safetensors"]) < 20_000
    assert "model.safetensors" not in files
    usage = files["README.md"].decode().split("```python\n")[1].split("```")[0]
    done = python(usage + LOAD_PART, cwd=tmp_path, **published.environment(tmp_path / "stranger"))
    assert done.returncode == 0, done.stderr
    assert float(done.stdout.split()[-1]) == pytest.approx(expected, rel=1e-9)
