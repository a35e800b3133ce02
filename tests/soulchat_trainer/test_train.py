"""The main path's own words: who speaks, and what is said at the end. The way itself: test_recipes, test_resume."""

import re
import sys
from pathlib import Path

import pytest
import torch

from hub_cards.results import DataSet
from soulchat_trainer import train
from soulchat_trainer.evaluation.run import Benchmark
from soulchat_trainer.generation import Decoding
from soulchat_trainer.train import check_compiler, main, next_steps, run, use_all_cores
from soulchat_trainer.training.arguments import RunArguments
from soulchat_trainer.unreadable import saving
from soulchatcorpus import Message
from soulchatcorpus.files import working_in
from soulchatcorpus.turns import Turn


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A process of two; the seconds that it waited for the launcher, which does not come."""
    seconds: list[float] = []
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr("soulchat_trainer.train.time.sleep", seconds.append)
    return seconds


def test_the_first_process_speaks_at_once(
    slept: list[float], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("RANK", "0")
    with pytest.raises(SystemExit):
        main(["nothing"])
    assert capsys.readouterr().err.startswith("soulchat: error: recipe is 'nothing'")
    assert slept == []


def test_another_one_is_silent_until_the_launcher_ends_it(
    slept: list[float], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    def end(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setenv("RANK", "1")
    monkeypatch.setattr("soulchat_trainer.train.time.sleep", end)
    with pytest.raises(KeyboardInterrupt):
        run(["nothing"])
    assert capsys.readouterr().err == ""


def test_what_another_process_finds_alone_it_tells(
    slept: list[float], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """A file that one node lacks, a loss that is NaN in one process."""
    monkeypatch.setenv("RANK", "1")
    with pytest.raises(SystemExit):
        main(["nothing"])
    assert len(slept) == 1
    assert capsys.readouterr().err.startswith("soulchat: error: recipe is 'nothing'")


@pytest.mark.parametrize("wrapped", [False, True])
def test_what_may_come_of_another_process_waits_also_in_the_first(
    wrapped: bool, slept: list[float], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    def fail(argv: list[str]) -> None:
        if not wrapped:
            raise RuntimeError("Connection closed by peer")
        with saving("a checkpoint", Path("there"), "nothing was saved"):
            raise RuntimeError("Connection closed by peer")

    monkeypatch.setenv("RANK", "0")
    monkeypatch.setattr("soulchat_trainer.train.run_recipe", fail)
    with pytest.raises(SystemExit if wrapped else RuntimeError):
        main(["demo"])
    assert len(slept) == 1
    assert capsys.readouterr().err.count("soulchat: error: a checkpoint could not be written") == wrapped


def test_the_second_in_a_folder_is_told_who_is_at_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The first has written nothing yet that tells of a run."""
    with working_in(tmp_path, "training"), pytest.raises(SystemExit):
        main(["demo", "--output_dir", str(tmp_path), "--use_cpu"])
    assert "is in use by training (process " in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_ctrl_c_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt(argv: list[str]) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(train, "run_recipe", interrupt)
    with pytest.raises(SystemExit) as ended:
        main(["demo"])
    assert (ended.value.code, capsys.readouterr().err) == (130, "soulchat: interrupted\n")


@pytest.mark.parametrize("missing", ["g++", "ninja"])
def test_deepspeed_asks_for_its_compiler_when_it_starts(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And not when a recipe is read; pip's ninja is found beside the interpreter without a word on PATH."""
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(train.shutil, "which", lambda tool: None if tool == missing else f"/bin/{tool}")
    with pytest.raises(ValueError, match=rf"needs {re.escape(missing)}, which is not installed"):
        check_compiler()


@pytest.mark.parametrize(("launched", "threads", "expected"), [(False, "1", 1), (True, "1", 8), (True, "4", 1)])
def test_threads_are_the_users_unless_the_launcher_chose_them(
    launched: bool, threads: str, expected: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torch has read OMP_NUM_THREADS before; here it has one thread whatever that says."""
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)))
    monkeypatch.delenv("ACCELERATE_USE_CPU", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    if launched:
        monkeypatch.setenv("ACCELERATE_USE_CPU", "False")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    use_all_cores()
    found = torch.get_num_threads()
    torch.set_num_threads(before)
    assert found == expected


def test_what_is_no_input_error_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(argv: list[str]) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(train, "run_recipe", fail)
    with pytest.raises(ZeroDivisionError):
        main(["demo"])


def test_three_commands_to_try_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As they can be typed where the run was started; scores are of the run's own data, beside what it began with."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "executable", str(tmp_path / ".venv/bin/python"))
    turns = [Turn("a", 1, [Message(role="user", content="你好")], "嗯")]
    benchmark = Benchmark(DataSet(name="talks"), turns, Decoding(max_new_tokens=7, seed=3))
    run = RunArguments(model_name_or_path="some/base", dataset="my talks.jsonl")
    assert next_steps("outputs/my run", benchmark, run).splitlines() == [
        "Everything is in outputs/my run. Try next:",
        "  .venv/bin/soulchat chat 'outputs/my run'",
        "  .venv/bin/soulchat app 'outputs/my run'",
        "  .venv/bin/soulchat benchmark run --model 'outputs/my run' --model some/base --model retrieval "
        "--dataset 'my talks.jsonl' --samples 1 --seed 3 --max-new-tokens 7 --output 'outputs/my run-benchmark'",
    ]


def test_without_test_turns_there_is_nothing_to_score(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert "benchmark" not in next_steps("outputs/mine", None, RunArguments(model_name_or_path="some/base"))
