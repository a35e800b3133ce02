from pathlib import Path

import orjson
import pytest

from tests.soulchat_trainer import training_parts

TURNS = 4


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixty conversations in a file."""
    path = tmp_path_factory.mktemp("corpus") / "conversations.jsonl"
    path.write_bytes(b"\n".join(map(orjson.dumps, training_parts.make_rows(60))))
    return path


@pytest.fixture(scope="module")
def causal_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A causal model of 50,000 weights, with room for the paper's longest reply."""
    folder = tmp_path_factory.mktemp("causal")
    tokenizer = training_parts.make_causal_tokenizer()
    model = training_parts.make_causal_model(tokenizer)
    model.config.max_position_embeddings = 2048  # rotary positions have no weights
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
