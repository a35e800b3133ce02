"""How the embedded sample under `data/` was made: `python -m soulchatcorpus.tools.sample smile_1k.jsonl`.

Writes one Parquet file for every config and split, and their exact sizes into the card: `datasets` keys its cache of a
local folder on what the card says, not on the files.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from datasets import load_dataset_builder
from datasets.info import DatasetInfosDict
from huggingface_hub import DatasetCard

from ..features import FEATURES
from ..files import parquet_writer, replacing
from ..reading.corpus import read_corpus
from ..schema import Conversation
from ..splits import SPLITS, opening_key, split_all
from ..tables import conversation_table, to_config
from ..turns import count_turns, find_opening

FOLDER = Path(__file__).parent.parent


def make_sample(source: Path, folder: Path = FOLDER) -> None:
    """Split the conversations of `source` (JSON lines in the release's keys) into `folder`/data/*.parquet.

    `folder` holds the card whose `dataset_info` is brought up to date.
    """
    keyed = ((opening_key(find_opening(c.messages)), count_turns(c.messages), c) for c in read_corpus(source))
    members: dict[str, list[Conversation]] = {split: [] for split in SPLITS}
    for split, conversation in split_all(keyed):
        members[split].append(conversation)
    for split, chosen in members.items():
        for config in FEATURES:
            with replacing(folder / "data" / f"{config}-{split}.parquet") as file:
                table = to_config(conversation_table(chosen), config)
                with parquet_writer(file, table.schema, level=19) as writer:
                    writer.write_table(table)
    _update_card(folder)


def _update_card(folder: Path) -> None:
    """Let `datasets` itself count bytes and examples, from a copy whose card claims nothing yet."""
    card = DatasetCard.load(folder / "README.md")
    card.data.pop("dataset_info", None)
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / "soulchatcorpus"
        shutil.copytree(folder / "data", copy / "data")
        card.save(copy / "README.md")
        infos = DatasetInfosDict()
        for config in FEATURES:
            builder = load_dataset_builder(str(copy), config, cache_dir=f"{scratch}/cache")
            builder.download_and_prepare()
            builder.info.features = FEATURES[config]
            infos[config] = builder.info
    infos.to_dataset_card_data(card.data)
    card.save(folder / "README.md")


if __name__ == "__main__":
    make_sample(Path(sys.argv[1]))
