"""What goes wrong under `load_dataset`, in one line."""

import pytest

import soulchatcorpus  # noqa: F401
from soulchatcorpus.load import load_splits
from tests.limits import no_room_for_files_above


def test_a_full_disk_under_the_cache_is_one_line(tmp_path):
    with (
        no_room_for_files_above(8192),
        pytest.raises(OSError, match=r"^dataset soulchatcorpus cannot .*too large$"),
    ):
        load_splits("soulchatcorpus", "conversations", cache_dir=str(tmp_path))
