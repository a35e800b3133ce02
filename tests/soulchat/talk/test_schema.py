"""What a request may say, and how it is read."""

import pytest
from pydantic import ValidationError

from soulchat.talk.schema import CompletionRequest, first_fault
from soulchat_trainer.generation import Decoding

TALK = [{"role": "user", "content": "你好"}]


def request(**more: object) -> CompletionRequest:
    return CompletionRequest.model_validate({"model": "m", "messages": TALK, **more})


def test_what_is_not_said_is_the_default():
    default = Decoding(top_p=0.5, temperature=0.7, max_new_tokens=9, seed=3)
    assert request().decoding(default) == default


def test_null_is_as_if_it_were_not_said():
    default = Decoding(top_p=0.5, seed=3)
    assert request(stop=None, tools=None, stream=None, n=None, top_p=None).decoding(default) == default
    with pytest.raises(ValidationError, match="messages"):
        request(messages=None)


@pytest.mark.parametrize(
    ("more", "changes"),
    [
        ({"temperature": 0}, {"do_sample": False}),
        ({"temperature": 1.5, "top_p": 1}, {"temperature": 1.5, "top_p": 1}),
        ({"max_tokens": 5}, {"max_new_tokens": 5}),
        ({"max_tokens": 5, "max_completion_tokens": 7}, {"max_new_tokens": 7}),
        ({"seed": 0}, {"seed": 0}),
    ],
)
def test_what_is_said_holds(more, changes):
    found = request(**more).decoding(Decoding(seed=3))
    for name, value in ({"seed": 3} | changes).items():
        assert getattr(found, name) == value


def test_parts_and_the_newer_name_of_a_system_text():
    parts = [{"type": "text", "text": "你"}, {"type": "text", "text": "好"}]
    messages = [{"role": "developer", "content": "短一点"}, {"role": "user", "content": parts}]
    assert request(messages=messages).talk() == [
        {"role": "system", "content": "短一点"},
        {"role": "user", "content": "你好"},
    ]


@pytest.mark.parametrize(
    ("more", "where"),
    [
        ({"temperature": 3}, "temperature: "),
        ({"top_p": 0}, "top_p: "),
        ({"max_tokens": 0}, "max_tokens: "),
        ({"n": 2}, "n: "),
        ({"tools": []}, "tools: "),
        ({"messages": []}, "messages: "),
        ({"messages": [{"role": "user", "content": 5}]}, "messages.0.content"),
        ({"messages": [{"role": "nobody", "content": "秘密"}]}, "messages.0.role: "),
    ],
)
def test_a_fault_names_its_place_and_never_the_text(more, where):
    with pytest.raises(ValidationError) as error:
        request(**more)
    line = first_fault(error.value)
    assert line.startswith(where)
    assert "\n" not in line
    assert "秘密" not in line
