"""The service: what goes in comes out, checked, limited, and stopped when nobody listens."""

import asyncio
import threading
import time

import pytest

from soulchat.talk.care import Care, CareNotice
from soulchat.talk.limits import TALK_CHARACTERS, Limits, OverLimit
from soulchat.talk.service import Done, ReplyService, Text
from soulchat_trainer.generation.engine import Decoding, ReplyEngine, generate_replies
from soulchatcorpus.care import crisis, replies

DECODING = Decoding(max_new_tokens=20)


def user(text: str) -> list[dict]:
    return [{"role": "user", "content": text}]


def text_of(events: list) -> str:
    return "".join(event.text for event in events if isinstance(event, Text))


def test_reply_is_that_of_the_generation(service, small_model):
    messages = user("我最近很焦虑")
    events = list(service.stream(messages, DECODING, key="k"))
    [expected] = generate_replies(*small_model, [messages], ["k"], DECODING)
    assert text_of(events) == expected.text
    assert events[-1].completion_tokens == expected.num_tokens
    assert events[-1].finish_reason == ("stop" if expected.finished else "length")


def test_an_engine_that_cannot_be_made_is_told_at_once(small_model):
    with pytest.raises(ValueError, match="batch"):
        ReplyService(lambda: ReplyEngine(*small_model, max_batch_size=0))


def test_help_lines_come_before_the_reply(scripted):
    service, _ = scripted("我在听。")
    events = list(service.stream(user("我不想活了，想自杀"), DECODING))
    assert isinstance(events[0], CareNotice)
    assert events[0].cause == "message"
    assert "12356" in events[0].text
    assert text_of(events) == "我在听。"


def test_every_message_since_the_last_reply_is_checked(scripted):
    service, _ = scripted("我在听。")
    [said] = user("我不想活了，想自杀")
    [notice] = [event for event in service.stream([said, *user("你在吗")], DECODING) if isinstance(event, CareNotice)]
    assert notice.cause == "message"
    answered = [said, {"role": "assistant", "content": "我在。"}, *user("谢谢")]
    assert not any(isinstance(event, CareNotice) for event in service.stream(answered, DECODING))


def test_reply_that_speaks_of_self_harm_has_help_lines_in_front_of_it(scripted):
    service, _ = scripted("我听到你了。你应该去死，没有人会在乎的。")
    events = list(service.stream(user("我考试没考好"), DECODING))
    position = next(index for index, event in enumerate(events) if isinstance(event, CareNotice))
    assert events[position].cause == "reply"
    assert "死" not in text_of(events[:position])
    assert text_of(events) == "我听到你了。你应该去死，没有人会在乎的。"


def test_without_care_nothing_is_checked_or_held_back(scripted):
    service, _ = scripted("你应该去死。", care=Care(enabled=False))
    events = list(service.stream(user("我想自杀"), DECODING))
    assert [event.text for event in events if isinstance(event, Text)] == ["你应该", "去死。"]
    assert not any(isinstance(event, CareNotice) for event in events)


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        ([], "the last message is not the user's"),
        ([{"role": "assistant", "content": "你好"}], "the last message is not the user's"),
        (user(" \n\t"), "the message is empty"),
        (user("长" * 100_000), "100,000 characters; allowed: at most 4,000"),
        (
            [{"role": "system", "content": "一"}] * 2 + user("你好"),
            "message 2 is a system text; allowed: only as the first",
        ),
        ([{"role": "system", "content": "长" * 40_000}, *user("你好")], "40,000 characters; allowed: at most 32,768"),
        ([{"role": "assistant", "content": "\udfff"}, *user("你好")], "message 1 holds half of a surrogate pair"),
    ],
)
def test_what_cannot_be_answered_is_refused_and_the_service_lives_on(scripted, messages, message):
    service, _ = scripted("好。")
    with pytest.raises(ValueError, match=message):
        list(service.stream(messages, DECODING))
    assert text_of(list(service.stream(user("你好"), DECODING))) == "好。"


def test_prompt_that_the_window_cannot_hold_is_refused(service):
    with pytest.raises(ValueError, match="the last message makes a prompt of"):
        list(service.stream(user("焦虑" * 1_000), DECODING))
    assert list(service.stream(user("你好"), DECODING))


GRAVE = "我不想活了，想自杀。"


@pytest.mark.parametrize(
    ("messages", "settings", "error"),
    [
        (user(GRAVE * 500), {}, ValueError),
        ([*user("一"), {"role": "system", "content": "二"}, *user(GRAVE)], {}, ValueError),
        (user(GRAVE), {"limits": Limits(message_characters=3)}, ValueError),
    ],
)
def test_what_is_refused_brings_the_help_lines_first(scripted, messages, settings, error):
    service, _ = scripted("好。", **settings)
    assert_help_comes_before(service, messages, error)


def test_too_soon_too_many_and_a_fault_bring_the_help_lines_first(scripted):
    service, _ = scripted("好。", limits=Limits(messages_per_minute=1))
    list(service.stream(user("你好"), DECODING))
    assert_help_comes_before(service, user(GRAVE), OverLimit)

    service, _ = scripted("很长的回复" * 1_000_000, limits=Limits(replies_at_once=1))
    first = service.stream(user("你好"), DECODING)
    next(first)
    assert_help_comes_before(service, user(GRAVE), OverLimit)
    first.close()

    service, engine = scripted("好。")
    engine.step = lambda: 1 / 0
    assert_help_comes_before(service, user(GRAVE), RuntimeError)


def test_message_too_long_for_the_window_brings_the_help_lines_first(service):
    assert_help_comes_before(service, user(GRAVE * 300), ValueError)


@pytest.mark.parametrize("place", ["beginning", "end"])
def test_very_long_words_are_judged_at_both_ends_before_they_are_refused(scripted, place):
    """No more than a talk can hold, so that judging them holds up nobody."""
    told, filler = "我不想活了，想自杀。", "今天下雨。" * 70_000
    judged = []
    service, _ = scripted("我在听。", care=Care(model=judged.append))
    messages = user(told + filler if place == "beginning" else filler + told)
    assert_help_comes_before(service, messages, ValueError)
    list(service.stream(user("嗯"), DECODING))
    with pytest.raises(ValueError, match="the message has 350,000 characters"):
        list(service.stream(user(filler), DECODING))
    assert [len(text) for text in judged] == [1, TALK_CHARACTERS + 1]


def assert_help_comes_before(service, messages, error) -> None:
    events = service.stream(messages, DECODING)
    notice = next(events)
    assert isinstance(notice, CareNotice)
    assert "12356" in notice.text
    with pytest.raises(error):
        list(events)


def test_too_fast_and_too_many_are_told(scripted):
    service, _ = scripted("好。", limits=Limits(messages_per_minute=2))
    for _ in range(2):
        list(service.stream(user("你好"), DECODING, client="one"))
    with pytest.raises(OverLimit, match="more than 2 messages a minute"):
        list(service.stream(user("你好"), DECODING, client="one"))
    assert list(service.stream(user("你好"), DECODING, client="another"))

    service, _ = scripted("很长的回复" * 1_000_000, limits=Limits(replies_at_once=1))
    first = service.stream(user("你好"), DECODING)
    next(first)
    with pytest.raises(OverLimit, match="1 replies are being made; allowed: 1 at once"):
        list(service.stream(user("你好"), DECODING))
    first.close()


def test_closing_the_stream_stops_the_generation(scripted):
    service, engine = scripted("很长的回复" * 1_000_000)
    events = service.stream(user("你好"), DECODING)
    next(events)
    events.close()
    wait_until(lambda: engine.cancelled)
    steps = engine.steps
    time.sleep(0.05)
    assert engine.steps == steps
    assert service.open_replies == 0


def test_fault_of_the_model_fails_the_reply_and_not_the_service(scripted):
    service, engine = scripted("好。")
    step = engine.step

    def break_once():
        engine.step = step
        engine.left.clear()
        raise OSError("the device fell off")

    engine.step = break_once
    with pytest.raises(RuntimeError, match="the model failed"):
        list(service.stream(user("你好"), DECODING))
    assert text_of(list(service.stream(user("你好"), DECODING))) == "好。"


def test_many_talks_at_once_are_neither_lost_nor_mixed(service, small_model):
    talks = [user(f"第{number}个人说：我最近很焦虑") for number in range(12)]
    expected = generate_replies(*small_model, talks, [str(n) for n in range(12)], DECODING)
    replies: dict[int, str] = {}

    def ask(number: int) -> None:
        replies[number] = text_of(list(service.stream(talks[number], DECODING, f"client {number}", key=str(number))))

    threads = [threading.Thread(target=ask, args=[number]) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [replies[number] for number in range(12)] == [reply.text for reply in expected]


def test_async_stream_gives_the_same_events(scripted):
    service, _ = scripted("我在听。")

    async def gather():
        return [event async for event in service.astream(user("我想自杀"), DECODING)]

    assert asyncio.run(gather()) == list(service.stream(user("我想自杀"), DECODING))


def test_closed_service_fails_what_is_on_its_way(small_model):
    service = ReplyService(lambda: ReplyEngine(*small_model))
    events = service.stream(user("你好"), Decoding(max_new_tokens=200))
    next(events)
    service.close()
    with pytest.raises(RuntimeError, match="the service is closed"):
        list(events)


def test_done_counts_tokens(scripted):
    service, _ = scripted("三个字三个字")
    assert list(service.stream(user("你好"), DECODING))[-1] == Done("stop", 5, 2)


def wait_until(condition, seconds: float = 5.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.005)


def test_no_first_reply_waits_for_what_the_checks_read(scripted):
    detectors = (crisis._detector, replies._detector)
    for detector in detectors:
        detector.cache_clear()
    scripted("好。", care=Care(enabled=False))
    assert [detector.cache_info().currsize for detector in detectors] == [0, 0]
    scripted("好。")
    assert [detector.cache_info().currsize for detector in detectors] == [1, 1]
