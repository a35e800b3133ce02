"""Profiles: those that ship, the forms of others, and what is refused."""

import csv
import re
from collections import Counter
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from soulchat_trainer.evaluation.simulate.profiles import LEVELS, read_profile, read_profiles
from soulchatcorpus.schema import TOPICS, find_topic

VERA = {
    "Name": "Ann",
    "Age": "41",
    "Pronouns": "she/her",
    "Background": "Baker",
    "Mental Health Context": "Low mood",
    "Communication Style": "Short",
    "Recent Stressors/Risk Factors": "Debt",
    "Disclosure of Suicide Risk": "Low disclosure",
    "Current Suicidal Thoughts and Behaviors": "Passive thoughts",
    "Current Risk Level": "Immediate",
    "Reaction to Chatbot Responses": "Wants to be heard",
    "Sample Prompts": "I am so tired",
}


def test_twenty_four_clients_ship_two_for_each_topic_of_all_ages_with_three_dialects_and_six_risks() -> None:
    profiles = read_profiles("soulchat")
    assert Counter(profile.topic for profile in profiles) == dict.fromkeys(TOPICS, 2)
    assert Counter(profile.gender for profile in profiles) == {"female": 12, "male": 12}
    assert len({profile.dialect for profile in profiles} - {"普通话"}) == 3
    assert min(profile.age for profile in profiles) < 18
    assert max(profile.age for profile in profiles) > 70
    risks = [profile.risk for profile in profiles if profile.risk]
    assert len(risks) == 6
    assert {risk.level for risk in risks} == set(LEVELS)
    assert {risk.disclosure for risk in risks if risk.level == "imminent"} == {"open", "hidden"}
    assert all(len(profile.story) > 30 and profile.hidden and profile.voice and profile.help for profile in profiles)


def test_a_profile_is_described_line_by_line_and_what_is_not_known_is_left_out() -> None:
    profile = read_profile({"id": "a", "story": "失眠。", "age": 20, "gender": "female", "who": "学生。"}, "1")
    assert profile.describe() == "【你是】女，20 岁，学生。\n【发生的事】失眠。"


def test_sage_is_read() -> None:
    row = {
        "id": "s",
        "player": "王",
        "scene": "吵架",
        "task": "想被理解",
        "main_cha": "负面型",
        "cha_group": ["愤怒", "自私"],
    }
    profile = read_profile(row, "1")
    assert (profile.who, profile.story, profile.hidden, profile.voice) == ("王", "吵架", "想被理解", "愤怒、自私")


@pytest.mark.parametrize(
    ("row", "client"),
    [
        ({"story": "失眠"}, None),
        (
            {"story": "失眠", "age": 67, "gender": "male", "who": "司机"},
            {"age_group": "60+", "gender": "male", "about": "司机"},
        ),
        (
            {"story": "失眠", "who": "他", "attributes": {"occupation": "司机", "about": "话少"}},
            {"occupation": "司机", "about": "话少"},
        ),
        (
            {"story": "失眠", "big_five": {"openness": "high", "神经质": "低", "agreeableness": 3, "外向性": "很高"}},
            {"openness": "high", "neuroticism": "low"},
        ),
        (
            {"player": "* 姓名：王\n* 年龄：23岁\n* 性别：女性", "scene": "吵架", "cha_group": ["愤怒"]},
            {"age_group": "18-25", "gender": "female", "about": "愤怒"},
        ),
        (VERA, {"age_group": "36-45", "gender": "she/her", "about": "Baker"}),
    ],
)
def test_what_a_profile_states_of_its_client(row: dict, client: dict | None) -> None:
    assert read_profile(row, "1").client == client


def test_no_attribute_changes_a_talk() -> None:
    plain = read_profile({"id": "a", "story": "失眠"}, "1")
    told = read_profile({"id": "a", "story": "失眠", "attributes": {"gender": "女"}}, "1")
    assert (plain.hash, plain.describe()) == (told.hash, told.describe())
    with pytest.raises(ValueError, match="'courage' is no field of a client"):
        read_profile({"story": "失眠", "attributes": {"courage": "high"}}, "1")


def test_vera_mh_is_read_from_its_table(tmp_path: Path) -> None:
    with (tmp_path / "personas.tsv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, VERA, delimiter="\t")
        writer.writeheader()
        writer.writerow(VERA)
    [profile] = read_profiles(str(tmp_path / "personas.tsv"))
    assert (profile.id, profile.age, profile.story) == ("Ann", 41, "Low mood; Debt")
    assert profile.risk
    assert (profile.risk.level, profile.risk.disclosure) == ("imminent", "hidden")


def test_a_consultation_with_its_traits_as_psydt_takes_them() -> None:
    row = {"id": 7, "normalizedTag": "婚恋", "question": "男友不理我。", "description": "四年了。"}
    as_text = read_profile(row | {"big_five": "开放性：较低，很少谈新的事；神经质：高"}, "1")
    assert (as_text.id, as_text.topic, as_text.story) == ("7", find_topic("婚恋"), "男友不理我。\n四年了。")
    assert (as_text.voice, as_text.attributes) == ("开放性：较低，很少谈新的事；神经质：高", {})
    named = read_profile(row | {"big_five": {"Openness": "高", "责任心": "较低"}}, "1")
    assert (named.voice, named.attributes) == ("开放性：高；尽责性：较低", {"openness": "high"})
    with pytest.raises(ValueError, match="story is empty"):
        read_profile({"big_five": {"openness": "高"}}, "1")
    with pytest.raises(ValueError, match=r"big_five is {'mood': 1}; allowed: a text, or an object of openness"):
        read_profile(row | {"big_five": {"mood": 1}}, "1")


def test_five_traits_become_a_way_to_talk() -> None:
    profile = read_profile({"story": "失眠。", "big_five": {"neuroticism": "高", "外向性": "低"}}, "7")
    assert (profile.id, profile.voice) == ("7", "神经质：高；外向性：低")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ({"id": "a", "who": "学生"}, "profile 1: story is missing"),
        ({"id": "a", "story": " "}, "profile 1: story is empty"),
        ({"id": "a", "story": "失眠", "topic": "天气"}, "topic is '天气'"),
        ({"id": "a", "story": "失眠", "mood": "低"}, "option 'mood' is unknown"),
        (
            {"id": "a", "story": "失眠", "risk": {"level": "grave", "disclosure": "open"}},
            "profile 1: level is 'grave'; allowed: 'none'",
        ),
        (VERA | {"Current Risk Level": "?"}, "Current Risk Level is '?'"),
        ([1], "profile 1 is no JSON object"),
    ],
)
def test_what_is_no_profile_is_told_in_a_line(line: object, message: str, tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_bytes(orjson.dumps(line) + b"\n")
    with pytest.raises(ValueError, match=r"^[^\n]+$") as raised:
        read_profiles(str(tmp_path / "p.jsonl"))
    assert message in str(raised.value)


def test_ids_differ_and_a_file_is_there(tmp_path: Path) -> None:
    (tmp_path / "p.jsonl").write_bytes(2 * (orjson.dumps({"id": "a", "story": "失眠"}) + b"\n"))
    with pytest.raises(ValueError, match="profile 2: id is 'a', which another has"):
        read_profiles(str(tmp_path / "p.jsonl"))
    with pytest.raises(FileNotFoundError, match="profiles is nowhere; allowed: soulchat"):
        read_profiles("nowhere")
    (tmp_path / "empty.jsonl").write_bytes(b"")
    with pytest.raises(ValueError, match=r"empty"):
        read_profiles(str(tmp_path / "empty.jsonl"))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.jsonl", '{"id": "a", "player": "x", "scene": "y", "cha_group": 3}', "cha_group is 3; allowed: a list"),
        (
            "a.jsonl",
            '{"Name": "a", "Background": "x", "Mental Health Context": "y", "Current Risk Level": 1}',
            "Current Risk Level is '1'; allowed: none, low",
        ),
        ("a.jsonl", '{"story": "x", "big_five": {"openness": 3}, "topic": "zzz"}', "topic is 'zzz'; allowed"),
        ("a.jsonl", '{"player": 7, "scene": "y"}', "player is 7; allowed: text"),
        ("a.jsonl", '{"story": "x", "big_five": "开放性：高", "voice": ["慢"]}', r"voice is \['慢'\]; allowed: text"),
        ("a.jsonl", "", r"a\.jsonl: the file is empty; allowed: one JSON object a line"),
        ("a.jsonl", '{"story": "x"', r"broken JSON: .*; allowed: one JSON object a line"),
        ("a.jsonl", '{"who": "学生"}', "story is missing; allowed: a value, as there is no default"),
        ("a.jsonl", '{"id": "", "story": "x"}', "id is ''; allowed: 1 character or more"),
        ("a.jsonl", '{"story": "x", "risk": "high"}', "risk is 'high'; allowed: an object"),
        ("a.tsv", "", r"a\.tsv has the columns none; allowed: those of a profile, with story"),
        (
            "personas_HFO.tsv",
            "Name\tAge\tGender\tHarm imminence\tBackground\nP1\t30\tWoman\tImminent\tShop\n",
            r"has the columns Name, Age, Gender, Harm imminence, Background; allowed: .* VERA-MH's personas\.tsv",
        ),
        ("a.tsv", "Name\n" + "x" * 200_000, "is no table"),
        ("a.csv", 'Name\n"x\ny\n', "is no table"),
    ],
)
def test_values_of_other_kinds_are_one_line(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=message):
        read_profiles(str(tmp_path / name))


NAMES = ("id", "story", "age", "risk", "player", "scene", "task", "cha_group", "big_five", "voice", "question", *VERA)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3) | st.sampled_from(["低", "high", "Low", "²"]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["level", "开放性"]), inner, max_size=2)
    ),
    max_leaves=4,
)


@given(st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=9))
def test_any_object_is_a_profile_or_a_line_that_says_what_is_allowed(row: dict) -> None:
    said = "allowed: it is one"
    try:
        read_profile(row, "1")
    except ValueError as error:
        said = str(error)
    assert re.fullmatch(r"[^\n]*allowed: [^\n]*", said)
