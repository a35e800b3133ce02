"""Talks written in each style."""

from pathlib import Path

import pytest

from soulchat_trainer.encoding.styles import render_with_system, renderer

TALK = [
    {"role": "user", "content": "我睡不着"},
    {"role": "assistant", "content": "多久了？"},
    {"role": "user", "content": "一个月"},
]


def test_styles(tmp_path: Path) -> None:
    assert renderer("soulchat")(TALK) == "用户：我睡不着\n心理咨询师：多久了？\n用户：一个月\n心理咨询师："
    assert renderer("chatglm")(TALK) == "[Round 0]\n问：我睡不着\n答：多久了？\n[Round 1]\n问：一个月\n答："
    assert renderer("chatglm")(TALK[:1]) == "我睡不着"
    mechat = renderer("mechat")(TALK)
    assert mechat.startswith("现在你扮演一位专业的心理咨询师，")
    assert mechat.endswith("对话：\n来访者：我睡不着\n咨询师：多久了？\n来访者：一个月\n咨询师：")
    template = tmp_path / "template.txt"
    template.write_text("请回复。\n{dialogue_history}", encoding="utf-8")
    assert renderer(str(template))(TALK[:1]) == "请回复。\n用户：我睡不着\n心理咨询师："


def test_a_template_without_its_place_and_an_unknown_style_are_refused(tmp_path: Path) -> None:
    template = tmp_path / "template.txt"
    template.write_text("请回复。", encoding="utf-8")
    with pytest.raises(ValueError, match="dialogue_history"):
        renderer(str(template))
    template.write_bytes("{dialogue_history}请回复".encode("gbk"))
    with pytest.raises(ValueError, match=r"template\.txt is no text in UTF-8"):
        renderer(str(template))
    with pytest.raises(ValueError, match="soulchat, chatglm, mechat"):
        renderer("smile")


def test_a_system_text_stands_on_lines_of_its_own() -> None:
    system = {"role": "system", "content": "你是咨询师。\n请倾听。"}
    written = "你是咨询师。\n请倾听。\n用户：我睡不着\n心理咨询师："
    assert render_with_system([system, *TALK[:1]], renderer("soulchat")) == written
    assert render_with_system(TALK[:1], renderer("chatglm")) == "我睡不着"
