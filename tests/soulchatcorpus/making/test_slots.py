"""Rewriting in a counsellor's style, through the endpoint: what stands in the slots, and what is kept of it."""

import orjson
import pytest

from soulchatcorpus.clients import TRAITS
from soulchatcorpus.files import write_lines
from soulchatcorpus.making.options import RewriteOptions
from soulchatcorpus.making.rewrite import estimate, rewrite
from soulchatcorpus.making.style_card import write_style
from tests.soulchatcorpus.making.endpoint_stub import FAULTS
from tests.soulchatcorpus.making.test_style import make_case
from tests.soulchatcorpus.making.test_style_card import CARD


@pytest.fixture
def options(endpoint, tmp_path):
    def make(**more) -> RewriteOptions:
        write_style(tmp_path / "style.yaml", CARD)
        cases = [
            make_case("1", topic="家庭", client="我和妈妈吵架，记住13912345678"),
            make_case("2", topic="情绪", client="我最近难过"),
            make_case("3", topic="情绪", client="我最近总是失眠"),
        ]
        write_lines(tmp_path / "cases.jsonl", cases)
        given = {"prompt": "psydt", "style": tmp_path / "style.yaml", "cases": tmp_path / "cases.jsonl"} | more
        return RewriteOptions(base_url=endpoint.base_url, model="stub", timeout=5.0, **given)

    return make


def read_lines(path):
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]


def test_every_slot_is_filled_and_the_system_text_kept(endpoint, make_questions, options, tmp_path):
    rewrite(make_questions(2), tmp_path / "out", options())
    for sent in endpoint.contents:
        assert "【咨询师的风格】\n开始：先问今天怎么来的" in sent
        assert "【咨询的阶段】\n1. 建立关系" in sent
        assert "【来访者】\n开放性：" in sent
        assert "【这位咨询师的一个案例】\n用户：我最近总是失眠\n" in sent  # of the topic, and the nearest in words
        assert "{" not in sent
    made = read_lines(tmp_path / "out/conversations.jsonl")
    for record in made:
        assert record["messages"][0] == {"role": "system", "content": CARD.system_text()}
        assert record["messages"][1]["role"] == "user"
        assert record["counsellor"] == "lin"
        assert list(record["client"]) == list(TRAITS)
        assert record["provenance"]["client_source"] == "drawn (low=1,medium=1,high=1, seed 0)"


def test_a_stated_client_and_a_topic_of_another_case(endpoint, make_questions, options, tmp_path):
    source = make_questions(1, topic="家庭", client={"age": 42, "openness": "low"}, counsellor="chen")
    rewrite(source, tmp_path / "out", options())
    assert "【来访者】\n年龄：36-45\n开放性：低\n" in endpoint.contents[0]
    assert "我和妈妈吵架" in endpoint.contents[0]
    assert "13912345678" not in endpoint.contents[0]
    [made] = read_lines(tmp_path / "out/conversations.jsonl")
    assert made["client"] == {"age_group": "36-45", "openness": "low"}
    assert made["counsellor"] == "lin"  # in whose style it is made now
    assert "client_source" not in made["provenance"]
    assert "source" not in made["provenance"]


def test_without_slots_client_and_counsellor_are_those_of_the_record(endpoint, make_questions, options, tmp_path):
    source = make_questions(1, client={"gender": "男"}, counsellor="chen")
    rewrite(source, tmp_path / "out", options(prompt="soulchat", style=None, cases=None))
    [made] = read_lines(tmp_path / "out/conversations.jsonl")
    assert (made["client"], made["counsellor"]) == ({"gender": "male"}, "chen")
    rewrite(make_questions(1), tmp_path / "none", options(prompt="soulchat", style=None, cases=None))
    [made] = read_lines(tmp_path / "none/conversations.jsonl")
    assert not {"client", "counsellor"} & made.keys()


def test_with_faults_all_are_made_and_none_is_asked_for_twice(endpoint, make_questions, options, tmp_path):
    source, out = make_questions(30), tmp_path / "out"
    endpoint.faults = {**FAULTS, "refusal": 0, "timeout": 0, "malformed": 0}
    report = rewrite(source, out, options())
    assert report["accepted"] == 30
    assert set(endpoint.answered.values()) == {1}
    before = (out / "conversations.jsonl").read_bytes()
    asked = len(endpoint.contents)
    rewrite(source, out, options())
    assert len(endpoint.contents) == asked
    assert (out / "conversations.jsonl").read_bytes() == before


def test_another_style_or_seed_is_asked_anew(endpoint, make_questions, options, tmp_path):
    source, out = make_questions(1), tmp_path / "out"
    rewrite(source, out, options())
    rewrite(source, out, options(seed=7))
    other = options()
    write_style(tmp_path / "style.yaml", CARD.model_copy(update={"opens": "先沉默"}))
    rewrite(source, out, other)
    assert len(endpoint.contents) == 3


def test_slots_in_a_prompt_of_ones_own(endpoint, make_questions, options, tmp_path):
    (tmp_path / "own.txt").write_text("{stages}|{single_turn}|{其他}")
    rewrite(make_questions(1), tmp_path / "out", options(prompt=str(tmp_path / "own.txt"), cases=None))
    assert endpoint.contents[0].startswith("1. 建立关系")
    assert endpoint.contents[0].endswith("|{其他}")


def test_tokens_are_estimated_with_all_that_is_sent(make_questions, options):
    source = make_questions(1)
    assert estimate(source, options()).characters > estimate(source, options(prompt="soulchat")).characters


def test_what_a_slot_needs(options):
    with pytest.raises(ValueError, match=r"style is None; allowed with the prompt psydt: a file, for \{st"):
        options(style=None)
    with pytest.raises(ValueError, match=r"cases is None; allowed with the prompt psydt: a file, for \{example\}"):
        options(cases=None)
