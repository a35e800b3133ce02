"""The slash commands."""

import re

import pytest

from soulchat.talk.commands import HELP, change_decoding, obey
from soulchat.talk.session import Talk
from soulchat_trainer.generation import Decoding


@pytest.fixture
def talk(scripted) -> Talk:
    service, _ = scripted("好。")
    return Talk(service, Decoding())


def test_words_are_said(talk):
    assert obey(talk, "你好").say == "你好"
    assert obey(talk, "//help 是什么").say == "/help 是什么"


def test_retry_says_the_last_words_again(talk):
    assert obey(talk, "/retry").answer == "Nothing to retry yet."
    list(talk.say("你好"))
    assert obey(talk, "/retry").say == "你好"
    assert talk.messages == []


def test_undo_reset_system_exit_help(talk):
    list(talk.say("你好"))
    assert obey(talk, "/undo").answer == "Taken back: 你好"
    assert obey(talk, "/undo").answer == "Nothing to take back."
    assert obey(talk, "/reset").answer == "New conversation."
    assert obey(talk, "/system 你是倾听者").answer == "System prompt: 你是倾听者"
    assert obey(talk, "/system -").answer == "No system prompt."
    assert obey(talk, "/exit").leave
    assert "/retry            another reply" in obey(talk, "/help").answer


def test_answers_in_chinese(talk):
    assert "/retry            对您上一句话再回复一次" in obey(talk, "/help", "zh").answer
    assert re.findall("^/[a-z]+", HELP["zh"], re.MULTILINE) == re.findall("^/[a-z]+", HELP["en"], re.MULTILINE)
    assert obey(talk, "/undo", "zh").answer == "没有可以撤回的话。"
    assert obey(talk, "/system 你是倾听者", "zh").answer == "系统提示词：你是倾听者"


def test_params_change_how_replies_are_drawn(talk):
    defaults = "top_p=0.75 temperature=0.95 max_new_tokens=512 do_sample=true seed=0 top_k=0 repetition_penalty=1.0"
    defaults += " thinking=off"
    assert obey(talk, "/params").answer == defaults
    obey(talk, "/params temperature=0.7 do_sample=false seed=3")
    assert talk.decoding == Decoding(temperature=0.7, do_sample=False, seed=3)
    assert change_decoding(Decoding(), "do_sample=False") == Decoding(do_sample=False)  # as a refusal writes it


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("temperature", "'temperature' is not a setting; allowed: name=value with top_p"),
        ("beams=3", "'beams=3' is not a setting"),
        ("temperature=hot", "temperature is 'hot'; allowed: a number"),
        ("do_sample=maybe", "do_sample is 'maybe'; allowed: true, false"),
        ("top_p=2", "top_p is 2.0; allowed: 1e-37 to 1"),
    ],
)
def test_wrong_params_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        change_decoding(Decoding(), settings)


def test_save(talk, tmp_path):
    obey(talk, f"/save {tmp_path}/talk.json")
    assert (tmp_path / "talk.json").is_file()
    with pytest.raises(ValueError, match="/save has no file name"):
        obey(talk, "/save")


def test_unknown_command(talk):
    with pytest.raises(ValueError, match="/quit is not a command; allowed: /retry"):
        obey(talk, "/quit")
