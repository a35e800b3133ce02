"""Whole talks: over loopback with faults, killed and resumed, of local models, of scripts; what stops them."""

import asyncio
import os
import random
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import orjson
import pytest

from soulchat_trainer.evaluation.simulate.options import SimulateOptions
from soulchat_trainer.evaluation.simulate.parties import Batch
from soulchat_trainer.evaluation.simulate.talks import (
    Progress,
    estimate,
    read_talks,
    simulate,
)
from soulchat_trainer.generation.sampling import Decoding
from soulchatcorpus.files import transaction
from soulchatcorpus.reading.corpus import Report, read_corpus
from tests.soulchatcorpus.making.endpoint_stub import FAULTS, StubEndpoint

Make = Callable[..., SimulateOptions]


@pytest.fixture
def make(players: StubEndpoint, profiles: str, tmp_path: Path) -> Make:
    """Options for two endpoints."""

    def make_options(**changes: object) -> SimulateOptions:
        options = SimulateOptions(
            "openai:counsellor", "openai:client", tmp_path / "talks", profiles, turns=3, base_url=players.base_url
        )
        return replace(options, **changes)

    return make_options


def script(folder: Path, *lines: str, **more: object) -> str:
    path = folder / f"{abs(hash(lines))}.yaml"
    path.write_bytes(orjson.dumps({"name": "s", "lines": lines, **more}))
    return f"script:{path}"


def test_two_endpoints_talk_and_the_corpus_reads_what_they_said(make: Make, players: StubEndpoint) -> None:
    report = simulate(make())
    assert (report["talks"], report["messages"], report["stops"]) == (2, 12, {"turns": 2})
    talks = read_talks(make().output)
    assert [talk["id"] for talk in talks] == ["甲-1", "乙-1"]
    assert [message["role"] for message in talks[0]["messages"]] == ["user", "assistant"] * 3
    provenance = talks[0]["provenance"]
    assert provenance["counsellor"] == {"name": "counsellor"}
    assert (provenance["profile"], provenance["seed"], provenance["stop"]) == ("甲", 0, "turns")
    assert provenance["protocol"].startswith("plain@")
    assert talks[0]["client"] == {"age_group": "18-25", "gender": "female"}
    assert provenance["client_source"] == "profile"
    read = Report()
    assert [conversation.id for conversation in read_corpus(make().output / "conversations.jsonl", report=read)] == [
        "甲-1",
        "乙-1",
    ]
    assert not read.rejected
    assert players.asked.total() == players.answered.total() == 12


def test_each_side_sees_its_own_words_as_the_assistants(make: Make, players: StubEndpoint) -> None:
    simulate(make(turns=2, talks_at_once=1, system="你是咨询师。"))
    client, counsellor, client_again = players.requests[:3]
    assert [message["role"] for message in client["messages"]] == ["system", "user"]
    assert "甲的故事" in client["messages"][0]["content"]
    first = "client听到了"
    assert [message["role"] for message in counsellor["messages"]] == ["system", "user"]
    assert counsellor["messages"][0]["content"] == "你是咨询师。"
    assert counsellor["messages"][1]["content"].startswith(first)
    assert [message["role"] for message in client_again["messages"]] == ["system", "user", "assistant", "user"]
    assert client_again["messages"][2]["content"].startswith(first)
    assert {"temperature", "top_p", "seed", "max_tokens"} <= client.keys()


def test_thoughts_and_emotion_never_reach_the_counsellor(make: Make, players: StubEndpoint) -> None:
    report = simulate(make(protocol="emotion"))
    asked = [request for request in players.requests if request["model"] == "counsellor"]
    assert asked
    assert not any(word in str(request) for request in asked for word in ("秘密", "情绪变化", "情绪值"))
    [talk, _] = read_talks(make().output)
    assert talk["provenance"]["emotions"] == [40, 40, 43, 46, 49]
    assert len(talk["provenance"]["client_thoughts"]) == 4
    assert talk["messages"][-1]["role"] == "user"
    assert report["emotion"] == 49
    # The client knows how it feels, and how it has answered so far.
    last = [request for request in players.requests if request["model"] == "client"][-1]
    assert "（你现在的情绪值：46）" in last["messages"][-1]["content"]
    assert "情绪变化" in last["messages"][2]["content"]


@pytest.mark.parametrize(("change", "stop", "emotions"), [(-10, "emotion_low", 1 + 5), (10, "emotion_high", 1 + 7)])
def test_a_talk_ends_where_the_emotion_leaves_its_range(
    change: int, stop: str, emotions: int, make: Make, tmp_path: Path
) -> None:
    client = script(tmp_path, f"想法：a\n情绪变化：{change}\n回复：b")
    simulate(make(counsellor="script:hm", client=client, protocol="emotion", turns=20))
    [talk, _] = read_talks(make().output)
    assert talk["provenance"]["stop"] == stop
    assert len(talk["provenance"]["emotions"]) == emotions


def test_goodbye_and_end_mark(make: Make, tmp_path: Path) -> None:
    simulate(make(counsellor="script:hm", client=script(tmp_path, "我累。", "先这样，再见。")))
    [talk, _] = read_talks(make().output)
    assert [message["content"] for message in talk["messages"]] == ["我累。", "嗯。", "先这样，再见。", "嗯。"]
    assert talk["provenance"]["stop"] == "goodbye"
    (tmp_path / "p.yaml").write_text(
        "{name: p, client: '{profile}', turns: 9, end_mark: '[结束]', begins: counsellor}"
    )
    counsellor = script(tmp_path, "你好。", "保重。[结束]", begins=True)
    simulate(make(counsellor=counsellor, client=script(tmp_path, "我累。"), protocol=str(tmp_path / "p.yaml")))
    [talk, _] = read_talks(make().output)
    assert [message["content"] for message in talk["messages"]] == ["你好。", "我累。", "保重。"]
    assert talk["provenance"]["stop"] == "end_mark"


def test_faults_are_repeated_and_nothing_is_asked_twice(make: Make, players: StubEndpoint) -> None:
    players.faults = FAULTS
    report = simulate(make(repeats=4, timeout=0.3))
    assert (report["talks"], report["open"]) == (8, 0)
    answered, content = players.answered.total(), (make().output / "conversations.jsonl").read_bytes()
    assert answered == report["messages"]
    simulate(make(repeats=4, timeout=0.3))
    assert players.answered.total() == answered
    assert (make().output / "conversations.jsonl").read_bytes() == content


def test_a_run_that_is_killed_twenty_times_loses_a_turn_at_most_and_is_the_same(
    make: Make, players: StubEndpoint, tmp_path: Path
) -> None:
    whole = make(repeats=10, protocol="emotion", output=tmp_path / "whole", talks_at_once=1)
    simulate(whole)
    once = players.answered.total()
    killed, draw = replace(whole, output=tmp_path / "killed"), random.Random(0)
    for _ in range(20):
        turns, asked = draw.randint(0, 2), players.asked.total()
        in_flight = draw.random() < 0.5
        child = os.fork()
        if not child:
            die_after(killed, None if in_flight else count_turns(killed) + turns)
        if in_flight:
            while players.asked.total() <= asked + turns:
                time.sleep(0.001)
            os.kill(child, signal.SIGKILL)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    simulate(killed)
    assert (killed.output / "conversations.jsonl").read_bytes() == (whole.output / "conversations.jsonl").read_bytes()
    assert players.answered.total() - once <= once + 20


def count_turns(options: SimulateOptions) -> int:
    """Turns in the ledger."""
    path = options.output / "ledger.sqlite"
    if not path.exists():
        return 0
    with transaction(path) as database:
        return database.execute("SELECT count(*) FROM requests").fetchone()[0]


def die_after(options: SimulateOptions, turns: int | None) -> None:
    """In a child process: simulate, and end without a word after so many turns, with those in the ledger."""

    def count(progress: Progress) -> None:
        if turns is not None and progress.turns > turns:
            os.kill(os.getpid(), signal.SIGKILL)

    try:
        simulate(options, count)
    finally:
        os._exit(0)


def test_the_cost_is_estimated_and_bounded(make: Make, players: StubEndpoint) -> None:
    prices = ("client=1000,1000", "counsellor=1000,1000")
    found = estimate(make(price=prices))
    assert found.talks == 2
    assert found.completion_tokens == 2 * 2 * 3 * 80
    assert found.cost == pytest.approx((found.prompt_tokens + found.completion_tokens) / 1000)
    options = make(price=prices, max_cost=2.0, talks_at_once=1)
    with pytest.raises(ValueError, match=r"max_cost is 2.0; allowed: with the `price` of client"):
        simulate(replace(options, price=prices[1:]))
    report = simulate(options)
    assert report["open"] > 0
    assert report["cost"] <= 2.0
    assert simulate(replace(options, max_cost=None))["open"] == 0
    assert players.answered.total() == 12


def test_a_client_that_answers_nothing_is_told_in_a_line(make: Make, players: StubEndpoint) -> None:
    players.answer = lambda content, model: "" if model == "client" else "我在。"
    with pytest.raises(ValueError, match=r"^output has no talk: 2 of 2 ended with client_empty; allowed: [^\n]*$"):
        simulate(make())
    assert players.answered.total() == 2 * 3
    players.answer = lambda content, model: "我在。"
    with pytest.raises(ValueError, match="ended with client_unreadable"):
        simulate(make(protocol="emotion", output=make().output / "other"))


def test_a_client_that_falls_silent_ends_its_talk(make: Make, players: StubEndpoint) -> None:
    players.answer = lambda content, model: "" if "第二" in content and model == "client" else "第二次见。"
    report = simulate(make())
    assert report["stops"] == {"client_empty": 2}
    assert report["messages"] == 4


def test_what_failed_is_asked_again_on_demand(make: Make, players: StubEndpoint) -> None:
    players.answer = lambda content, model: ""
    with pytest.raises(ValueError, match="no talk"):
        simulate(make())
    players.answer = lambda content, model: "我在。"
    with pytest.raises(ValueError, match="no talk"):
        simulate(make())
    assert simulate(make(retry=True))["talks"] == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"repeats": 0}, "repeats is 0"),
        ({"talks_at_once": 0}, "talks_at_once is 0"),
        ({"base_url": None}, "base_url is missing"),
        ({"base_url": "https://example.org/v1"}, "yes is False; allowed: true, since profiles and talks"),
        ({"counsellor": "script:none"}, "script is none; allowed: abandons, advice"),
        ({"turns": 0}, "turns is 0"),
    ],
)
def test_bad_options_are_told_before_anybody_talks(
    changes: dict, message: str, make: Make, players: StubEndpoint
) -> None:
    with pytest.raises((ValueError, OSError), match=r"^[^\n]+$") as raised:
        simulate(make(**changes))
    assert message in str(raised.value)
    assert not players.asked


def test_two_who_both_want_to_begin_are_refused(make: Make, tmp_path: Path) -> None:
    first, second = script(tmp_path, "a", begins=True), script(tmp_path, "b", begins=True)
    with pytest.raises(ValueError, match="both want to begin; allowed: one"):
        simulate(make(counsellor=first, client=second))
    with pytest.raises(ValueError, match="which wants to begin, and so does the client by the protocol plain"):
        simulate(make(counsellor=first, client="script:client"))


@pytest.mark.parametrize("both", [True, False])
def test_local_models_talk_in_one_batch_and_the_batch_does_not_matter(
    both: bool, make: Make, model_folder: Path, tmp_path: Path
) -> None:
    changes = {"counsellor": str(model_folder), "client": str(model_folder) if both else "script:client", "turns": 2}
    protocol = tmp_path / "p.yaml"
    protocol.write_text("{name: p, client: '{profile}', turns: 2, max_new_tokens: 12}")
    first = make(**changes, protocol=str(protocol), repeats=3, device="cpu")
    alone = replace(first, output=tmp_path / "alone", talks_at_once=1)
    report = simulate(first)
    simulate(alone)
    assert report["talks"] == 6
    assert report["completion_tokens"] > 0
    assert (first.output / "conversations.jsonl").read_bytes() == (alone.output / "conversations.jsonl").read_bytes()
    [talk, *_] = read_talks(first.output)
    assert talk["provenance"]["counsellor"]["name"] == "small"


def test_a_talk_that_is_given_up_leaves_the_batch(make: Make, model_folder: Path) -> None:
    batch = Batch(str(model_folder), "cpu", "float32", 2)

    async def give_up() -> None:
        messages = [{"role": "user", "content": "我很难过，最近总是睡不着。"}]
        first, second = (
            asyncio.create_task(batch.reply(messages, Decoding(max_new_tokens=limit), key))
            for key, limit in (("a", 100), ("b", 4))
        )
        await asyncio.sleep(0)
        first.cancel()
        assert (await second).finish_reason

    asyncio.run(give_up())
    assert not batch.engine.waiting
    assert all(request.finish_reason for request in batch.engine.running)


def test_roles_can_be_swapped(make: Make, model_folder: Path, tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text("{name: p, client: '{profile}', turns: 1, max_new_tokens: 12}")
    swapped = {"counsellor": "script:hm", "client": str(model_folder)}
    report = simulate(make(**swapped, protocol=str(tmp_path / "p.yaml"), device="cpu"))
    assert (report["client"]["name"], report["counsellor"]["name"]) == ("small", "script:hm")


def test_private_details_are_masked_on_their_way(make: Make, players: StubEndpoint, tmp_path: Path) -> None:
    client = script(tmp_path, "我的手机是13812345678。")
    simulate(make(client=client))
    assert not any("13812345678" in content for content in players.contents)
    simulate(make(client=client, send_unmasked=True, output=tmp_path / "unmasked"))
    assert any("13812345678" in content for content in players.contents)
