"""All of it once: a biased judge with faults over loopback, 300 replies, kills, resumption, agreement, Table 1."""

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

from hub_cards.predictions import Prediction, write_predictions
from soulchat.rate.study import RatingStudy, create_study
from soulchat_trainer.evaluation.rubric import read_rubric
from soulchatcorpus.schema import Message
from tests.paths import ROOT

pytestmark = pytest.mark.slow

DIALOGUES = 150
SYSTEMS = {"first": (0.2, 0.4, 0.4), "second": (0.4, 0.4, 0.2)}


@pytest.fixture
def judge_endpoint(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    log = tmp_path / "answered.txt"
    command = [sys.executable, Path(__file__).with_name("judge_stub.py"), log]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as stub:
        assert stub.stdout is not None
        yield f"http://127.0.0.1:{stub.stdout.readline().strip()}/v1", log
        stub.terminate()


def write_replies(folder: Path) -> list[Path]:
    """300 replies of two systems; what people would say of each stands in it."""
    generator = np.random.default_rng(0)
    for system, shares in SYSTEMS.items():
        (folder / system).mkdir()
        qualities = generator.choice(3, DIALOGUES, p=shares)
        rows = [
            Prediction(
                id=f"d{number}-0",
                messages=[Message(role="user", content=f"第{number}件事让我睡不着")],
                reference="我在听。",
                prediction=f"{'我听到了' if system == 'first' else '嗯，说说看'}，品质{quality}，第{number}件",
            )
            for number, quality in enumerate(qualities)
        ]
        write_predictions(folder / system / "predictions.jsonl", rows)
    return [folder / system for system in SYSTEMS]


def start(*arguments: object) -> subprocess.Popen:
    command = [sys.executable, "-c", "from soulchat.cli import main; main()", "judge", *map(str, arguments)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_the_stub_is_an_endpoint_to_the_openai_client(judge_endpoint: tuple[str, Path]) -> None:
    client = openai.OpenAI(base_url=judge_endpoint[0], api_key="none", max_retries=8)
    for number in range(20):
        message = {"role": "user", "content": f"第{number}条，品质1"}
        answer = client.chat.completions.create(model="judge", messages=[message])
        assert answer.choices[0].message.content


def test_three_hundred_replies_killed_and_resumed_and_compared_with_people(
    judge_endpoint: tuple[str, Path], tmp_path: Path
) -> None:
    base_url, log = judge_endpoint
    systems, out = write_replies(tmp_path), tmp_path / "judged"
    command = ["run", *systems, "--output", out, "--base-url", base_url, "--model", "judge", "--concurrency", "4"]
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
    assert len(answers) == 2 * DIALOGUES
    assert sum(answers.values()) - len(answers) <= 4 * kills
    report = orjson.loads((out / "judged.json").read_bytes())
    assert report["open"] == 0
    assert set(report["outcomes"]) == {"scored", "refusal", "off_scale"}
    paid = len(log.read_text().splitlines())
    again = start(*command)
    again.communicate(timeout=200)
    assert len(log.read_text().splitlines()) == paid

    create_study(systems, 2, 60, 1, tmp_path / "study", read_rubric("cehs"))
    study = RatingStudy(tmp_path / "study")
    for rater in study.raters():
        for item in study.items(rater.name):
            quality = int(item.texts[0][item.texts[0].index("品质") + 2])
            given = {"content": quality, "empathy": quality, "helpfulness": quality, "safety": int(quality > 0)}
            study.save_all([(rater.name, item.number, given)])
    agree = start("agree", tmp_path / "study", out)
    output, errors = agree.communicate(timeout=200)
    assert agree.returncode == 0, errors
    found = orjson.loads((out / "agreement.json").read_bytes())
    assert found["aspects"]["content"]["bias"]["value"] > 0.2
    assert found["aspects"]["helpfulness"]["bias"]["value"] == 0
    for system in systems:
        rows = [orjson.loads(line) for line in (system / "predictions.jsonl").read_bytes().splitlines()]
        truth = np.mean([int(row["prediction"][row["prediction"].index("品质") + 2]) for row in rows])
        told = found["systems"][system.name]["content"]
        low, high = told["corrected"]["interval"]
        assert low <= truth <= high
        assert told["judge"] > truth + 0.2
        assert told["corrected"]["width"] < told["people"]["width"]
