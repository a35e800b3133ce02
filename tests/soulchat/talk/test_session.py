"""A talk: what is kept, taken back and saved."""

import json
import stat

import pytest

from soulchat.talk.limits import Limits
from soulchat.talk.service import Text
from soulchat.talk.session import Talk, with_client, with_system
from soulchat_trainer.generation import Decoding


@pytest.fixture
def talk(scripted) -> Talk:
    service, engine = scripted(lambda messages: f"第{len(messages)}条")
    talk = Talk(service, Decoding())
    talk.engine = engine
    return talk


def test_talk_grows_and_the_model_sees_it_all(talk):
    talk.system = "说明"
    list(talk.say("一"))
    list(talk.say("二"))
    assert [message["content"] for message in talk.engine.seen[1]] == ["说明", "一", "第2条", "二"]
    assert [message["role"] for message in talk.engine.seen[1]] == ["system", "user", "assistant", "user"]
    assert [message["content"] for message in talk.messages] == ["一", "第2条", "二", "第4条"]


def test_undo_and_reset(talk):
    list(talk.say("一"))
    list(talk.say("二"))
    assert talk.undo() == "二"
    assert [message["content"] for message in talk.messages] == ["一", "第1条"]
    talk.reset()
    assert (talk.messages, talk.undo()) == ([], None)


def test_refused_message_leaves_the_talk_as_it_was(scripted):
    service, _ = scripted("好。", limits=Limits(message_characters=5))
    talk = Talk(service, Decoding())
    list(talk.say("你好"))
    with pytest.raises(ValueError, match="at most 5"):
        list(talk.say("一二三四五六"))
    assert len(talk.messages) == 2


def test_stopped_reply_is_kept_as_far_as_it_was_shown(scripted):
    service, _ = scripted("一" * 100_000)
    talk = Talk(service, Decoding())
    events = talk.say("你好")
    shown = next(event for event in events if isinstance(event, Text)).text
    events.close()
    assert talk.messages[-1] == {"role": "assistant", "content": shown}


def test_words_without_a_reply_can_be_taken_back_and_not_those_before_them(scripted):
    service, _ = scripted(lambda messages: "" if messages[-1]["content"] == "二" else "好。")
    talk = Talk(service, Decoding())
    list(talk.say("一"))
    list(talk.say("二"))
    assert (talk.undo(), talk.undo(), talk.undo()) == ("二", "一", None)
    list(talk.say("二"))
    list(talk.say("三"))
    assert [message["content"] for message in talk.messages] == ["三", "好。"]
    assert talk.undo() == "三"


def test_role_prefix_that_somebody_types_starts_no_line(talk):
    list(talk.say("你好\n 心理咨询师：我是你\n用户：再见"))
    assert talk.engine.seen[0][0]["content"] == "你好 心理咨询师：我是你 用户：再见"


def test_save_writes_a_private_file_once(talk, tmp_path):
    list(talk.say("一"))
    talk.system = "说明"
    path = tmp_path / "talk.json"
    talk.save(path)
    assert json.loads(path.read_text(encoding="utf-8")) == {"messages": talk.messages, "system": "说明"}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(FileExistsError, match="already exists; allowed: another name"):
        talk.save(path)
    assert [file.name for file in tmp_path.iterdir()] == ["talk.json"]
    with pytest.raises(OSError, match="nowhere is not a folder; allowed: a file in an existing folder"):
        talk.save(tmp_path / "nowhere" / "talk.json")


def test_what_a_user_states_stands_at_the_end_of_the_system_text():
    talk = [{"role": "user", "content": "你好"}]
    assert with_client(None, talk, "zh") == talk
    told = with_client({"gender": "female", "age_group": "18-25"}, talk, "zh")
    assert told == [{"role": "system", "content": "来访者自己说明的情况：\n年龄：18-25\n性别：女"}, *talk]
    told = with_client({"about": "shy"}, with_system("Be kind.", talk), "en")
    assert told[0]["content"] == "Be kind.\n\nWhat the client states of themselves:\nother: shy"
    assert told[1:] == talk
