"""What the page on talking says of serving, typed as it stands there; and the command's own words and refusals."""

import re
import shlex
import shutil
import subprocess
import sys

import pytest

from soulchat.cli import main
from soulchat_trainer.generation import Decoding
from tests.paths import ROOT
from tests.soulchat.talk.test_server import running

PAGE = (ROOT / "docs" / "talk.md").read_text(encoding="utf-8")
HERE = "http://127.0.0.1:8000"
PASSWORD = "long and good"


def block(language: str, beginning: str) -> str:
    return re.search(rf"^```{language}\n({beginning}.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)[1]


@pytest.fixture
def address(scripted):
    with running(scripted("我在听。")[0], PASSWORD, decoding=Decoding(), name="demo") as address:
        yield address


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl(address):
    line = block("text", "curl").replace(HERE, address).replace("$SOULCHAT_PASSWORD", PASSWORD)
    done = subprocess.run([*shlex.split(line), "--silent"], capture_output=True, text=True, check=True)
    assert "我在听。" in done.stdout
    assert '"care":[]' in done.stdout


def test_the_client_shows_help_lines_and_reply_twice(address, monkeypatch):
    monkeypatch.setenv("SOULCHAT_PASSWORD", PASSWORD)
    code = block("python", "import os").replace(HERE, address)
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (done.stdout.count("12356"), done.stdout.count("我在听。")) == (2, 2)
    assert done.stdout.index("12356") < done.stdout.index("我在听。")


@pytest.mark.parametrize(
    ("words", "password", "line"),
    [
        (
            ("serve", "--public-name", "a.example"),
            "",
            "public_name (--public-name) is a.example, which lets others in",
        ),
        (("app", "--public-name", "a.example"), "", "public_name (--public-name) is a.example, which lets others in"),
        (("serve", "--root-path", "api"), "", "root_path (--root-path) is 'api'; allowed: a path such as /soulchat"),
        (("serve", "--allow-origin", "*"), "", "allow_origin (--allow-origin) is '*'; allowed: scheme and host"),
        (("serve",), "密码", "SOULCHAT_PASSWORD is not what every client can send in a header; allowed for a"),
    ],
)
def test_what_cannot_work_is_refused_before_the_model_is_loaded(words, password, line, monkeypatch, capsys):
    monkeypatch.setenv("SOULCHAT_PASSWORD", password)
    monkeypatch.setattr(sys, "argv", ["soulchat", words[0], "no/such/model", *words[1:]])
    with pytest.raises(SystemExit) as ended:
        main()
    told = capsys.readouterr().err
    assert (ended.value.code, len(told.splitlines())) == (2, 1)
    assert told.startswith(f"soulchat: error: {line}")
