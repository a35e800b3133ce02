"""Table 1 in inspect-ai itself, in an environment of its own: its mock model, a local model, its viewer."""

import json
from pathlib import Path

import pytest

from soulchat_metrics import METRIC_NAMES, score
from soulchat_trainer.data import list_turns, load_corpus, sample_turns

from .conftest import TURNS
from .tool_environment import run, tool_environment

pytestmark = pytest.mark.slow

REPLIES = ["我能理解你的感受。", "<think>他很难过</think>慢慢来。", "", "听起来很不容易。"]
GRADE = '通顺。```json\n{"content": 1, "empathy": 1, "helpfulness": 1, "safety": 1}\n```'

# Replies come in any order; the log tells which turn got which.
MOCK = """
import json, sys
from inspect_ai import eval
from inspect_ai.model import ModelOutput, ModelUsage, get_model

def mock(*texts):
    outputs = [ModelOutput.from_content("mockllm/model", text) for text in texts]
    for output in outputs:
        output.usage = ModelUsage()  # else inspect counts tokens with a table that it fetches
    return get_model("mockllm/model", custom_outputs=outputs, memoize=False)

options = json.loads(sys.argv[1])
grader = mock(*[options["grade"]] * 4)
[log] = eval(
    "soulchat/table1", model=mock(*options["replies"]), model_roles={"grader": grader}, log_dir="logs",
    task_args={"data": options["data"], "samples": 4, "rubric": "cehs"}, display="none",
)
scores = log.results.scores if log.results else []
print(json.dumps({
    "status": log.status,
    "error": log.error and log.error.message,
    "config": log.plan.config.model_dump(exclude_none=True),
    "metrics": {score.name: score.metrics["mean"].value for score in scores},
    "samples": [
        [sample.id, [[m.role, m.text] for m in sample.input], sample.target, sample.output.completion]
        for sample in log.samples or []
    ],
}))
"""


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tool_environment("inspect", tmp_path_factory.mktemp("wheel"))


def run_mock(programs: Path, corpus: Path, folder: Path, grade: str) -> dict:
    options = json.dumps({"data": str(corpus), "replies": REPLIES, "grade": grade})
    return json.loads(run(programs / "python", "-c", MOCK, options, cwd=folder).splitlines()[-1])


def test_inspects_mock_model_has_the_products_scores(programs: Path, corpus: Path, tmp_path: Path) -> None:
    found = run_mock(programs, corpus, tmp_path, GRADE)
    assert (found["status"], found["error"]) == ("success", None)
    decoding = {"top_p": 0.75, "temperature": 0.95, "max_tokens": 512, "seed": 0}
    assert {name: found["config"][name] for name in decoding} == decoding
    turns = sample_turns(list_turns(load_corpus(str(corpus))["test"]), TURNS, 0)
    rows = {id_: (talk, target, reply) for id_, talk, target, reply in found["samples"]}
    assert {turn.id: [[m["role"], m["content"]] for m in turn.context] for turn in turns} == {
        id_: talk for id_, (talk, _, _) in rows.items()
    }
    assert sorted(reply for _, _, reply in rows.values()) == sorted(REPLIES)
    replies = [rows[turn.id][2].split("</think>")[-1] for turn in turns]
    expected = score(replies, [turn.completion for turn in turns])
    for name in METRIC_NAMES:
        assert found["metrics"][name] == pytest.approx(expected[name], abs=1e-9)
    assert {name: found["metrics"][name] for name in ("content", "empathy", "helpfulness", "safety")} == {
        "content": 1,
        "empathy": 1,
        "helpfulness": 1,
        "safety": 1,
    }


def test_a_grade_that_is_none_ends_the_evaluation(programs: Path, corpus: Path, tmp_path: Path) -> None:
    found = run_mock(programs, corpus, tmp_path, GRADE.replace('"content": 1', '"content": 5'))
    assert found["status"] == "error"
    assert "the grader's answer is off_scale; allowed: a JSON object with a score for each aspect" in found["error"]


def test_a_local_model_at_the_command_line_and_its_log_in_the_viewer(
    programs: Path, corpus: Path, causal_folder: Path, tmp_path: Path
) -> None:
    model = ["--model", "hf/local", "-M", f"model_path={causal_folder}", "-M", "device=cpu", "--max-tokens", "24"]
    task = ["-T", f"data={corpus}", "-T", f"samples={TURNS}"]
    run(programs / "inspect", "eval", "soulchat/table1", *model, *task, "--display", "none", cwd=tmp_path)
    [log] = (tmp_path / "logs").glob("*.eval")
    dumped = json.loads(run(programs / "inspect", "log", "dump", log, cwd=tmp_path))
    assert dumped["status"] == "success"
    rows = [(row["target"], row["output"]["choices"][0]["message"]["content"]) for row in dumped["samples"]]
    expected = score([reply for _, reply in rows], [target for target, _ in rows])
    found = {each["name"]: each["metrics"]["mean"]["value"] for each in dumped["results"]["scores"]}
    assert found == pytest.approx({name: expected[name] for name in METRIC_NAMES}, abs=1e-9)
    run(programs / "inspect", "view", "bundle", "--log-dir", "logs", "--output-dir", "view", cwd=tmp_path)
    assert (tmp_path / "view" / "index.html").is_file()
    assert list((tmp_path / "view").rglob("*.eval"))
