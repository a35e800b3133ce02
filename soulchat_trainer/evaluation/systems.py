"""What can be benchmarked: a model, the same model untrained, an endpoint, the retrieval baseline.

`open_system` turns the value of `--model` into one of these:

    outputs/demo, Qwen/Qwen3-0.6B    a model of transformers: a folder (a PEFT adapter's, too) or a Hub repository
    untrained:outputs/demo           that model's architecture with random weights
    openai:gpt-4o-mini               a model behind an OpenAI-compatible endpoint
    retrieval                        the reply of the nearest training prompt
"""

import asyncio
import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any, Protocol

from transformers import AutoModelForCausalLM, set_seed
from transformers.utils import logging

from soulchatcorpus import Message
from soulchatcorpus.making.endpoint import Completion, Endpoint, EndpointError, Failure, delay, switch_of
from soulchatcorpus.making.options import OPENAI
from soulchatcorpus.making.requests import MALFORMED_ATTEMPTS
from soulchatcorpus.thoughts import Thinking, all_written, split_thoughts
from soulchatcorpus.turns import Turn

from ..encoding.prompts import prompt_encoder
from ..encoding.styles import render_with_system, renderer
from ..generation.engine import Reply, iterate_replies
from ..generation.sampling import Decoding, endpoint_fields
from ..loading import load_model, model_revision
from .perplexity import HeldOutLoss, held_out_loss
from .retrieval import retrieval_baseline
from .seen import find_openings

logger = logging.get_logger(__name__)

UNTRAINED, ENDPOINT, RETRIEVAL = "untrained:", "openai:", "retrieval"
TIMEOUT = 120.0  # seconds for one request
ERROR_CHARACTERS = 300  # of an endpoint's error message


class Answering(Protocol):
    """Answers prompts. `kind` is model, baseline or endpoint; `revision` distinguishes versions of one name."""

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def revision(self) -> str | None: ...
    @property
    def dtype(self) -> str | None: ...
    @property
    def openings_file(self) -> Path | None: ...

    def answer(self, turns: Sequence[Turn], decoding: Decoding, batch_size: int) -> Iterator[tuple[str, Reply]]:
        """Yield (turn id, reply) as replies are done."""
        ...

    def loss(self, turns: Sequence[Turn]) -> HeldOutLoss | None:
        """Loss on the references; None where a system has none."""
        ...


class ModelSystem:
    """A model of transformers."""

    kind = "model"

    def __init__(
        self, spec: str, prompt: str | None, device: str, dtype: str, seed: int, tokenizer: str | None = None
    ) -> None:
        name = spec.removeprefix(UNTRAINED)
        self.model, self.tokenizer = load_model(name, device, dtype, tokenizer)
        self.revision, self.openings_file = model_revision(name), find_openings(name)
        if spec.startswith(UNTRAINED):
            set_seed(seed)
            untrained = AutoModelForCausalLM.from_config(
                self.model.config, dtype=self.model.dtype, trust_remote_code=False
            )
            self.model, self.openings_file = untrained.to(self.model.device).eval(), None
        # Results are published, so they name a folder without its path on this machine.
        self.name = spec.removesuffix(name) + Path(name).resolve().name if Path(name).is_dir() else spec
        self.dtype = str(self.model.dtype).removeprefix("torch.")
        self.render = renderer(prompt) if prompt else None

    def answer(self, turns: Sequence[Turn], decoding: Decoding, batch_size: int) -> Iterator[tuple[str, Reply]]:
        talks, ids = [turn.context for turn in turns], [turn.id for turn in turns]
        encode = prompt_encoder(self.tokenizer, self.render, decoding.thinking)
        replies = iterate_replies(self.model, self.tokenizer, talks, ids, decoding, batch_size, encode=encode)
        return ((ids[index], reply) for index, reply in replies)

    def loss(self, turns: Sequence[Turn]) -> HeldOutLoss | None:
        talks, references = [turn.context for turn in turns], [turn.completion for turn in turns]
        return held_out_loss(self.model, self.tokenizer, talks, references, self.render)


class EndpointSystem:
    """A model behind an OpenAI-compatible endpoint, `batch_size` requests at a time.

    What may pass (429, 5xx, timeouts, lost connections) is asked again, and so is what is no completion. The key is
    that of OPENAI_API_KEY; a server on this machine, such as `soulchat serve`, needs none.

    Whether a model is to think is asked in `chat_template_kwargs`, as vLLM, SGLang and llama.cpp's server take it, of
    every server but OpenAI's own, which refuses fields that it does not know. One that answers only without the field
    is asked without it from then on.
    """

    kind, dtype, revision, openings_file = "endpoint", None, None, None
    attempts = 6

    def __init__(self, spec: str, prompt: str | None, base_url: str | None) -> None:
        self.name = spec.removeprefix(ENDPOINT)
        self.base_url = base_url or os.environ.get("OPENAI_BASE_URL") or OPENAI
        self.render: Callable[[Sequence[Message]], str] | None = renderer(prompt) if prompt else None
        try:
            Endpoint(self.base_url)
        except ValueError as error:
            raise ValueError(f"no endpoint for {spec}: {error}") from None
        self.takes_switch = bool(switch_of(self.base_url, "off"))

    def answer(self, turns: Sequence[Turn], decoding: Decoding, batch_size: int) -> Iterator[tuple[str, Reply]]:
        waiting = iter(turns)
        with ThreadPoolExecutor(batch_size) as pool:
            while batch := list(itertools.islice(waiting, 4 * batch_size)):
                tasks = {pool.submit(self._ask, turn, decoding): turn.id for turn in batch}
                failure: EndpointError | None = None
                for task in as_completed(tasks):
                    try:
                        yield tasks[task], task.result()
                    except CancelledError:
                        continue
                    except EndpointError as error:
                        failure = error
                        for other in tasks:
                            other.cancel()
                if failure is not None:
                    raise ConnectionError(
                        f"{self.name}: {failure}; the replies so far are kept: the same command goes on from there"
                    )

    def loss(self, turns: Sequence[Turn]) -> None:
        return None

    def _ask(self, turn: Turn, decoding: Decoding) -> Reply:
        messages: Sequence[Message] = turn.context
        if self.render:
            messages = [Message(role="user", content=render_with_system(messages, self.render))]
        settings = endpoint_fields(decoding, turn.id)
        if self.takes_switch:
            settings |= switch_of(self.base_url, decoding.thinking)
        answer = asyncio.run(self._complete(messages, settings, decoding.max_new_tokens))
        return read_answer(
            answer.text, answer.aside, answer.finish_reason, answer.completion_tokens, decoding.thinking
        )

    async def _complete(self, messages: Sequence[Message], settings: Mapping[str, Any], max_tokens: int) -> Completion:
        async with Endpoint(self.base_url, TIMEOUT, max_tokens) as endpoint:
            for attempt in itertools.count(1):
                outcome = await endpoint.complete(messages, self.name, settings)
                if not endpoint.takes_extras:
                    self.takes_switch = False
                    logger.warning_once(
                        f"{self.name} at {self.base_url} takes no chat_template_kwargs: whether it thinks is its own "
                        "choice, and thoughts are told apart"
                    )
                if isinstance(outcome, Completion):
                    return outcome
                allowed = self.attempts if outcome.raw is None else min(self.attempts, MALFORMED_ATTEMPTS)
                if not outcome.again or attempt >= allowed:
                    raise EndpointError(f"{self.base_url} {_what_failed(outcome)}")
                await asyncio.sleep(delay(attempt, outcome))
        raise AssertionError("the last attempt returns or raises")


def _what_failed(failure: Failure) -> str:
    told = " ".join((failure.detail or "").split())[:ERROR_CHARACTERS]
    if failure.raw is not None:
        return f"answers with something that is no chat completion ({told})"
    return f"refuses: {told}" if told else f"does not answer ({failure.reason})"


def read_answer(text: str, aside: str, finish_reason: str, num_tokens: int, thinking: Thinking) -> Reply:
    """An endpoint's answer as reply and thoughts, whichever field it has put them into.

    Args:
        text: its content; thoughts may stand before the reply, also without their opening mark.
        aside: its reasoning_content.
        thinking: off: a model that was not to think and came to its end has replied, even where a server has taken
            the reply for a thought and sends no content.
    """
    is_done = finish_reason == "stop"
    thoughts, reply = split_thoughts(all_written(text, aside, is_done, thinking))
    together = "\n".join(part for part in (aside.strip() if text.strip() else "", thoughts) if part)
    return Reply((reply or "").strip(), is_done and reply is not None, num_tokens, together)


class RetrievalSystem:
    """The retrieval baseline."""

    kind, dtype, revision, openings_file, name = "baseline", None, None, None, RETRIEVAL

    def __init__(self, train_turns: Iterable[Turn]) -> None:
        self.train_turns = train_turns

    def answer(self, turns: Sequence[Turn], decoding: Decoding, batch_size: int) -> Iterator[tuple[str, Reply]]:
        texts = retrieval_baseline(self.train_turns, [turn.context for turn in turns])
        for turn, text in zip(turns, texts, strict=True):
            yield turn.id, Reply(text, finished=True, num_tokens=0)

    def loss(self, turns: Sequence[Turn]) -> None:
        return None
