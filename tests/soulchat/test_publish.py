"""`soulchat publish …` as a user types it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from huggingface_hub import HfApi
from typer.testing import CliRunner

from soulchat import cli
from soulchat.publish import app
from tests.hub_cards.samples import CARD, make_corpus_folder, make_model_folder
from tests.hub_cards.server import LoopbackHub

RUNNER = CliRunner()


def run(*arguments: object) -> tuple[int, str]:
    result = RUNNER.invoke(app, [str(argument) for argument in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


def test_model_shows_its_plan_and_publishes(tmp_path: Path, logged_in: LoopbackHub) -> None:
    folder = make_model_folder(tmp_path / "run")
    code, output = run("model", folder, "user/name", "--dry-run")
    assert code == 0
    size = (folder / "model.safetensors").stat().st_size
    assert f"      new  {size:>13,}  model.safetensors\n" in output
    assert "+# user/name" in output
    assert "7 of 7 files change" in output
    assert output.endswith("\nnothing was sent\n")
    assert not logged_in.has("model", "user/name")
    code, output = run("model", folder, "user/name", "--yes", "--private")
    assert f"{logged_in.url}/user/name/commit/" in output
    assert logged_in.repo("model", "user/name").private


def test_a_dry_run_needs_no_network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All files, the card as a whole, and no waiting for a Hub that is not there."""
    monkeypatch.setattr("hub_cards.publish.HfApi", lambda: HfApi(endpoint="http://127.0.0.1:9"))
    monkeypatch.setattr("hub_cards.publish.time.sleep", lambda seconds: pytest.fail("it waited"))
    code, output = run("model", make_model_folder(tmp_path / "run"), "user/name", "--dry-run")
    assert code == 0
    assert "\n# user/name\n" in output
    assert "not compared with what is published: the Hub cannot be reached" in output
    assert "7 of 7 files change" in output
    assert output.endswith("\nnothing was sent\n")


def test_a_dry_run_loads_little(tmp_path: Path) -> None:
    """It is over in a second, most of which would be the import of `datasets`."""
    code = (
        "import sys; from soulchat_command import main\n"
        "try: main()\n"
        "finally: print(sorted({'datasets', 'pandas', 'torch', 'transformers'} & set(sys.modules)))"
    )
    folder = make_model_folder(tmp_path / "run")
    done = subprocess.run(
        [sys.executable, "-c", code, "publish", "model", str(folder), "user/name", "--dry-run"],
        env=os.environ | {"HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
    )
    assert done.stdout.splitlines()[-2:] == ["nothing was sent", "[]"]


def test_without_yes_it_asks(tmp_path: Path, logged_in: LoopbackHub) -> None:
    folder = make_model_folder(tmp_path / "run")
    result = RUNNER.invoke(app, ["model", str(folder), "user/name"], input="n\n")
    assert "Publish? [y/N]" in result.output
    assert not logged_in.has("model", "user/name")
    RUNNER.invoke(app, ["model", str(folder), "user/name"], input="y\n")
    assert logged_in.has("model", "user/name")


def test_a_model_names_the_data_set_that_is_published(tmp_path: Path, logged_in: LoopbackHub) -> None:
    run("dataset", make_corpus_folder(tmp_path / "made", CARD), "user/data", "--yes")
    run("model", make_model_folder(tmp_path / "run"), "user/name", "--dataset", "user/data", "--yes")
    card = logged_in.repo("model", "user/name").files()["README.md"].decode()
    assert f"revision: {logged_in.repo('dataset', 'user/data').resolve('main').oid}" in card


def test_dataset_that_may_not_be_passed_on(tmp_path: Path, logged_in: LoopbackHub) -> None:
    folder = make_corpus_folder(tmp_path / "made", CARD, source="psyqa", licence="research agreement")
    for options in ([], ["--private"], ["--i-have-the-right"]):
        with pytest.raises(ValueError, match="PsyQA"):
            run("dataset", folder, "user/data", "--yes", *options)
    assert not logged_in.has("dataset", "user/data")
    run("dataset", folder, "user/data", "--yes", "--private", "--i-have-the-right", "--gated", "manual")
    assert logged_in.repo("dataset", "user/data").private
    assert logged_in.repo("dataset", "user/data").gated == "manual"


def test_the_embedded_sample_by_its_name_from_anywhere(
    tmp_path: Path, logged_in: LoopbackHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _ = run("dataset", "soulchatcorpus", "user/soulchatcorpus", "--yes")
    assert code == 0
    files = logged_in.repo("dataset", "user/soulchatcorpus").files()
    assert {path.split("/")[0] for path in files} == {"README.md", "eval.yaml", "turns", "conversations"}
    card = files["README.md"].decode()
    for words in (
        "ChatGPT wrote them",
        "cc0-1.0",
        "research agreement",
        'load_dataset("user/soulchatcorpus"',
        "removed",
    ):
        assert words in card


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["model", "{run}", "no-user"], "repository id is 'no-user'; allowed: USER/NAME"),
        (["model", "{run}/nothing", "user/name"], "nothing is no folder; allowed: "),
        (["dataset", "{run}", "user/name"], "no Parquet files"),
        (["dataset", "{run}", "user/name", "--gated", "yes"], "gated (--gated) is 'yes'; allowed: auto, manual"),
        (["metric", "user/other"], "allowed: USER/soulchat_metrics, the only name by which evaluate.load finds it"),
        (["check", "{run}/nothing"], "nothing is no folder; allowed: one with a card"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    arguments: list[str],
    line: str,
    tmp_path: Path,
    logged_in: LoopbackHub,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = make_model_folder(tmp_path / "run")
    filled = [argument.format(run=folder) for argument in arguments]
    monkeypatch.setattr("sys.argv", ["soulchat", "publish", *filled])
    with pytest.raises(SystemExit) as exit_info:
        cli.main()
    assert exit_info.value.code == 2
    error = capsys.readouterr().err
    assert error.startswith("soulchat: error: ")
    assert line in error
    assert error.count("\n") == 1
    assert logged_in.requests == []


def test_check_prints_what_it_finds(tmp_path: Path) -> None:
    folder = make_model_folder(tmp_path / "run")
    assert run("check", folder) == (1, "README.md: there is no card\n")
    (folder / "README.md").write_text("# A card\n")
    code, output = run("check", folder)
    assert (code, output) == (
        1,
        "README.md:1: the card's first line is '# A card'; allowed: ---, then YAML up to another line of ---\n",
    )


def test_check_says_when_all_is_well(tmp_path: Path) -> None:
    from hub_cards.model import write_model_card

    folder = make_model_folder(tmp_path / "run")
    write_model_card(folder)
    assert run("check", folder) == (0, f"{folder}: no problems found\n")
