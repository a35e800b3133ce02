"""What a client may send: the part of OpenAI's chat completion request that is meant here, and nothing else.

Checked against OpenAI's API reference for `POST /v1/chat/completions` as the `openai` package 1.x and 2.x sends it.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from soulchat_trainer.generation import Decoding
from soulchatcorpus import Message


class TextPart(BaseModel):
    """A part of a message that is text; images and sounds are refused."""

    model_config = ConfigDict(extra="forbid")

    type: Literal["text"]
    text: str


class ChatMessage(BaseModel):
    """One message. A system text (also called developer) may come first."""

    model_config = ConfigDict(extra="forbid")

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[TextPart]
    name: str | None = None

    def plain(self) -> Message:
        """The message with its content as one string, and "developer" by its older name."""
        content = self.content if isinstance(self.content, str) else "".join(part.text for part in self.content)
        return {"role": "system" if self.role == "developer" else self.role, "content": content}


class StreamOptions(BaseModel):
    """Whether the last chunk has the number of tokens."""

    include_usage: bool = False
    include_obfuscation: bool | None = None


class CompletionRequest(BaseModel):
    """The request for a reply. What cannot be honoured (tools, several choices, stop words, …) is refused."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _leave_out_null(cls, values: Any) -> Any:
        """null is what OpenAI's reference gives as the default of most fields, and what some clients send for them."""
        return (
            {key: value for key, value in values.items() if value is not None} if isinstance(values, dict) else values
        )

    model: str
    messages: Annotated[list[ChatMessage], Field(min_length=1, max_length=2_000)]
    stream: bool = False
    stream_options: StreamOptions | None = None
    temperature: Annotated[float | None, Field(ge=0, le=2)] = None
    top_p: Annotated[float | None, Field(gt=0, le=1)] = None
    max_tokens: Annotated[int | None, Field(ge=1)] = None
    max_completion_tokens: Annotated[int | None, Field(ge=1)] = None
    seed: int | None = None
    n: Literal[1] | None = None
    frequency_penalty: Literal[0] | None = None
    presence_penalty: Literal[0] | None = None
    logprobs: Literal[False] | None = None
    user: str | None = None
    store: Literal[False] | None = None

    def decoding(self, default: Decoding) -> Decoding:
        """How to draw; what the request does not say is as in `default`. Temperature 0 is greedy, as with OpenAI."""
        limit = self.max_completion_tokens or self.max_tokens
        greedy = self.temperature == 0
        return Decoding(
            top_p=default.top_p if self.top_p is None else self.top_p,
            temperature=default.temperature if self.temperature is None or greedy else self.temperature,
            max_new_tokens=limit or default.max_new_tokens,
            do_sample=default.do_sample and not greedy,
            seed=default.seed if self.seed is None else self.seed,
            thinking=default.thinking,
        )

    def talk(self) -> list[Message]:
        """The messages as plain dictionaries."""
        return [message.plain() for message in self.messages]


def first_fault(error: ValidationError) -> str:
    """The first thing that is wrong, in one line without the text that was sent."""
    fault = error.errors(include_input=False, include_url=False)[0]
    where = ".".join(str(part) for part in fault["loc"])
    return f"{where}: {fault['msg']}" if where else fault["msg"]
