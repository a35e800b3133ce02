import shutil

import pyarrow.parquet as pq
import pytest
from datasets import load_dataset_builder

from soulchatcorpus.tools.sample import FOLDER, make_sample
from tests.paths import SHARED

SOURCE = SHARED / "data" / "smilechat" / "smile_1k.jsonl"


@pytest.mark.parametrize("config", ["turns", "conversations"])
def test_the_card_states_the_exact_sizes(config, tmp_path):
    """`datasets` keys its cache of a local folder on them."""
    claimed = load_dataset_builder(str(FOLDER), config, cache_dir=str(tmp_path))
    counted = {
        split: pq.read_metadata(FOLDER / "data" / f"{config}-{split}.parquet").num_rows
        for split in ("train", "validation", "test")
    }
    assert {name: split.num_examples for name, split in claimed.info.splits.items()} == counted
    assert str(claimed.config.version) == "1.0.0"


@pytest.mark.skipif(not SOURCE.exists(), reason="the sample's source, ../shared/data/smilechat, is not here")
def test_the_sample_can_be_made_again(tmp_path):
    shutil.copy(FOLDER / "README.md", tmp_path)
    make_sample(SOURCE, tmp_path)
    assert (tmp_path / "README.md").read_text() == (FOLDER / "README.md").read_text()
    for path in (FOLDER / "data").glob("*.parquet"):
        assert pq.read_table(tmp_path / "data" / path.name).equals(pq.read_table(path))
