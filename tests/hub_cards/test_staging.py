"""What a folder may publish."""

from pathlib import Path

import pytest

from hub_cards.model import stage_model
from hub_cards.staging import stage_file
from tests.hub_cards.samples import make_model_folder


def test_a_link_to_elsewhere_is_not_published(tmp_path: Path) -> None:
    """As one in a folder that somebody else has packed."""
    folder = make_model_folder(tmp_path / "model")
    (tmp_path / "secret").write_text("mine")
    (folder / "loss.png").unlink(missing_ok=True)
    (folder / "loss.png").symlink_to("../secret")
    staged = tmp_path / "staged"
    staged.mkdir()
    with pytest.raises(ValueError, match=r"loss\.png is a link to .*secret, outside of the folder; allowed: "):
        stage_model(folder, staged, repo_id="user/name")
    assert not (staged / "loss.png").exists()


def test_links_inside_and_to_the_blobs_of_the_hubs_cache_are_its_own(tmp_path: Path) -> None:
    snapshot, blob, staged = tmp_path / "snapshots" / "abc", tmp_path / "blobs" / "0123", tmp_path / "staged"
    for place in (snapshot, blob.parent, staged):
        place.mkdir(parents=True)
    blob.write_text("weights")
    (snapshot / "model.safetensors").symlink_to("../../blobs/0123")
    (snapshot / "same.safetensors").symlink_to("model.safetensors")
    for path in snapshot.iterdir():
        stage_file(path, snapshot, staged)
    assert {path.name: path.read_text() for path in staged.iterdir()} == {
        "model.safetensors": "weights",
        "same.safetensors": "weights",
    }
