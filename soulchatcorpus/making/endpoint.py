"""One request at a time to an OpenAI-compatible endpoint, within its limits, with every outcome named.

The key comes from the environment (`OPENAI_API_KEY`) only, and is taken out of whatever the endpoint says.
"""

import asyncio
import os
import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Annotated, Any
from urllib.parse import SplitResult, urljoin, urlsplit

import aiohttp
import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ..files import show
from ..schema import Message
from ..thoughts import SWITCHES, Thinking
from .costs import estimate_tokens
from .options import KEY_VARIABLE, OPENAI, check_address, is_loopback

MAX_ATTEMPTS = 8
MAX_BODY_BYTES = 1 << 23  # of a response; even the longest conversations take only about ten thousand
_MAX_REDIRECTS = 5
_DETAIL_CHARACTERS, _RAW_CHARACTERS = 1_000, 100_000
_FIRST_DELAY, _LONGEST_DELAY = 0.5, 60.0  # seconds


class EndpointError(ValueError):
    """The endpoint cannot be used: unreachable, a wrong key, no credit, an unknown model. Repeating would not help."""


@dataclass(slots=True, frozen=True)
class Completion:
    """An answer of the endpoint; `aside` is what a reasoning model has said in a field of its own."""

    text: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    aside: str = ""


@dataclass(slots=True, frozen=True)
class Failure:
    """A request without an answer.

    Attributes:
        reason: "http_429", "http_500", "timeout", "connection", "malformed" or "bad_request".
        again: whether repeating it can help.
        wait: seconds that the endpoint asked to wait (Retry-After), or None.
        detail: the endpoint's message about a request that it refuses, such as that it exceeds the model's window; for
            a malformed response, what is wrong with it.
        raw: the text of a malformed response, which may have been charged.
    """

    reason: str
    again: bool
    wait: float | None = None
    detail: str | None = None
    raw: str | None = None


# Where servers put a reasoning model's thoughts.
_ASIDES = ("reasoning_content", "reasoning")
# Fields of a request that a server may not know; it is asked without them where it refuses them.
_EXTRAS = ("response_format", "chat_template_kwargs")
_Tokens = Annotated[int, Field(ge=0, le=1 << 31)]


class _Checked(BaseModel):
    model_config = ConfigDict(strict=True)


class _Usage(_Checked):
    prompt_tokens: _Tokens
    completion_tokens: _Tokens


class _Message(_Checked):
    content: str
    aside: str = ""
    is_refusal: bool = False

    @model_validator(mode="before")
    @classmethod
    def _read_fields(cls, given: Any) -> Any:
        """With structured output a refusal has a field of its own; so have thoughts, of which content may be null.

        Mistral's content is a list of parts where its model thinks: {"type": "thinking", "thinking": [texts]}, texts.
        """
        if not isinstance(given, dict):
            return given
        content, refusal = given.get("content"), given.get("refusal")
        if content is None and isinstance(refusal, str):
            return {"content": refusal, "is_refusal": True}
        if isinstance(content, list):
            text, thoughts = _texts(content), "".join(_texts(part.get("thinking")) for part in _parts(content))
            return {"content": text, "aside": thoughts} if text or thoughts else given
        asides = [given[name] for name in _ASIDES if isinstance(given.get(name), str)]
        aside = next((text for text in asides if text.strip()), "")
        return {"content": "" if content is None and asides else content, "aside": aside}


def _parts(content: Any) -> list[dict[str, Any]]:
    return [part for part in content if isinstance(part, dict)] if isinstance(content, list) else []


def _texts(content: Any) -> str:
    """The texts among the parts of a content."""
    return "".join(part["text"] for part in _parts(content) if isinstance(part.get("text"), str))


class _Choice(_Checked):
    message: _Message
    finish_reason: Annotated[str, Field(max_length=100)] | None = None


class _Answer(_Checked):
    """The fields of a response that are read; any others are ignored."""

    choices: Annotated[list[_Choice], Field(min_length=1)]
    usage: _Usage | None = None


class Pace:
    """Spreads requests so that neither limit a minute, of `requests` or of `tokens`, is exceeded; 0 means no limit."""

    def __init__(self, requests: int = 0, tokens: int = 0) -> None:
        self._limits = (requests, tokens)
        self._free = [0.0, 0.0]  # when the next request and the next token may be sent

    async def wait(self, tokens: int) -> None:
        """Wait for the turn of a request that will take about `tokens` tokens, both ways."""
        start = now = time.monotonic()
        for place, (limit, amount) in enumerate(zip(self._limits, (1, tokens), strict=True)):
            if limit:
                start = max(start, self._free[place])
                self._free[place] = max(now, self._free[place]) + 60.0 * amount / limit
        if start > now:
            await asyncio.sleep(start - now)


class Endpoint:
    """An OpenAI-compatible chat endpoint; use as an asynchronous context manager."""

    def __init__(self, base_url: str, timeout: float = 120.0, max_tokens: int | None = None) -> None:
        check_address(base_url)
        self.base_url = base_url
        self._key = os.environ.get(KEY_VARIABLE, "").strip()
        if not (self._key.isascii() and self._key.isprintable()):
            raise EndpointError(
                f"{KEY_VARIABLE} has characters that no key has; allowed: letters, digits, punctuation"
            )
        if not self._key and not is_loopback(base_url):
            raise EndpointError(
                f"no key for {urlsplit(base_url).hostname}: set the environment variable {KEY_VARIABLE}"
            )
        self._timeout = timeout
        self.takes_extras = True
        self._options: dict[str, Any] = {"max_tokens": max_tokens} if max_tokens else {}

    async def __aenter__(self) -> "Endpoint":
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        # Requests to this machine bypass any proxy in the environment, so that they never leave it.
        self._session = aiohttp.ClientSession(
            headers=headers,
            # A connection for each request: what a server sends behind an answer is not the next question's.
            connector=aiohttp.TCPConnector(limit=0, force_close=True),
            timeout=aiohttp.ClientTimeout(total=None),
            trust_env=not is_loopback(self.base_url),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def complete(
        self, messages: Sequence[Message], model: str, settings: Mapping[str, Any] = {}
    ) -> Completion | Failure:
        """One attempt, given up after `timeout` even while data are arriving.

        Args:
            settings: more fields of the request, such as temperature and seed. A response_format and
                chat_template_kwargs are left out where the endpoint refuses them (`takes_extras`).

        Raises:
            EndpointError: a wrong key, an unknown model, no credit, or a redirect to elsewhere.
        """
        request = {"model": model, "messages": messages, **self._options, **settings}
        plain = {name: value for name, value in request.items() if name not in _EXTRAS}
        if not self.takes_extras:
            request = plain
        try:
            async with asyncio.timeout(self._timeout):
                status, headers, body = await self._post(orjson.dumps(request))
                if status in (400, 422) and len(plain) < len(request):
                    status, headers, body = await self._post(orjson.dumps(plain))
                    self.takes_extras = not 200 <= status < 300
        except TimeoutError:
            return Failure("timeout", again=True)
        except aiohttp.ClientResponseError as error:  # the server does not speak HTTP
            problem = f"no HTTP: {' '.join(error.message.split())}"[:_DETAIL_CHARACTERS]
            return Failure("malformed", again=True, detail=problem, raw="")
        except _BrokenBody as broken:
            return Failure("malformed", again=True, detail=broken.problem, raw=self._raw(broken.read))
        except (aiohttp.ClientError, OSError):
            return Failure("connection", again=True)
        if 200 <= status < 300:
            return self._read(body, messages)
        return self._explain(status, headers, body, model)

    async def _post(self, request: bytes) -> tuple[int, Mapping[str, str], bytes]:
        """Status, headers and body of the answer, after redirects that stay where they are."""
        url = f"{self.base_url.rstrip('/')}/chat/completions"
        for _ in range(_MAX_REDIRECTS):
            async with self._session.post(
                url, data=request, headers={"Content-Type": "application/json"}, allow_redirects=False
            ) as response:
                if response.status not in (301, 302, 303, 307, 308):
                    return response.status, response.headers, await _read_body(response.content)
                told = response.headers.get("Location", "")
            if not _is_same_origin(url, told):
                raise EndpointError(
                    f"{self.base_url} redirects to {show(told)}; allowed: an address that answers itself, "
                    "stopped with nothing sent there"
                )
            url = urljoin(url, told)
        raise EndpointError(f"{self.base_url} redirects in a loop; stopped")

    def _read(self, body: bytes, messages: Sequence[Message]) -> Completion | Failure:
        """The completion in the body of an answer, or what is wrong with it."""
        raw = self._raw(body)
        try:
            answer = _Answer.model_validate(orjson.loads(body))
        except orjson.JSONDecodeError as error:
            problem = f"longer than {MAX_BODY_BYTES:,} bytes" if len(body) > MAX_BODY_BYTES else f"no JSON: {error}"
            return Failure("malformed", again=True, detail=problem, raw=raw)
        except ValidationError as error:
            first = error.errors(include_input=False)[0]
            place = ".".join(map(str, first["loc"])) or "answer"
            return Failure("malformed", again=True, detail=f"{place}: {first['msg']}", raw=raw)
        choice, usage = answer.choices[0], answer.usage
        text = self._redact(choice.message.content)
        if usage is None:  # the endpoint reports no usage; without an estimate the cost would count as zero
            sent = "".join(message["content"] for message in messages)
            usage = _Usage(prompt_tokens=estimate_tokens(sent), completion_tokens=estimate_tokens(text))
        finish_reason = "content_filter" if choice.message.is_refusal else choice.finish_reason or "stop"
        aside = self._redact(choice.message.aside)
        return Completion(text, finish_reason, usage.prompt_tokens, usage.completion_tokens, aside)

    def _explain(self, status: int, headers: Mapping[str, str], body: bytes, model: str) -> Failure:
        """What an error response means."""
        if status in (401, 403):
            raise EndpointError(f"{self.base_url} rejects the key in {KEY_VARIABLE}; stopped, and nothing was retried")
        if status == 404:
            raise EndpointError(f"{self.base_url} has no model {model!r}, or no chat completions; stopped")
        if status == 402:  # no credit is left: every other request would be refused as well
            raise EndpointError(f"{self.base_url} reports that the account has no credit (HTTP 402); stopped")
        wait = _retry_after(headers)
        if status in (408, 409, 429) or status >= 500:
            return Failure(f"http_{status}", True, wait)
        said = self._redact(body.decode(errors="backslashreplace"))
        return Failure("bad_request", False, wait, f"HTTP {status}: {said}"[:_DETAIL_CHARACTERS])

    def _raw(self, body: bytes) -> str:
        return self._redact(body.decode(errors="backslashreplace"))[:_RAW_CHARACTERS]

    def _redact(self, text: str) -> str:
        return text.replace(self._key, "[key]") if self._key else text


class _BrokenBody(Exception):
    """An answer, which may have been charged, that ends before its end or cannot be unpacked."""

    def __init__(self, problem: str, read: bytes) -> None:
        super().__init__(problem)
        self.problem, self.read = problem, read


def switch_of(base_url: str, thinking: Thinking | None) -> dict[str, Any]:
    """The field of a request that says whether to think, as vLLM, SGLang and llama.cpp's server take it.

    Empty for None, which leaves that to the model, and for OpenAI, which refuses fields that it does not know.
    """
    if thinking is None or urlsplit(base_url).hostname == urlsplit(OPENAI).hostname:
        return {}
    return {"chat_template_kwargs": SWITCHES[thinking]}


async def _read_body(stream: aiohttp.StreamReader) -> bytes:
    """The body, cut one byte after the allowed length."""
    body = bytearray()
    try:
        while len(body) <= MAX_BODY_BYTES and (block := await stream.read(MAX_BODY_BYTES + 1 - len(body))):
            body += block
    except aiohttp.ClientPayloadError as error:
        raise _BrokenBody(f"a broken body: {error}"[:_DETAIL_CHARACTERS], bytes(body)) from error
    return bytes(body)


def _is_same_origin(url: str, location: str) -> bool:
    try:
        return _origin(urlsplit(urljoin(url, location))) == _origin(urlsplit(url))
    except ValueError:  # no address
        return False


def _origin(address: SplitResult) -> tuple[str, str | None, int | None]:
    return address.scheme, address.hostname, address.port or {"http": 80, "https": 443}.get(address.scheme)


def delay(attempt: int, failure: Failure) -> float:
    """Seconds before the next attempt: what the endpoint asks for, else doubling from half a second, with jitter."""
    if failure.wait is not None:
        return min(failure.wait, 10 * _LONGEST_DELAY)
    return min(_FIRST_DELAY * 2.0 ** (attempt - 1), _LONGEST_DELAY) * random.uniform(0.75, 1.0)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait: the header's number, or the time until its date; None where it is absent or neither."""
    value = headers.get("retry-after-ms") or headers.get("retry-after") or ""
    try:
        seconds = float(value) / (1000.0 if headers.get("retry-after-ms") else 1.0)
    except ValueError:
        try:
            return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
        except ValueError:
            return None
    return seconds if seconds >= 0 else None
