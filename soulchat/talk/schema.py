"""What a client may send: the part of OpenAI's chat completion request that is meant here, and nothing else.

Checked against OpenAI's API reference for `POST /v1/chat/completions` as the `openai` package 1.x and 2.x sends it,
and for `top_k` and `repetition_penalty` against vLLM's; `client` is ours. A field whose value asks for nothing is
taken; one that asks for what is not offered is refused, so that no client believes in what it does not get.
"""

import json
from collections.abc import Collection, Iterator
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic_core import from_json

from soulchat_trainer.generation import Decoding
from soulchat_trainer.generation.sampling import MIN_TEMPERATURE
from soulchatcorpus import Message
from soulchatcorpus.clients import read_client
from soulchatcorpus.reading.text import decode

# Values of fields that are not offered here which ask for nothing. null does so in every field: OpenAI's reference
# gives it as the default of most, and clients send it.
ASK_NOTHING: dict[str, tuple[Any, ...]] = {
    "add_generation_prompt": (True,),
    "audio": (),
    "best_of": (1,),
    "chat_template_kwargs": ({},),
    "early_stopping": (False,),
    "echo": (False,),
    "frequency_penalty": (0,),
    "function_call": ("none", "auto"),
    "functions": ([],),
    "ignore_eos": (False,),
    "include_stop_str_in_output": (False,),
    "length_penalty": (1,),
    "logit_bias": ({},),
    "logprobs": (False,),
    "min_p": (0,),
    "min_tokens": (0,),
    "modalities": (["text"], []),
    "parallel_tool_calls": (True, False),
    "prediction": (),
    "presence_penalty": (0,),
    "priority": (0,),
    "prompt_logprobs": (),
    "response_format": ({"type": "text"},),
    "service_tier": ("auto", "default"),
    "skip_special_tokens": (True,),
    "spaces_between_special_tokens": (True,),
    "stop_token_ids": ([],),
    "store": (False,),
    "tool_choice": ("none", "auto"),
    "tools": ([],),
    "top_logprobs": (0,),
    "typical_p": (1,),
    "use_beam_search": (False,),
    "verbosity": ("medium",),
    "web_search_options": (),
}
# The same in a message: what the replies of this server and of others have beside their content.
MESSAGE_ASKS_NOTHING: dict[str, tuple[Any, ...]] = {
    "annotations": ([],),
    "audio": (),
    "function_call": (),
    "refusal": ("",),
    "tool_calls": ([],),
}
# And in a part of text: where a prompt may be kept for later, which is done anyhow.
CACHE = {"type": "ephemeral"}
PART_ASKS_NOTHING: dict[str, tuple[Any, ...]] = {
    "annotations": ([],),
    "cache_control": (CACHE, CACHE | {"ttl": "5m"}, CACHE | {"ttl": "1h"}),
}
STOP_STRINGS, STOP_CHARACTERS = 16, 200
# Where interfaces like this one keep messages, and the words of one.
_TALKS = ("messages", "input", "contents", "requests", "body")
_TEXTS = ("content", "text", "parts", "prompt", "message", "query", "question", "value")
# Who speaks beside users, by the names of such interfaces.
_OTHER_ROLES: dict[str, Literal["system", "assistant"]] = {
    **dict.fromkeys(("system", "developer", "tool", "function"), "system"),
    **dict.fromkeys(("assistant", "model", "bot", "gpt", "ai"), "assistant"),
}


class ChatMessage(BaseModel):
    """One message. A system text (also called developer) may come first. Content in parts of text is joined.

    The thoughts that came with a reply (`reasoning_content` here, `reasoning` elsewhere) may come back with it and are
    left out, as chat templates leave out those of earlier replies.
    """

    model_config = ConfigDict(extra="forbid")

    role: Literal["system", "developer", "user", "assistant"]
    content: str
    name: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _take_what_asks_for_nothing(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        values = _leave_out(values, MESSAGE_ASKS_NOTHING, cls.model_fields)
        # A reply without words has no content.
        return {"content": "", **values} if values.get("role") == "assistant" else values

    @field_validator("content", mode="before")
    @classmethod
    def _join_parts(cls, content: Any) -> Any:
        if not isinstance(content, list):
            return content
        for number, part in enumerate(content, start=1):
            if not isinstance(part, dict) or part.get("type") != "text" or not isinstance(part.get("text"), str):
                raise ValueError(f'part {number} is no text; allowed: {{"type": "text", "text": "…"}}')
            _leave_out(part, PART_ASKS_NOTHING, ("type", "text"))
        return "".join(part["text"] for part in content)

    def plain(self) -> Message:
        """The message with "developer" by its older name."""
        return {"role": "system" if self.role == "developer" else self.role, "content": self.content}


class StreamOptions(BaseModel):
    """Whether the last chunk has the number of tokens."""

    include_usage: bool = False
    include_obfuscation: bool | None = None


class CompletionRequest(BaseModel):
    """The request for a reply, or for `n` of them."""

    model_config = ConfigDict(extra="forbid")

    model: str
    messages: Annotated[list[ChatMessage], Field(min_length=1, max_length=2_000)]
    stream: bool = False
    stream_options: StreamOptions | None = None
    temperature: float | None = None
    top_p: Annotated[float | None, Field(gt=0, le=1)] = None
    top_k: Annotated[int | None, Field(ge=-1)] = None
    repetition_penalty: float | None = None
    reasoning_effort: str | None = None
    max_tokens: Annotated[int | None, Field(ge=1)] = None
    max_completion_tokens: Annotated[int | None, Field(ge=1)] = None
    stop: list[Annotated[str, Field(max_length=STOP_CHARACTERS)]] = Field(default=[], max_length=STOP_STRINGS)
    seed: int | None = None
    n: Annotated[int, Field(ge=1, le=128)] = 1
    # Who asks, and what for: it changes no reply, and is not kept.
    user: str | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    metadata: dict[str, Any] | None = None
    # Ours: what the user states of themselves (`soulchatcorpus.clients`); it stands at the end of the system text.
    client: dict[str, str] | None = None

    @model_validator(mode="before")
    @classmethod
    def _take_what_asks_for_nothing(cls, values: Any) -> Any:
        return _leave_out(values, ASK_NOTHING, cls.model_fields) if isinstance(values, dict) else values

    @field_validator("temperature")
    @classmethod
    def _check_temperature(cls, temperature: float) -> float:
        if temperature != 0 and not MIN_TEMPERATURE <= temperature <= 2:
            raise ValueError(f"it is {temperature}; allowed: 0 (the likeliest token), or {MIN_TEMPERATURE} to 2")
        return temperature

    @field_validator("client", mode="before")
    @classmethod
    def _read_client(cls, client: Any) -> Any:
        return read_client(client)

    @field_validator("reasoning_effort")
    @classmethod
    def _check_effort(cls, effort: str) -> str:
        if effort != "none":
            raise ValueError("it asks for what this server does not offer; allowed: none (reply without thoughts)")
        return effort

    @field_validator("stop", mode="before")
    @classmethod
    def _list_stop_strings(cls, stop: Any) -> Any:
        stop = [stop] if isinstance(stop, str) else stop
        return [text for text in stop if text != ""] if isinstance(stop, list) else stop

    def decoding(self, default: Decoding) -> Decoding:
        """How to draw; what the request does not say is as in `default`. Temperature 0 is greedy, as with OpenAI."""
        limit = self.max_completion_tokens or self.max_tokens
        greedy = self.temperature == 0
        penalty = self.repetition_penalty
        return Decoding(
            top_p=default.top_p if self.top_p is None else self.top_p,
            temperature=default.temperature if self.temperature is None or greedy else self.temperature,
            max_new_tokens=limit or default.max_new_tokens,
            do_sample=default.do_sample and not greedy,
            seed=default.seed if self.seed is None else self.seed,
            thinking=default.thinking if self.reasoning_effort is None else "off",
            top_k=default.top_k if self.top_k is None else max(self.top_k, 0),
            repetition_penalty=default.repetition_penalty if penalty is None else penalty,
        )

    def talk(self) -> list[Message]:
        """The messages as plain dictionaries."""
        return [message.plain() for message in self.messages]


def read_loosely(body: Any) -> list[Message]:
    """The messages in a body that is refused, as far as any can be told, so that their words can be judged.

    Args:
        body: JSON as text or read, in whatever form, that of another interface too; JSON may be cut off, and what is
            none is taken for a user's words.
    """
    if isinstance(body, (str, bytes)):
        text = body if isinstance(body, str) else _decode_loosely(body)
        try:
            body = from_json(text.encode(errors="replace"), allow_partial="trailing-strings")
        except ValueError:
            body = text
    return list(_read_messages(body))


def _decode_loosely(data: bytes) -> str:
    try:
        return decode(data)
    except ValueError:
        return data.decode(errors="replace")


def _read_messages(value: Any) -> Iterator[Message]:
    if isinstance(value, list):
        for part in value:
            yield from _read_messages(part)
    elif isinstance(value, dict):
        talks = [value[name] for name in _TALKS if name in value]
        yield from _read_messages(talks)
        text = _read_text(value)
        if text or not talks:
            yield Message(role=_OTHER_ROLES.get(str(value.get("role")).lower()) or "user", content=text)
    elif isinstance(value, str):
        yield Message(role="user", content=value)


def _read_text(value: Any) -> str:
    if isinstance(value, dict):
        return "\n".join(filter(None, (_read_text(value[name]) for name in _TEXTS if name in value)))
    if isinstance(value, list):
        return "".join(map(_read_text, value))
    return value if isinstance(value, str) else ""


def first_fault(error: ValidationError) -> str:
    """The first thing that is wrong, in one line without the text that was sent."""
    fault = error.errors(include_input=False, include_url=False, include_context=False)[0]
    return describe_fault(fault["loc"], fault["msg"])


def describe_fault(place: tuple[int | str, ...], message: str) -> str:
    """One line of a fault that pydantic found."""
    where, message = ".".join(map(str, place)), message.removeprefix("Value error, ")
    return f"{where}: {message}" if where else message


def _leave_out(
    values: dict[str, Any], ask_nothing: dict[str, tuple[Any, ...]], fields: Collection[str]
) -> dict[str, Any]:
    """The values without null and without what asks for nothing.

    Raises:
        ValueError: a field asks for what is not offered, or is none.
    """
    values = {name: value for name, value in values.items() if value is not None}
    for name, value in values.items():
        if name not in fields and name not in ask_nothing:
            raise ValueError(f"{name[:40]!r} is no field here; allowed: {', '.join(fields)}")
        if name in ask_nothing and value not in ask_nothing[name]:
            allowed = " or ".join(map(json.dumps, (None, *ask_nothing[name])))
            raise ValueError(f"{name} asks for what this server does not offer; allowed: {allowed}")
    return {name: value for name, value in values.items() if name in fields}
