"""Who talks, each party alone: what it is asked, what it says, and what is in the ledger then."""

import asyncio
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from soulchat_trainer.evaluation.simulate.parties import (
    Batch,
    EndpointParty,
    LocalParty,
    Party,
    ScriptedParty,
    check_party,
    load_script,
    shipped_scripts,
)
from soulchat_trainer.evaluation.simulate.profiles import Profile
from soulchat_trainer.generation.sampling import Decoding
from soulchatcorpus.making.ledger import Entry, Ledger
from soulchatcorpus.making.options import RequestOptions
from soulchatcorpus.making.requests import Question, Spending
from tests.soulchatcorpus.making.endpoint_stub import StubEndpoint

PROFILE = Profile(id="甲", story="甲的故事。", who="护士。", hidden="欠了债。")
HEARD = [{"role": "user", "content": "最近怎么样？"}]
QUESTION = Question("甲-1/1/client", "c0ntent", "plain@1", HEARD, lambda entry: ("accepted", None))


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with closing(Ledger(tmp_path / "ledger.sqlite")) as opened:
        yield opened


def ask(party: Party, *questions: Question) -> list[Entry | None]:
    async def ask_all() -> list[Entry | None]:
        async with party:
            return await asyncio.gather(*(party.ask(question, PROFILE) for question in questions))

    return asyncio.run(ask_all())


def script(folder: Path, text: str) -> str:
    (folder / "s.yaml").write_text(text, encoding="utf-8")
    return f"script:{folder / 's.yaml'}"


def test_a_script_goes_line_by_line_and_stays_at_its_last(ledger: Ledger, tmp_path: Path) -> None:
    spec = script(tmp_path, "{name: s, lines: ['{who}{story}', '{hidden}{place}']}")
    party = ScriptedParty(load_script(spec), ledger)
    said = [{"role": "assistant", "content": "…"}]
    questions = [replace(QUESTION, id=str(n), messages=HEARD + said * n) for n in range(3)]
    entries = ask(party, *questions)
    assert [entry.reply for entry in entries if entry] == ["护士。甲的故事。", "欠了债。{place}", "欠了债。{place}"]
    found = ledger.find_final("1", "c0ntent")
    assert found
    assert (found.reply, found.status, found.model) == ("欠了债。{place}", "accepted", "script:s")


def test_a_scripts_revision_is_of_what_it_says(ledger: Ledger, tmp_path: Path) -> None:
    first = ScriptedParty(load_script(script(tmp_path, "{name: s, lines: [好]}")), ledger)
    second = ScriptedParty(load_script(script(tmp_path, "{name: s, lines: [坏]}")), ledger)
    assert first.name == second.name == "script:s"
    assert first.revision != second.revision
    assert not first.begins
    assert ScriptedParty(load_script(script(tmp_path, "{name: s, lines: [好], begins: true}")), ledger).begins


def test_an_endpoint_is_asked_by_the_decoding_and_without_private_details(
    ledger: Ledger, players: StubEndpoint
) -> None:
    options = RequestOptions(base_url=players.base_url, model="client", max_tokens=9, price=["client=1,2"])
    spending = Spending(0.0)
    party = EndpointParty(options, ledger, spending, Decoding(0.5, 0.7, 9, seed=3))
    question = replace(QUESTION, messages=[{"role": "user", "content": "我的手机是13812345678。"}])
    [entry] = ask(party, question)
    assert entry
    assert (entry.model, entry.status) == ("client", "accepted")
    [body] = players.requests
    assert (body["temperature"], body["top_p"], body["max_tokens"]) == (0.7, 0.5, 9)
    assert "13812345678" not in body["messages"][0]["content"]
    assert spending.cost == pytest.approx((100 * 1 + 200 * 2) / 1e6)
    open_hearted = EndpointParty(options.model_copy(update={"send_unmasked": True}), ledger, spending, Decoding())
    ask(open_hearted, replace(question, id="2"))
    assert "13812345678" in players.requests[-1]["messages"][0]["content"]


def test_an_endpoint_is_not_asked_where_the_cost_allowed_would_be_passed(
    ledger: Ledger, players: StubEndpoint
) -> None:
    options = RequestOptions(base_url=players.base_url, model="client", price=["client=1,2"], max_cost=0.0)
    assert ask(EndpointParty(options, ledger, Spending(0.0), Decoding()), QUESTION) == [None]
    assert not players.requests
    assert ledger.find_final(QUESTION.id, QUESTION.content) is None


def test_two_sides_of_one_model_are_rows_of_one_batch(ledger: Ledger, model_folder: Path) -> None:
    batch = Batch(str(model_folder), "cpu", "float32", 2)
    party = LocalParty(batch, ledger, Decoding(max_new_tokens=4))
    questions = [replace(QUESTION, id=name) for name in ("a", "b", "c")]
    together = [entry.reply for entry in ask(party, *questions) if entry]
    alone = LocalParty(Batch(str(model_folder), "cpu", "float32", 1), ledger, Decoding(max_new_tokens=4))
    assert [entry.reply for question in questions for entry in ask(alone, question) if entry] == together
    assert (party.name, party.revision, party.begins) == ("small", batch.revision, False)
    found = ledger.find_final("a", "c0ntent")
    assert found
    assert found.prompt_tokens
    assert found.completion_tokens
    assert found.completion_tokens <= 4


def test_every_script_that_ships_is_read_and_says_something() -> None:
    assert shipped_scripts() == [
        "abandons",
        "advice",
        "avoids",
        "client",
        "exemplary",
        "gives-means",
        "glamorises",
        "hm",
    ]
    for name in shipped_scripts():
        assert all(line.strip() for line in load_script(f"script:{name}").lines)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{name: s, lines: []}", r"lines is \[\]; allowed: 1 item or more"),
        ("{name: s}", "lines is missing; allowed: a value"),
        ("{name: s, lines: 好}", "lines is '好'; allowed: a valid list"),
        ("{name: s, lines: [好], mood: 低}", "'mood' is unknown; allowed: name, lines, begins, source"),
        ("- 好", "it is no mapping; allowed: name, lines, begins, source"),
        ("{name: s", r"script .*s\.yaml: .*; allowed: YAML"),
    ],
)
def test_what_is_no_script_is_told_in_a_line(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message) as raised:
        check_party(script(tmp_path, text))
    assert "\n" not in str(raised.value)


def test_a_party_that_is_not_there_is_told_before_anybody_talks() -> None:
    with pytest.raises(FileNotFoundError, match="script is none; allowed: abandons, advice"):
        check_party("script:none")
    with pytest.raises((ValueError, OSError), match="no/such/folder is no folder; allowed: a model's folder"):
        check_party("no/such/folder")
