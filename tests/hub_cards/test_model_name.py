"""What a model's name means, with the Hub there and away."""

import subprocess
import sys
from pathlib import Path

import huggingface_hub
import pytest

from hub_cards.model_name import check_model_name, is_only_cached

AWAY = "http://127.0.0.1:9"  # nobody listens there


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A repository in the cache, whose Hub is away."""
    repository = tmp_path / "hub" / "models--someone--small"
    (repository / "snapshots" / "a1").mkdir(parents=True)
    (repository / "snapshots" / "a1" / "config.json").write_text("{}")
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("a1")
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", AWAY)
    return "someone/small"


def test_a_cached_model_is_read_from_the_cache_which_is_said_once(
    cached: str, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        check_model_name(cached)
        assert is_only_cached(cached)
    assert [record.getMessage() for record in caplog.records] == [
        "the Hub cannot be reached, so someone/small is taken from the cache"
    ]


def test_another_one_is_not_to_be_had(cached: str) -> None:
    with pytest.raises(OSError, match="someone/large is no folder here and not in the cache, and the Hub cannot be"):
        check_model_name("someone/large")


@pytest.mark.parametrize("name", ["chatglm-6bb", "./none", "/none", "some/where/else"])
def test_what_can_be_no_name_is_refused_without_the_hub(name: str) -> None:
    with pytest.raises(NotADirectoryError, match="is no folder; allowed: a model's folder, or USER/NAME on the Hub"):
        check_model_name(name)


def test_a_folder_is_never_asked_for(tmp_path: Path) -> None:
    assert not is_only_cached(str(tmp_path))


def test_torch_is_not_needed() -> None:
    """A misspelt name is told before torch is loaded, which takes seconds."""
    code = "import sys, hub_cards.model_name; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"
