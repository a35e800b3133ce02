"""What goes wrong under `load_dataset`, in one line."""

import pytest

import soulchatcorpus  # noqa: F401
from soulchatcorpus.load import check_dataset_name, load_splits
from tests.limits import no_room_for_files_above


def test_a_full_disk_under_the_cache_is_one_line(tmp_path):
    with (
        no_room_for_files_above(8192),
        pytest.raises(OSError, match=r"^dataset soulchatcorpus cannot .*too large$"),
    ):
        load_splits("soulchatcorpus", "conversations", cache_dir=str(tmp_path))


def test_what_is_here_and_what_the_hub_can_know_pass(tmp_path):
    for name in (str(tmp_path), "imdb", "somebody/talks.v2", "hf://datasets/somebody/talks"):
        check_dataset_name(name)
    for name in ("", "talks*", "talks[1].jsonl", "talks.jsonl.gz", "https://example.org/talks.jsonl"):
        with pytest.raises(FileNotFoundError, match="no such file; allowed: a file, a folder or a name"):
            check_dataset_name(name)
