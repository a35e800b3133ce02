"""What a request may say, and how it is read."""

import pytest
from pydantic import ValidationError

from soulchat.talk.schema import CompletionRequest, first_fault, read_loosely
from soulchat_trainer.generation import Decoding

TALK = [{"role": "user", "content": "你好"}]


def request(**more: object) -> CompletionRequest:
    return CompletionRequest.model_validate({"model": "m", "messages": TALK, **more})


def test_what_is_not_said_is_the_default():
    default = Decoding(top_p=0.5, temperature=0.7, max_new_tokens=9, seed=3)
    assert request().decoding(default) == default


def test_null_is_as_if_it_were_not_said():
    default = Decoding(top_p=0.5, seed=3)
    nothing = request(stop=None, tools=None, stream=None, n=None, top_p=None, temperature=None, top_k=None)
    assert nothing.decoding(default) == default
    assert (nothing.stop, nothing.n, nothing.stream) == ([], 1, False)
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
        ({"top_k": 40, "repetition_penalty": 1.2}, {"top_k": 40, "repetition_penalty": 1.2}),
        ({"top_k": -1}, {"top_k": 0}),
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


def test_no_thoughts_can_be_asked_for_and_a_cache_is_no_other_part():
    assert request(reasoning_effort="none").decoding(Decoding(thinking="keep")).thinking == "off"
    assert request(reasoning_effort=None).decoding(Decoding(thinking="keep")).thinking == "keep"
    part = {"type": "text", "text": "你好", "cache_control": {"type": "ephemeral"}, "annotations": None}
    assert request(messages=[{"role": "user", "content": [part]}]).talk() == TALK


@pytest.mark.parametrize(
    "more",
    [
        {"stop": []},
        {"stop": ""},
        {"stop": [""]},
        {"tools": [], "tool_choice": "auto", "parallel_tool_calls": True},
        {"tools": [], "tool_choice": "none", "functions": [], "function_call": "none"},
        {"response_format": {"type": "text"}},
        {"logit_bias": {}, "logprobs": False, "top_logprobs": 0},
        {"frequency_penalty": 0, "presence_penalty": 0.0, "min_p": 0.0, "top_k": -1, "repetition_penalty": 1.0},
        {"metadata": {"run": "a"}, "user": "u", "safety_identifier": "s", "prompt_cache_key": "p", "store": False},
        {"modalities": ["text"], "service_tier": "auto", "reasoning_effort": "none"},
        {"stream_options": {"include_usage": False}},
        {"verbosity": "medium", "chat_template_kwargs": {}, "add_generation_prompt": True, "priority": 0},
        {"include_stop_str_in_output": False, "spaces_between_special_tokens": True, "early_stopping": False},
    ],
)
def test_a_value_that_asks_for_nothing_changes_nothing(more):
    found = request(**more)
    assert found.decoding(Decoding(seed=3)) == Decoding(seed=3)
    assert (found.stop, found.n, found.talk()) == ([], 1, TALK)


@pytest.mark.parametrize(
    "more",
    [
        {"refusal": None, "annotations": [], "audio": None, "function_call": None, "tool_calls": None},
        {"tool_calls": [], "refusal": "", "provider_specific_fields": None, "name": "SoulChat"},
    ],
)
def test_a_reply_is_taken_back_as_a_message(more):
    said = [*TALK, {"role": "assistant", "content": "我在听。", **more}, *TALK]
    assert request(messages=said).talk() == [*TALK, {"role": "assistant", "content": "我在听。"}, *TALK]
    without = [*TALK, {"role": "assistant", "content": None, **more}, *TALK]
    assert request(messages=without).talk()[1] == {"role": "assistant", "content": ""}


def test_stop_strings_are_one_or_many():
    assert request(stop="用户：").stop == ["用户："]
    assert request(stop=["\n\n", "", "用户："]).stop == ["\n\n", "用户："]


@pytest.mark.parametrize(
    "part",
    [
        {"type": "image_url", "image_url": {"url": "data:秘密"}},
        {"type": "input_audio"},
        {"type": "text", "text": 5},
        {"type": "text"},
        "秘密",
    ],
)
def test_a_part_that_is_no_text_is_told_in_words(part):
    with pytest.raises(ValidationError) as error:
        request(messages=[{"role": "user", "content": [{"type": "text", "text": "你好"}, part]}])
    expected = 'messages.0.content: part 2 is no text; allowed: {"type": "text", "text": "…"}'
    assert first_fault(error.value) == expected


@pytest.mark.parametrize(
    ("more", "where"),
    [
        ({"temperature": 3}, "temperature: it is 3.0; allowed: 0 (the likeliest token), or 0.0001 to 2"),
        ({"temperature": 1e-5}, "temperature: it is 1e-05; allowed: 0 (the likeliest token), or 0.0001 to 2"),
        ({"temperature": float("nan")}, "temperature: it is nan; allowed: "),
        ({"top_p": 0}, "top_p: "),
        ({"max_tokens": 0}, "max_tokens: "),
        ({"top_p": float("nan")}, "top_p: "),
        ({"top_k": -2}, "top_k: "),
        ({"n": 0}, "n: "),
        ({"n": 129}, "n: "),
        ({"stop": "长" * 201}, "stop.0: "),
        ({"stop": ["a"] * 17}, "stop: "),
        ({"stop": 5}, "stop: "),
        ({"tools": [{"type": "function"}]}, "tools asks for what this server does not offer; allowed: null or []"),
        ({"tool_choice": "required"}, 'tool_choice asks for what this server does not offer; allowed: null or "none"'),
        ({"response_format": {"type": "json_object"}}, "response_format asks for what this server does not offer"),
        ({"logprobs": True}, "logprobs asks for what this server does not offer; allowed: null or false"),
        ({"top_logprobs": 5}, "top_logprobs asks"),
        ({"logit_bias": {"50": 100}}, "logit_bias asks"),
        ({"frequency_penalty": 0.5}, "frequency_penalty asks"),
        ({"store": True}, "store asks"),
        ({"audio": {"voice": "x"}}, "audio asks for what this server does not offer; allowed: null"),
        ({"reasoning_effort": "low"}, "reasoning_effort: it asks for what this server does not offer; allowed: none"),
        ({"verbosity": "low"}, 'verbosity asks for what this server does not offer; allowed: null or "medium"'),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": "秘密", "cache": 1}]}]},
            "messages.0.content: 'cache' is no field here; allowed: type, text",
        ),
        ({"temprature": 0}, "'temprature' is no field here; allowed: model, messages, "),
        ({"messages": [{"role": "assistant", "content": None, "tool_calls": [{}]}]}, "messages.0: tool_calls asks"),
        ({"messages": [{"role": "user"}]}, "messages.0.content: "),
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


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('{"content": "a", "more": 1}', ["a"]),
        (b'{"messages": [{"role": "user", "content": "\\u6211"}], "n": -1}', ["我"]),
        ({"messages": [{"content": [{"type": "image"}, {"type": "text", "text": "a"}, 3]}, "b", None]}, ["a", "b"]),
        ("想 死", ["想 死"]),
        (b"\xffa", ["\ufffda"]),
        ('"a"', ["a"]),
        ([{"content": "a"}, {"content": 5}], ["a", ""]),
        ({"messages": 3}, []),
        (None, []),
        ("", [""]),
        ({"messages": "a"}, ["a"]),
        ({"messages": {"role": "user", "content": "a"}}, ["a"]),
        ({"messages": [{"role": "user", "content": ["a", "b"]}]}, ["ab"]),
        ({"messages": [{"role": "user", "content": {"text": "a"}}]}, ["a"]),
        ({"model": "m", "prompt": ["a", "b"]}, ["ab"]),
        ({"input": [{"role": "user", "content": [{"type": "input_text", "text": "a"}]}]}, ["a"]),
        ({"contents": [{"role": "user", "parts": [{"text": "a"}]}]}, ["a"]),
        ({"requests": [{"body": {"messages": [{"role": "user", "content": "a"}]}}]}, ["a"]),
        ('{"messages": [{"role": "user", "content": "\\u6211\\u60f3', ["我想"]),
        ('{"content": "我想"}'.encode("gb18030"), ["我想"]),
        ('{"content": "我想"}'.encode("utf-16"), ["我想"]),
        ("[" * 5_000, ["[" * 5_000]),
    ],
)
def test_what_is_refused_is_read_as_far_as_it_goes(body, said):
    assert [message["content"] for message in read_loosely(body)] == said


def test_of_what_is_refused_only_the_user_speaks():
    talk = [{"role": role, "content": role} for role in ("developer", "tool", "model", "Assistant", "User", "human")]
    talk.append({"content": "of nobody"})
    assert [message["role"] for message in read_loosely({"messages": talk})] == [
        *("system", "system", "assistant", "assistant"),
        *("user", "user", "user"),
    ]
