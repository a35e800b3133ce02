"""One request at a time to an OpenAI-compatible endpoint, within its limits, with every outcome named.

The key comes from the environment (`OPENAI_API_KEY`) only, and is taken out of whatever the endpoint says.
"""

import asyncio
import os
import random
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from json import JSONDecodeError
from typing import Any
from urllib.parse import urlsplit

import openai
from openai.types.chat import ChatCompletion

from .options import KEY_VARIABLE, check_address, is_loopback

MAX_ATTEMPTS = 8
_DETAIL_CHARACTERS = 1_000
_FIRST_DELAY, _LONGEST_DELAY = 0.5, 60.0  # seconds


class EndpointError(ValueError):
    """The endpoint cannot be used: unreachable, a wrong key, no credit, an unknown model. Repeating would not help."""


@dataclass(slots=True, frozen=True)
class Completion:
    """An answer of the endpoint."""

    text: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int


@dataclass(slots=True, frozen=True)
class Failure:
    """A request without an answer.

    Attributes:
        reason: "http_429", "http_500", "timeout", "connection", "malformed" or "bad_request".
        again: whether repeating it can help.
        wait: seconds that the endpoint asked to wait (Retry-After), or None.
        detail: what the endpoint says of a request that it refuses, e.g. that it is longer than the model's window.
    """

    reason: str
    again: bool
    wait: float | None = None
    detail: str | None = None


class Pace:
    """Spreads requests so that neither `requests` nor `tokens` a minute are passed; 0 is no limit."""

    def __init__(self, requests: int = 0, tokens: int = 0) -> None:
        self._limits = (requests, tokens)
        self._free = [0.0, 0.0]  # when the next request, the next token may go

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
            raise EndpointError(f"{KEY_VARIABLE} holds characters that no key has; set it again")
        if not self._key and not is_loopback(base_url):
            raise EndpointError(
                f"no key for {urlsplit(base_url).hostname}: set the environment variable {KEY_VARIABLE}"
            )
        self._timeout = timeout
        self._options: dict[str, Any] = {"max_tokens": max_tokens} if max_tokens else {}

    async def __aenter__(self) -> "Endpoint":
        self._client = openai.AsyncOpenAI(
            base_url=self.base_url,
            api_key=self._key or "none",
            timeout=self._timeout,
            max_retries=0,  # every attempt is a row of the ledger, so the repeating is ours
            # What is for this machine goes through no proxy that the environment names, and so does not leave it.
            http_client=openai.DefaultAioHttpClient(timeout=self._timeout, trust_env=not is_loopback(self.base_url)),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()

    async def complete(self, content: str, model: str) -> Completion | Failure:
        """One attempt, with `content` as the user's only message.

        Raises:
            EndpointError: a wrong key, an unknown model, or no credit.
        """
        started = time.monotonic()
        try:
            # What `chat.completions.create` sends, less its pass over the types of all parameters: a fifth of its CPU.
            answer = await self._client.post(
                "/chat/completions",
                body={"model": model, "messages": [{"role": "user", "content": content}], **self._options},
                cast_to=ChatCompletion,
            )
            choice = answer.choices[0]
            text = choice.message.content
            usage = answer.usage
        except (openai.AuthenticationError, openai.PermissionDeniedError):
            message = f"{self.base_url} refuses the key (in {KEY_VARIABLE}); stopped, nothing was repeated"
            raise EndpointError(message) from None
        except openai.NotFoundError:
            raise EndpointError(f"{self.base_url} knows no model {model!r} (or no chat there); stopped") from None
        except openai.APITimeoutError:
            # The aiohttp transport reports a connection that was cut as a timeout, too; it comes early.
            timed_out = time.monotonic() - started >= 0.9 * self._timeout
            return Failure("timeout" if timed_out else "connection", again=True)
        except openai.APIStatusError as error:
            code = error.status_code
            if code == 402:  # no credit is left: every other request would be refused as well
                raise EndpointError(f"{self.base_url} wants to be paid first (HTTP 402); stopped") from None
            again = code in (408, 409, 429) or code >= 500
            wait = _retry_after(error.response.headers)
            if again:
                return Failure(f"http_{code}", again, wait)
            return Failure("bad_request", again, wait, self._redact(error.message)[:_DETAIL_CHARACTERS])
        except openai.APIConnectionError:
            return Failure("connection", again=True)
        except (JSONDecodeError, openai.APIResponseValidationError, AttributeError, IndexError, TypeError):
            return Failure("malformed", again=True)  # JSON, but not what an endpoint answers with; or no JSON
        if not isinstance(text, str):
            return Failure("malformed", again=True)
        tokens = (usage.prompt_tokens, usage.completion_tokens) if usage else (0, 0)
        return Completion(self._redact(text), choice.finish_reason or "stop", *tokens)

    def _redact(self, text: str) -> str:
        return text.replace(self._key, "[key]") if self._key else text


def delay(attempt: int, failure: Failure) -> float:
    """Seconds before the next attempt: what the endpoint asks for, else doubling from half a second, with jitter."""
    if failure.wait is not None:
        return min(failure.wait, 10 * _LONGEST_DELAY)
    return min(_FIRST_DELAY * 2.0 ** (attempt - 1), _LONGEST_DELAY) * random.uniform(0.75, 1.0)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds from now: the header's number, or how far off its date is. None where it is absent or neither."""
    value = headers.get("retry-after-ms") or headers.get("retry-after") or ""
    try:
        seconds = float(value) / (1000.0 if headers.get("retry-after-ms") else 1.0)
    except ValueError:
        try:
            return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
        except ValueError:
            return None
    return seconds if seconds >= 0 else None
