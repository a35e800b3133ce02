"""Result files: written whole or not at all, read with complaints that name the line."""

from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from hub_cards.results import check_results
from soulchat_trainer.evaluation.results import (
    fingerprint,
    read_predictions,
    write_predictions,
    write_results,
)
from soulchat_trainer.generation import Decoding
from soulchatcorpus.turns import Turn

TURNS = [
    Turn("1", 1, [{"role": "user", "content": "a"}], "b"),
    Turn("1", 2, [{"role": "user", "content": "c"}], "d"),
]


def test_predictions_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "predictions.jsonl"
    write_predictions(path, TURNS, ["x\ny", ""])
    assert read_predictions(path) == [
        {"id": "1-1", "prompt": TURNS[0].prompt, "reference": "b", "prediction": "x\ny"},
        {"id": "1-2", "prompt": TURNS[1].prompt, "reference": "d", "prediction": ""},
    ]
    with pytest.raises(ValueError, match="argument"):
        write_predictions(path, TURNS, ["one"])
    assert len(read_predictions(path)) == 2  # what stood there before


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"{", "line 2: not JSON"),
        (b"[]", "line 2: a row needs texts under id, prompt, reference, prediction"),
        (b'{"prompt": "", "reference": "", "prediction": ""}', "line 2: a row needs texts under id"),
        (b'{"id": "1", "prompt": "", "reference": "", "prediction": null}', "line 2: a row needs texts"),
        (b'{"id": "0", "prompt": "", "reference": "", "prediction": ""}', "line 2: id '0' stands there twice"),
    ],
)
def test_broken_predictions_are_told(tmp_path: Path, line: bytes, message: str) -> None:
    path = tmp_path / "predictions.jsonl"
    path.write_bytes(b'{"id": "0", "prompt": "", "reference": "", "prediction": ""}\n' + line + b"\n")
    with pytest.raises(ValueError, match=message):
        read_predictions(path)


def test_results_have_the_common_form(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    results = write_results(
        path, dataset={"name": "smilechat-1k"}, decoding=Decoding(), systems=[], references={"distinct_1": 0.5}
    )
    check_results(results)
    assert results == orjson.loads(path.read_bytes())
    assert results["decoding"]["top_p"] == 0.75
    assert set(results["versions"]) >= {"soulchat", "torch", "transformers"}
    assert results["hardware"]["cores"] >= 1
    assert str(tmp_path) not in path.read_text()


def test_fingerprints_tell_data_apart() -> None:
    assert fingerprint(TURNS) == fingerprint([replace(turn, topic="情绪") for turn in TURNS])
    assert fingerprint(TURNS) != fingerprint(TURNS[:1])
    assert fingerprint(TURNS) != fingerprint(TURNS[::-1])
