"""The task folders, and the tools themselves running them, each in an environment of its own."""

import configparser
import json
from pathlib import Path

import datasets
import pytest
from packaging.requirements import Requirement

from soulchat.cli import app
from soulchat.harness.export import TASK_FILES, export_task
from soulchat_metrics import METRIC_NAMES, score
from soulchat_trainer.data import list_turns, load_corpus, sample_turns
from tests.paths import ROOT

from .conftest import TURNS
from .tool_environment import REQUIREMENTS, run, tool_environment


@pytest.mark.parametrize("tool", TASK_FILES)
def test_the_folder_has_the_benchmarks_turns_and_the_task(tool: str, corpus: Path, tmp_path: Path) -> None:
    command = ["benchmark", "export", "--to", tool, str(tmp_path), "--dataset", str(corpus), "--samples", str(TURNS)]
    app([*command, "--seed", "3"], standalone_mode=False)
    names = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert names == {"data/test.jsonl", *TASK_FILES[tool]}
    rows = [json.loads(line) for line in (tmp_path / "data" / "test.jsonl").read_bytes().splitlines()]
    turns = sample_turns(list_turns(load_corpus(str(corpus))["test"]), TURNS, 3)
    assert rows == [{"id": turn.id, "prompt": turn.prompt, "reference": turn.completion} for turn in turns]
    assert datasets.load_dataset(str(tmp_path / "data"))["test"].to_list() == rows


def test_another_tool_is_refused(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="tool is 'opencompass'; allowed: lm-eval, lighteval"):
        export_task("opencompass", tmp_path / "task", str(corpus))
    assert not (tmp_path / "task").exists()


def test_the_extra_admits_the_version_of_inspect_that_is_tested() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    first, _ = config["options.extras_require"]["inspect"].split()
    tested = Requirement((REQUIREMENTS / "inspect.txt").read_text().strip())
    [version] = [bound.version for bound in tested.specifier]
    assert Requirement(first).name == tested.name
    assert {bound.operator for bound in Requirement(first).specifier} == {">=", "<"}
    assert Requirement(first).specifier.contains(version)


def check_scores(found: dict[str, float], replies: list[str], references: list[str]) -> None:
    """The tool's means are the product's scores of the same replies."""
    assert len(replies) == TURNS
    expected = score(replies, references)
    assert {name: found[name] for name in METRIC_NAMES} == pytest.approx(
        {name: expected[name] for name in METRIC_NAMES}, abs=1e-9
    )


@pytest.mark.slow
def test_lm_evaluation_harness(corpus: Path, causal_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "wheel").mkdir()
    programs = tool_environment("lm-eval", tmp_path / "wheel")
    task, output = tmp_path / "task", tmp_path / "out"
    export_task("lm-eval", task, str(corpus), TURNS)
    model = ["--model", "hf", "--model_args", f"pretrained={causal_folder},dtype=float32", "--device", "cpu"]
    options = ["--gen_kwargs", "max_gen_toks=24", "--log_samples", "--output_path", output]
    run(programs / "lm_eval", "--include_path", task, "--tasks", "soulchat_table1", *model, *options, cwd=tmp_path)
    [results] = output.rglob("results_*.json")
    [samples] = output.rglob("samples_*.jsonl")
    found = json.loads(results.read_text(encoding="utf-8"))["results"]["soulchat_table1"]
    rows = [json.loads(line) for line in samples.read_bytes().splitlines()]
    references = [row["doc"]["reference"] for row in rows]
    check_scores(
        {name: found[f"{name},none"] for name in METRIC_NAMES}, [row["filtered_resps"][0] for row in rows], references
    )


@pytest.mark.slow
def test_lighteval(corpus: Path, causal_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "wheel").mkdir()
    programs = tool_environment("lighteval", tmp_path / "wheel")
    # A table that LightEval fetches when it starts, for a benchmark of its own.
    [tasks] = programs.parent.glob("lib/python*/site-packages/lighteval/tasks/tasks")
    (tasks / "tinyBenchmarks.pkl").touch()
    # The older transformers that LightEval needs knows neither this class nor a list of special tokens.
    settings = causal_folder / "tokenizer_config.json"
    older = json.loads(settings.read_text()) | {"tokenizer_class": "PreTrainedTokenizerFast"}
    settings.write_text(json.dumps(older | {"extra_special_tokens": {}}))
    task, output = tmp_path / "task", tmp_path / "out"
    export_task("lighteval", task, str(corpus), TURNS)
    model = f"model_name={causal_folder},max_length=2048,batch_size=4,dtype=float32"
    decoding = "generation_parameters={top_p:0.75,temperature:0.95}"
    task_file = task / "soulchat_table1_lighteval.py"
    # It takes the length of a reply from the task alone; a short one is enough here.
    task_file.write_text(task_file.read_text(encoding="utf-8").replace("generation_size=512", "generation_size=24"))
    options = ["--custom-tasks", task_file, "--output-dir", output, "--save-details"]
    run(programs / "lighteval", "accelerate", f"{model},{decoding}", "soulchat_table1|0", *options, cwd=tmp_path)
    [results] = output.rglob("results_*.json")
    [details] = output.rglob("details_*.parquet")
    found = json.loads(results.read_text(encoding="utf-8"))["results"]["soulchat_table1|0"]
    rows = datasets.load_dataset("parquet", data_files=str(details), split="train")
    replies = [row["model_response"]["text"][0] for row in rows]
    check_scores(found, replies, [row["doc"]["choices"][0] for row in rows])
