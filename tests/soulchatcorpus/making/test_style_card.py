"""Style cards: written and read again, whole or refused, and the system text that they make."""

import re

import orjson
import pytest

from soulchatcorpus.making.style_card import StyleCard, load_style, with_style, write_style

PARTS = {
    "opens": "先问今天怎么来的",
    "asks": "一次一个开放式问题",
    "reflects": "用来访者自己的词",
    "closes": "约定下一次",
    "expressions": ["嗯，我在听", "慢慢说"],
    "therapy": "认知行为疗法",
    "stages": ["建立关系", "找出想法", "布置练习"],
}
CARD = StyleCard(counsellor="lin", characters=20, **PARTS)


@pytest.mark.parametrize("part", [*PARTS, "counsellor", "characters"])
def test_a_card_without_a_part(tmp_path, part):
    path = tmp_path / "style.yaml"
    write_style(path, CARD)
    assert load_style(path) == CARD
    fields = CARD.model_dump()
    del fields[part]
    path.write_bytes(orjson.dumps(fields))  # JSON is YAML
    with pytest.raises(ValueError, match=rf"style .*style\.yaml: {part} is missing"):
        load_style(path)


@pytest.mark.parametrize(
    ("part", "value", "told"),
    [
        ("asks", "", "asks is ''; allowed: 1 character or more"),
        ("asks", " \n", "asks is ' \\n'; allowed: 1 character or more"),
        ("stages", [], "stages is []; allowed: 1 item or more"),
        ("stages", ["建立关系", "  "], "stages holds '  '; allowed: 1 character or more"),
        ("expressions", [""], "expressions holds ''; allowed: 1 character or more"),
        ("expressions", "嗯", "expressions is '嗯'; allowed: a valid list"),
        ("characters", 0, "characters is 0; allowed: 1 or more"),
        ("characters", True, "characters is True; allowed: a valid integer"),
        ("opens", 3, "opens is 3; allowed: a valid string"),
        ("tone", "warm", "option 'tone' is unknown; allowed: counsellor, opens, asks"),
    ],
)
def test_what_a_part_may_not_be(tmp_path, part, value, told):
    (tmp_path / "style.yaml").write_bytes(orjson.dumps(CARD.model_dump() | {part: value}))
    with pytest.raises(ValueError, match=re.escape(told)):
        load_style(tmp_path / "style.yaml")


def test_line_breaks_around_a_part_are_none_of_it(tmp_path):
    (tmp_path / "style.yaml").write_bytes(orjson.dumps(CARD.model_dump() | {"asks": "一次一个开放式问题\n"}))
    assert load_style(tmp_path / "style.yaml") == CARD


def test_a_file_that_is_no_card(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"style is .*none\.yaml; allowed: a YAML file that is there"):
        load_style(tmp_path / "none.yaml")
    (tmp_path / "s.yaml").write_text("- 一\n")
    with pytest.raises(ValueError, match="it is no mapping; allowed: counsellor, opens"):
        load_style(tmp_path / "s.yaml")


def test_the_system_text_stands_first():
    talk = [{"role": "user", "content": "你好"}]
    system, *rest = with_style(CARD, talk)
    assert rest == talk
    assert system["role"] == "system"
    assert system["content"].startswith("你是一位心理咨询师")
    assert "每次约 20 字" in system["content"]
    assert system["content"].endswith("1. 建立关系\n2. 找出想法\n3. 布置练习")
