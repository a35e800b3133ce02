"""The prompts are the paper's, word for word, and any other by its path."""

import re

import pytest

from soulchatcorpus.making.prompts import load_prompt
from tests.paths import SHARED

PAPER = SHARED / "paper"


def test_the_question_and_its_answer_take_the_place():
    prompt = load_prompt("soulchat")
    assert "【单轮长文本中文心理咨询对话】: 用户：我睡不着\n心理咨询师：别急\n\n请逐步分析" in prompt.render(
        "我睡不着", "别急"
    )
    english = load_prompt("soulchat-en").render("I cannot sleep", "Take your time")
    assert "dialogue]:User: I cannot sleep\nPsychologist: Take your time\n\nPlease gradually" in english


@pytest.mark.parametrize(
    ("name", "start"), [("soulchat", "请扮演一个心理咨询领域"), ("soulchat-en", "Please act as a text")]
)
def test_word_for_word_but_for_the_copy_s_errors(name, start):
    papers = sorted(PAPER.glob("*.txt"))
    if not papers:
        pytest.skip("the paper's text is not here")
    text = papers[0].read_text(encoding="utf-8")
    copy = text[text.index(start) :]
    copy = copy[: copy.index('"}') if name == "soulchat" else copy.index('"\n\nFigure 5')]
    copy = copy.replace("透步分析", "逐步分析").replace("\\n", "\n")
    copy = re.sub(r"""["'+ ]*\s*single_turn\s*["'+ ]*""", "{single_turn}", copy)
    ours = load_prompt(name).text.replace("用户：", "用户:").replace("心理咨询师：", "心理咨询师:")
    assert re.sub(r"\s", "", ours) == re.sub(r"\s", "", copy)


def test_a_version_is_of_the_text():
    assert re.fullmatch(r"soulchat@[0-9a-f]{8}", load_prompt("soulchat").version)
    assert load_prompt("soulchat").version != load_prompt("soulchat-en").version


def test_a_prompt_by_path(tmp_path):
    path = tmp_path / "smile.txt"
    path.write_text("改写：{single_turn}\n")
    prompt = load_prompt(str(path))
    assert prompt.version.startswith("smile@")
    assert prompt.render("问", "答") == "改写：用户：问\n心理咨询师：答"


def test_braces_in_a_question_are_left_alone():
    assert "{single_turn} {x}" in load_prompt("soulchat").render("{single_turn} {x}", "答")


def test_slots_are_filled_at_once_so_that_words_in_them_stay(tmp_path):
    path = tmp_path / "own.txt"
    path.write_text("{style}|{client}|{single_turn}")
    prompt = load_prompt(str(path))
    assert prompt.slots == {"style", "client", "single_turn"}
    rendered = prompt.render("{style}", "答", {"style": "{client}", "client": "甲"})
    assert rendered == "{client}|甲|用户：{style}\n心理咨询师：答"


def test_what_is_no_prompt(tmp_path):
    with pytest.raises(ValueError, match="prompt is 'smile'; allowed: soulchat, soulchat-en, psydt, or a text file"):
        load_prompt("smile")
    (tmp_path / "p.txt").write_text("改写")
    with pytest.raises(ValueError, match=r"allowed: a text with \{single_turn\}"):
        load_prompt(str(tmp_path / "p.txt"))
    (tmp_path / "p.txt").write_text('改写{single_turn} {"role": "user"} {styel}', encoding="utf-8")
    with pytest.raises(ValueError, match=r"p\.txt' has the slot \{styel\}; allowed: \{single_turn\}, \{style\}"):
        load_prompt(str(tmp_path / "p.txt"))
    (tmp_path / "p.txt").write_text("改写{single_turn}", encoding="gbk")
    with pytest.raises(ValueError, match=r"p\.txt'; allowed: a file in UTF-8"):
        load_prompt(str(tmp_path / "p.txt"))
