"""`soulchat benchmark run` from end to end: results, going on after a stop, endpoints, and what is refused."""

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from hub_cards.predictions import read_predictions
from hub_cards.results import read_results
from soulchat_trainer.data import list_turns, load_corpus
from soulchat_trainer.evaluation import systems
from soulchat_trainer.evaluation.run import BenchmarkOptions, folder_name, run_benchmark
from soulchat_trainer.evaluation.seen import OPENINGS_FILE, write_openings
from soulchat_trainer.evaluation.systems import EndpointSystem, ModelSystem
from soulchat_trainer.evaluation.tables import read_tables, render_markdown
from soulchat_trainer.generation.engine import Decoding, Reply
from soulchatcorpus.files import working_in, write_lines
from soulchatcorpus.turns import find_opening
from tests.soulchat_trainer.evaluation.conftest import Endpoint


@pytest.fixture
def options(model_folder: Path, corpus_file: Path, tmp_path: Path) -> BenchmarkOptions:
    return BenchmarkOptions(
        [str(model_folder)],
        tmp_path / "out",
        str(corpus_file),
        samples=12,
        batch_size=5,
        decoding=Decoding(max_new_tokens=8, seed=1),
        device="cpu",
    )


def test_one_model(options: BenchmarkOptions) -> None:
    results = run_benchmark(options)
    assert results == read_results(options.output / "results.json")
    rows = read_predictions(options.output / "predictions.jsonl")
    test = {turn.id: turn for turn in list_turns(load_corpus(options.dataset)["test"])}
    assert len(rows) == 12
    assert all(test[row.id].context == row.messages for row in rows)
    assert all(test[row.id].completion == row.reference for row in rows)

    [system] = results.systems
    assert system.name == "small"
    assert system.samples == 12
    assert system.dtype == "float32"
    assert not system.seen
    assert system.loss > 0
    assert system.revision.startswith("sha256:")
    low, high = system.intervals["bleu-1"]
    assert low <= system.metrics["bleu-1"] <= high
    assert results.dataset.name == "corpus.jsonl"
    assert len(results.dataset.fingerprint) == 64


def predictions_after_stop(options: BenchmarkOptions, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """Stop a run after some replies, with a line torn in the middle, and start it again with another batch size."""
    whole_answer = systems.ModelSystem.answer

    def stop_early(*args, **kwargs):
        yield from itertools.islice(whole_answer(*args, **kwargs), 5)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(systems.ModelSystem, "answer", stop_early)
        with pytest.raises(KeyboardInterrupt):
            run_benchmark(options)
    journal = options.output / "replies-0.jsonl"
    assert not (options.output / "predictions.jsonl").exists()
    assert len(journal.read_bytes().splitlines()) == 5
    with journal.open("ab") as file:
        file.write(b'{"id": "torn')
    asked = []

    def watch(self, turns, *args):
        asked.extend(turns)
        return whole_answer(self, turns, *args)

    with monkeypatch.context() as patch:
        patch.setattr(systems.ModelSystem, "answer", watch)
        run_benchmark(replace(options, batch_size=3))
    assert len(asked) == 7
    return (options.output / "predictions.jsonl").read_bytes()


def test_a_stopped_run_goes_on_to_the_same_bytes(
    options: BenchmarkOptions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_benchmark(options)
    whole = (options.output / "predictions.jsonl").read_bytes()
    assert predictions_after_stop(replace(options, output=tmp_path / "again"), monkeypatch) == whole


def test_a_folder_of_other_settings_is_refused(options: BenchmarkOptions) -> None:
    run_benchmark(options)
    with pytest.raises(ValueError, match="another decoding; allowed: another `output`"):
        run_benchmark(replace(options, decoding=Decoding(max_new_tokens=9, seed=1)))


def test_another_text_in_the_same_template_file_is_another_prompt(options: BenchmarkOptions, tmp_path: Path) -> None:
    template = tmp_path / "template.txt"
    template.write_text("甲{dialogue_history}", encoding="utf-8")
    [system] = run_benchmark(replace(options, prompt=str(template))).systems
    assert system.prompt.startswith("template.txt sha256:")
    template.write_text("乙{dialogue_history}", encoding="utf-8")
    with pytest.raises(ValueError, match="another prompt; allowed: another `output`"):
        run_benchmark(replace(options, prompt=str(template)))


def test_several_systems_make_a_table(options: BenchmarkOptions, model_folder: Path) -> None:
    several = replace(options, models=[f"untrained:{model_folder}", str(model_folder), "retrieval"])
    results = run_benchmark(several)
    assert [system.name for system in results.systems] == ["untrained:small", "small", "retrieval"]
    assert [system.kind for system in results.systems] == ["model", "model", "baseline"]
    for name in ("untrained-small", "small", "retrieval"):
        assert len(read_predictions(options.output / name / "predictions.jsonl")) == 12
    one = render_markdown(read_tables([options.output]))
    apart = render_markdown(read_tables([options.output / name for name in ("untrained-small", "small", "retrieval")]))
    assert one == apart
    assert "a untrained:small" in one
    assert "<sup>" in one  # the words are few: retrieval is better than noise


def test_a_model_that_saw_the_openings_is_marked(options: BenchmarkOptions, model_folder: Path) -> None:
    test = list_turns(load_corpus(options.dataset)["test"])
    write_openings(model_folder, [find_opening(turn.context) for turn in test])
    try:
        results = run_benchmark(options)
        assert results.systems[0].seen
        assert "small (seen)" in render_markdown(read_tables([options.output]))
    finally:
        (model_folder / OPENINGS_FILE).unlink()


def test_an_endpoint_answers_the_test_turns(options: BenchmarkOptions, endpoint: Endpoint) -> None:
    results = run_benchmark(replace(options, models=["openai:echo"], base_url=endpoint.url))
    [system] = results.systems
    assert (system.name, system.kind, system.loss) == ("echo", "endpoint", None)
    rows = read_predictions(options.output / "predictions.jsonl")
    last = [row.messages[-1]["content"] for row in rows]
    assert [row.prediction for row in rows] == [text[::-1] for text in last]
    request = endpoint.requests[0]
    assert (request["temperature"], request["top_p"], request["max_tokens"]) == (0.95, 0.75, 8)


def test_mechats_instruction_goes_to_an_endpoint_as_one_message(options: BenchmarkOptions, endpoint: Endpoint) -> None:
    run_benchmark(replace(options, models=["openai:echo"], base_url=endpoint.url, prompt="mechat", samples=1))
    [message] = endpoint.requests[0]["messages"]
    assert message["content"].startswith("现在你扮演")
    assert message["content"].endswith("咨询师：")


def test_an_endpoint_that_dies_half_way_loses_nothing(
    options: BenchmarkOptions, endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(EndpointSystem, "attempts", 1)
    through = replace(options, models=["openai:echo"], base_url=endpoint.url, batch_size=2)
    endpoint.dies_after = 7
    with pytest.raises(ConnectionError, match="the same command goes on from there"):
        run_benchmark(through)
    assert not (options.output / "results.json").exists()
    kept = len((options.output / "replies-0.jsonl").read_bytes().splitlines())
    assert kept == 7
    endpoint.dies_after, asked = None, len(endpoint.requests)
    assert run_benchmark(through).systems[0].samples == 12
    assert len(endpoint.requests) - asked == 12 - kept


@pytest.mark.parametrize(
    ("status", "last_words", "message"),
    [
        (400, b'{"error": {"message": "no model echo\\nhere"}}', "refuses: HTTP 400: .*no model echo"),
        (401, b'{"error": {"message": "the key test is wrong"}}', "rejects the key in OPENAI_API_KEY"),
        (200, b"<html>a page</html>", "answers with something that is no chat completion"),
        (200, b"{broken", "answers with something that is no chat completion"),
        (200, b'{"choices": []}', "answers with something that is no chat completion"),
        (200, b'{"choices": [{"index": 0}]}', "answers with something that is no chat completion"),
    ],
)
def test_what_an_endpoint_says_instead_of_a_reply_is_told_and_loses_nothing(
    options: BenchmarkOptions, endpoint: Endpoint, status: int, last_words: bytes, message: str
) -> None:
    endpoint.dies_after, endpoint.status, endpoint.last_words = 5, status, last_words
    with pytest.raises(ConnectionError, match=f"{message}.*the same command goes on from there") as caught:
        run_benchmark(replace(options, models=["openai:echo"], base_url=endpoint.url, batch_size=2))
    assert "\n" not in str(caught.value)
    assert len((options.output / "replies-0.jsonl").read_bytes().splitlines()) == 5


def test_the_second_in_a_folder_is_told_who_is_at_work_and_asks_nothing(
    options: BenchmarkOptions, endpoint: Endpoint
) -> None:
    with (
        working_in(options.output, "soulchat benchmark run"),
        pytest.raises(OSError, match=r"is in use by soulchat benchmark run \(process \d+ on "),
    ):
        run_benchmark(replace(options, models=["openai:echo"], base_url=endpoint.url))
    assert not endpoint.requests


@pytest.mark.parametrize("others", [[], ["retrieval"]])
def test_the_folder_of_a_trained_model_is_no_output(options: BenchmarkOptions, others: list[str]) -> None:
    """Neither as it is, nor where a system's own folder would be the model's."""
    models = ["openai:echo", *others]
    folder = options.output / "openai-echo" if others else options.output
    folder.mkdir(parents=True)
    content = {"dataset": {"name": "x"}, "training": {"seconds": 1.0, "steps": 2, "samples": 3, "tokens": 4}}
    (folder / "results.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=f"output is {folder}, which has the results of a training; allowed: another"):
        run_benchmark(replace(options, models=models))
    assert json.loads((folder / "results.json").read_bytes()) == content


def test_a_model_that_produces_nothing_is_told(options: BenchmarkOptions, endpoint: Endpoint) -> None:
    endpoint.text = " "
    with pytest.raises(ValueError, match="echo produced nothing: all 12 replies are empty"):
        run_benchmark(replace(options, models=["openai:echo"], base_url=endpoint.url))


def test_an_untrained_model_may_produce_nothing(
    options: BenchmarkOptions, model_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def say_nothing(self: ModelSystem, turns: list[dict], *_: object) -> Iterator[tuple[str, Reply]]:
        return ((turn.id, Reply("", finished=False, num_tokens=8)) for turn in turns)

    monkeypatch.setattr(ModelSystem, "answer", say_nothing)
    [row] = run_benchmark(replace(options, models=[f"untrained:{model_folder}"])).systems
    assert row.generation.empty == 12
    with pytest.raises(ValueError, match="small produced nothing: all 12 replies are empty"):
        run_benchmark(replace(options, output=options.output.with_name("trained")))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"samples": 100_000}, "100000 samples are asked for and the test split has"),
        ({"samples": 0}, "0 samples are asked for"),
        ({"models": ["openai:echo"], "batch_size": 0}, "batch_size is 0; allowed: at least 1"),
        ({"models": ["/no/such/folder"]}, "/no/such/folder is no folder"),
        ({"models": ["retrieval", "retrieval"]}, "share a name"),
        ({"prompt": "smile"}, "prompt style is 'smile'"),
        ({"dtype": "int3"}, "dtype is 'int3'"),
        ({"dataset": "/no/such/file.jsonl"}, "no such file"),
    ],
)
def test_bad_options_are_told_in_one_line(options: BenchmarkOptions, change: dict, message: str) -> None:
    with pytest.raises((ValueError, OSError), match=message) as caught:
        run_benchmark(replace(options, **change))
    assert "\n" not in str(caught.value)
    assert not (options.output / "results.json").exists()


def test_folder_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert folder_name("outputs/demo/") == "demo"
    assert folder_name("untrained:outputs/demo") == "untrained-demo"
    assert folder_name("Qwen/Qwen3-0.6B") == "Qwen3-0.6B"
    assert folder_name("openai:gpt-4o mini") == "openai-gpt-4o-mini"
    (tmp_path / "demo" / "checkpoint-1").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "demo" / "checkpoint-1")
    assert folder_name("..") == "demo"
    assert folder_name(".") == "checkpoint-1"


@pytest.mark.slow
def test_two_processes_give_the_same_bytes(options: BenchmarkOptions, tmp_path: Path) -> None:
    run_benchmark(options)
    command = [sys.executable, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2"]
    arguments = ["--model", options.models[0], "--dataset", options.dataset, "--samples", "12", "--seed", "1"]
    arguments += ["--max-new-tokens", "8", "--device", "cpu", "--output", str(tmp_path / "two")]
    script = tmp_path / "run.py"
    script.write_text("from soulchat.cli import main\nmain()\n")
    done = subprocess.run(
        [*command, str(script), "benchmark", "run", *arguments],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert (tmp_path / "two" / "predictions.jsonl").read_bytes() == (options.output / "predictions.jsonl").read_bytes()
    assert (tmp_path / "two" / "replies-1.jsonl").exists()
    assert json.loads((tmp_path / "two" / "results.json").read_text())["systems"][0]["processes"] == 2


def test_scores_by_turn_stand_beside_the_predictions(options: BenchmarkOptions) -> None:
    run_benchmark(replace(options, by="turn"))
    found = json.loads((options.output / "groups.json").read_text())
    assert sum(found["too_small"].values()) + sum(group["turns"] for group in found["scored"].values()) == 12
    with pytest.raises(ValueError, match="by is 'age'; allowed: topic, turn"):
        run_benchmark(replace(options, by="age"))


def test_scores_by_what_a_corpus_states_of_its_clients(tmp_path: Path) -> None:
    """Topic, client and counsellor come from the file to the groups; a small group is told and not scored."""
    genders = ["female", "male", None]
    rows = [
        {
            "id": str(n),
            "topic": "情绪",
            "messages": [
                {"role": "user", "content": f"我第{n}次睡不着了"},
                {"role": "assistant", "content": f"第{n % 7}个办法，你愿意说说吗？"},
            ],
            "client": {"gender": genders[n % 2 if n % 10 else 2], "age": 20 + n % 2 * 20},
            "counsellor": "lin",
        }
        for n in range(600)
    ]
    write_lines(tmp_path / "talks.jsonl", rows)
    options = BenchmarkOptions(["retrieval"], tmp_path / "out", str(tmp_path / "talks.jsonl"), device="cpu")
    run_benchmark(replace(options, by="client.gender"))
    found = json.loads((options.output / "groups.json").read_text())
    assert set(found["scored"]) == {"female", "male"}
    assert set(found["too_small"]) == {"none"}
    assert found["gaps"]["bleu-1"]["p_value"] <= 1
    assert "Not scored, since they have fewer than 20 turns: none" in (options.output / "groups.md").read_text()
    for by, groups in (("topic", {"情绪"}), ("counsellor", {"lin"}), ("client.age_group", {"18-25", "36-45"})):
        run_benchmark(replace(options, by=by))
        assert set(json.loads((options.output / "groups.json").read_text())["scored"]) == groups
    with pytest.raises(ValueError, match=r"by is client\.openness, and none of the 60 test turns states it"):
        run_benchmark(replace(options, by="client.openness", output=tmp_path / "other"))
    assert not (tmp_path / "other").exists()
