"""The Space of the metric."""

from pathlib import Path

import pytest

from hub_cards.metric import stage_metric


def test_only_a_repository_of_the_metrics_name_can_be_loaded(tmp_path: Path) -> None:
    folder = tmp_path / "some_metric"
    folder.mkdir()
    for name in ("some_metric.py", "README.md", "requirements.txt", "numbers.bin"):
        (folder / name).touch()
    (folder / "README.md").write_text('metric = evaluate.load("some_metric")\n')
    (tmp_path / "staged").mkdir()
    with pytest.raises(
        ValueError, match=r"'user/other'; allowed: USER/some_metric, the only name by which evaluate\.load finds it"
    ):
        stage_metric(folder, tmp_path / "staged", repo_id="user/other")
    stage_metric(folder, tmp_path / "staged", repo_id="user/some_metric")
    assert {path.name for path in (tmp_path / "staged").iterdir()} == {
        "some_metric.py",
        "README.md",
        "requirements.txt",
    }
    card = (tmp_path / "staged" / "README.md").read_text()
    assert card == 'metric = evaluate.load("user/some_metric")\n', "a stranger loads it from there"
    assert "user/" not in (folder / "README.md").read_text()
