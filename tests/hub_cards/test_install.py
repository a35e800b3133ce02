"""Where the toolkit is to be had is written once; no text tells people to install a name that is not ours."""

import configparser
import re
import subprocess
from email.message import Message

import pytest

from hub_cards import install
from tests.paths import ROOT


@pytest.mark.parametrize(
    ("url", "line"),
    [
        (None, "x is not installed; allowed: the extra `train`, from a checkout or its wheel: pip install '.[train]'"),
        (
            "https://host/soulchat",
            "x is not installed; allowed: the extra `train`, from https://host/soulchat: "
            "pip install 'soulchat[train] @ git+https://host/soulchat'",
        ),
    ],
)
def test_the_line_names_where_the_toolkit_is(url: str | None, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = Message()
    if url:
        found["Home-page"] = url
    monkeypatch.setattr(install, "metadata", lambda name: found)
    assert install.needs_extra("x", "train") == line


def test_no_text_names_an_index_that_does_not_have_us() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    assert "url" in config["metadata"]
    files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    texts = [ROOT / name for name in files.split("\0") if name.endswith((".md", ".py", ".ipynb", ".yml", ".yaml"))]
    assert len(texts) > 200
    advice = re.compile(r"pip install [-\w ]*['\"]?soulchat\b(?!.*git\+)")
    found = [path for path in texts if "/tests/" not in str(path) and advice.search(path.read_text(encoding="utf-8"))]
    assert found == []
