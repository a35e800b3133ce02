"""All of it once: a biased judge with faults over loopback, 300 replies of the demo, kills, resumption, agreement."""

import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import openai
import orjson
import pytest

from hub_cards.predictions import Prediction, read_predictions, write_predictions
from soulchat.rate.study import RatingStudy, create_study
from soulchat_trainer.data import load_corpus, sample_test_turns
from soulchat_trainer.evaluation.rubric import read_rubric
from tests.paths import FIXTURES, ROOT
from tests.soulchat.judge.qualities import quality_of

pytestmark = pytest.mark.slow

REPLIES = 300


@pytest.fixture
def judge_endpoint(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    log = tmp_path / "answered.txt"
    command = [sys.executable, Path(__file__).with_name("judge_stub.py"), log]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as stub:
        assert stub.stdout is not None
        yield f"http://127.0.0.1:{stub.stdout.readline().strip()}/v1", log
        stub.terminate()


def write_replies(folder: Path) -> Path:
    """The demo's replies to 300 turns of the sample, as `soulchat benchmark run` leaves them."""
    lines = (FIXTURES / "judge/demo_replies.jsonl").read_bytes().splitlines()
    replies = {row["id"]: row["prediction"] for row in map(orjson.loads, lines)}
    corpus = load_corpus("soulchatcorpus")
    rows = [
        Prediction(id=turn.id, messages=turn.context, reference=turn.completion, prediction=replies[turn.id])
        for turn in sample_test_turns("soulchatcorpus", corpus, None, 0)
        if turn.id in replies
    ]
    assert len(rows) == REPLIES
    folder.mkdir()
    write_predictions(folder / "predictions.jsonl", rows)
    return folder


def start(*arguments: object) -> subprocess.Popen:
    command = [sys.executable, "-c", "from soulchat.cli import main; main()", "judge", *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_the_stub_is_an_endpoint_to_the_openai_client(judge_endpoint: tuple[str, Path]) -> None:
    client = openai.OpenAI(base_url=judge_endpoint[0], api_key="none", max_retries=8)
    for number in range(20):
        message = {"role": "user", "content": f"待评价的回复：\n第{number}条\n\n只输出 JSON"}
        answer = client.chat.completions.create(model="judge", messages=[message])
        assert answer.choices[0].message.content


def test_three_hundred_replies_killed_and_resumed_and_compared_with_people(
    judge_endpoint: tuple[str, Path], tmp_path: Path
) -> None:
    base_url, log = judge_endpoint
    demo, out = write_replies(tmp_path / "demo"), tmp_path / "judged"
    command = ["run", demo, "--output", out, "--base-url", base_url, "--model", "judge", "--concurrency", "4"]
    kills = 0
    for _ in range(3):
        before = len(log.read_text().splitlines()) if log.exists() else 0
        run = start(*command)
        while run.poll() is None and (len(log.read_text().splitlines()) if log.exists() else 0) < before + 60:
            time.sleep(0.01)
        run.kill()
        kills += run.wait() != 0
    assert kills == 3
    run = start(*command)
    output, errors = run.communicate(timeout=200)
    assert run.returncode == 0, errors
    assert "not validated on people" in output
    # An answer on its way at a kill was not heard: at most one for each of the four workers.
    answers = Counter(log.read_text().splitlines())
    assert len(answers) == REPLIES
    assert sum(answers.values()) - len(answers) <= 4 * kills
    report = orjson.loads((out / "judged.json").read_bytes())
    assert report["open"] == 0
    asked = [row["id"] for row in map(orjson.loads, (out / "judged.jsonl").read_bytes().splitlines())]
    assert len(set(asked)) == len(asked) == REPLIES
    assert set(report["outcomes"]) == {"scored", "refusal", "off_scale"}
    paid = len(log.read_text().splitlines())
    again = start(*command)
    again.communicate(timeout=200)
    assert len(log.read_text().splitlines()) == paid

    create_study([demo], 2, 60, 1, tmp_path / "study", read_rubric("cehs"))
    study = RatingStudy(tmp_path / "study")
    for rater in study.raters():
        for item in study.items(rater.name):
            quality = quality_of(item.texts[0])
            given = {"content": quality, "empathy": quality, "helpfulness": quality, "safety": int(quality > 0)}
            study.save_all([(rater.name, item.number, given)])
    agree = start("agree", tmp_path / "study", out)
    output, errors = agree.communicate(timeout=200)
    assert agree.returncode == 0, errors
    found = orjson.loads((out / "agreement.json").read_bytes())
    assert found["aspects"]["content"]["bias"]["value"] > 0.2
    assert found["aspects"]["helpfulness"]["bias"]["value"] == 0
    truth = np.mean([quality_of(row.prediction) for row in read_predictions(demo / "predictions.jsonl")])
    told = found["systems"]["demo"]["content"]
    low, high = told["corrected"]["interval"]
    assert low <= truth <= high
    assert told["judge"] > truth + 0.2
    assert told["corrected"]["width"] < told["people"]["width"]
    assert told["method"] == "prediction-powered"
