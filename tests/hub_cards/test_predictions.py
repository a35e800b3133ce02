"""Predictions: written whole or not at all, read with complaints that name the line."""

from pathlib import Path

import pytest

from hub_cards.predictions import Prediction, read_predictions, write_predictions

ROWS = [
    Prediction(id="1-1", messages=[{"role": "user", "content": "a"}], reference="b", prediction="x\ny"),
    Prediction(id="1-2", messages=[{"role": "system", "content": "c"}], reference="d", prediction=""),
]


def test_predictions_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "predictions.jsonl"
    write_predictions(path, ROWS)
    assert read_predictions(path) == ROWS
    assert read_predictions(path, limit=1) == ROWS[:1]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"{", "line 2: the whole is b'{.n'; allowed: JSON"),
        (b"[]", "line 2: the whole is of another kind; allowed: an object"),
        (b'{"messages": [], "reference": "", "prediction": ""}', "line 2: id is missing"),
        (b'{"id": "1", "prompt": "", "reference": "", "prediction": ""}', "line 2: messages is missing"),
        (
            b'{"id": "1", "messages": [], "reference": "", "prediction": null}',
            "line 2: prediction is None; allowed:",
        ),
        (b'{"id": "1", "messages": [{"role": "x"}], "reference": "", "prediction": ""}', "line 2: messages.0.role"),
        (b'{"id": "0", "messages": [], "reference": "", "prediction": ""}', "line 2: id '0' stands there twice"),
    ],
)
def test_broken_predictions_are_told(tmp_path: Path, line: bytes, message: str) -> None:
    path = tmp_path / "predictions.jsonl"
    path.write_bytes(b'{"id": "0", "messages": [], "reference": "", "prediction": ""}\n' + line + b"\n")
    with pytest.raises(ValueError, match=message):
        read_predictions(path)
