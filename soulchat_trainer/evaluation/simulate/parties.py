"""Who talks: a local model, an endpoint, or a script; every reply goes into the run's ledger.

outputs/demo        a model of transformers: all its talks are rows of one batch of the reply engine
openai:NAME         a model behind an OpenAI-compatible endpoint
script:FILE         lines from a YAML file, or script:NAME for one that ships
"""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from types import TracebackType
from typing import Protocol as Interface
from typing import Self

from pydantic import Field

from hub_cards.model_name import check_model_name
from soulchatcorpus.care.privacy import mask_private
from soulchatcorpus.making.ledger import Entry, Ledger, now
from soulchatcorpus.making.options import Options, RequestOptions
from soulchatcorpus.making.requests import Question, Sender, Spending
from soulchatcorpus.schema import Message

from ...generation.engine import ReplyEngine, Request
from ...generation.sampling import Decoding, endpoint_fields
from ...loading import load_model, model_revision
from ..systems import ENDPOINT
from .profiles import Profile

SCRIPT = "script:"


class Party(Interface):
    """Whoever talks. `revision` tells versions of one name apart; `begins` is True for one that wants the first word.

    Random numbers come from the seed and the question's id.
    """

    @property
    def name(self) -> str: ...
    @property
    def revision(self) -> str | None: ...
    @property
    def begins(self) -> bool: ...

    async def ask(self, question: Question, profile: Profile) -> Entry | None:
        """The outcome, which is in the ledger by then; None where the next request could pass the cost allowed."""
        ...

    async def __aenter__(self) -> Self: ...
    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Batch:
    """A model with its running batch; the requests of all talks join and leave it."""

    def __init__(self, spec: str, device: str, dtype: str, size: int) -> None:
        model, tokenizer = load_model(spec, device, dtype)
        self.engine = ReplyEngine(model, tokenizer, max_batch_size=size)
        self.name = Path(spec).resolve().name if Path(spec).is_dir() else spec
        self.revision = model_revision(spec)
        self._waiting: dict[Request, asyncio.Future[None]] = {}
        self._stepping: asyncio.Task[None] | None = None

    async def reply(self, messages: Sequence[Message], decoding: Decoding, key: str) -> Request:
        """A request that is done."""
        request = self.engine.submit(messages, decoding, key, cut_last=True)
        done = self._waiting[request] = asyncio.get_running_loop().create_future()
        if self._stepping is None:
            self._stepping = asyncio.create_task(self._step())
        try:
            await done
        finally:
            if self._waiting.pop(request, None):  # the talk was given up
                self.engine.cancel(request)
        return request

    async def _step(self) -> None:
        """Step the engine, in a thread beside the endpoints' loop, until nobody waits."""
        try:
            while self._waiting:
                for delta in await asyncio.to_thread(self.engine.step):
                    done = self._waiting.pop(delta.request, None)
                    if done and not done.done():
                        done.set_result(None)
                await asyncio.sleep(0)  # those who got a reply ask for the next before the batch goes on
        except Exception as error:
            waiting, self._waiting = self._waiting, {}
            for done in waiting.values():
                if not done.done():
                    done.set_exception(error)
        finally:
            self._stepping = None


class LocalParty:
    """A model of transformers."""

    begins = False

    def __init__(self, batch: Batch, ledger: Ledger, decoding: Decoding) -> None:
        self._batch, self._ledger, self._decoding = batch, ledger, decoding
        self.name, self.revision = batch.name, batch.revision

    async def ask(self, question: Question, profile: Profile) -> Entry:
        started = now()
        request = await self._batch.reply(question.messages, self._decoding, question.id)
        reply = request.reply
        entry = Entry(question.id, question.content, question.version, self.name, "error", started=started)
        entry.seconds = now() - started
        entry.prompt_tokens, entry.completion_tokens = len(request.prompt_ids), reply.num_tokens
        entry.finish_reason, entry.reply = request.finish_reason, reply.text
        entry.status, entry.reason = question.judge(entry)
        self._ledger.add(entry)
        return entry

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        return None


class EndpointParty:
    """A model behind an OpenAI-compatible endpoint, with the repeats, limits and costs that rewriting has."""

    begins, revision = False, None

    def __init__(self, options: RequestOptions, ledger: Ledger, spending: Spending, decoding: Decoding) -> None:
        self.name = options.model
        self._options, self._decoding = options, decoding
        self._sender = Sender(ledger, options, spending)

    async def ask(self, question: Question, profile: Profile) -> Entry | None:
        settings = endpoint_fields(self._decoding, question.id)
        messages = question.messages if self._options.send_unmasked else [_masked(m) for m in question.messages]
        return await self._sender.ask(replace(question, messages=messages, settings=settings))

    async def __aenter__(self) -> Self:
        await self._sender.__aenter__()
        return self

    async def __aexit__(self, *error: object) -> None:
        await self._sender.__aexit__(*error)


def _masked(message: Message) -> Message:
    return Message(role=message["role"], content=mask_private(message["content"]))


class Script(Options):
    """What a scripted party says.

    Attributes:
        lines: one after the other, the last one again and again; fields of the profile stand in them as `{story}`.
        begins: it wants the first word.
    """

    name: str
    lines: list[str] = Field(min_length=1)
    begins: bool = False
    source: str = ""


class ScriptedParty:
    """Says the lines of a script, whatever the other says."""

    def __init__(self, script: Script, ledger: Ledger) -> None:
        self._script, self._ledger = script, ledger
        self.name, self.begins = f"{SCRIPT}{script.name}", script.begins
        self.revision = sha256(script.model_dump_json().encode()).hexdigest()[:12]

    async def ask(self, question: Question, profile: Profile) -> Entry:
        said = sum(message["role"] == "assistant" for message in question.messages)
        line = self._script.lines[min(said, len(self._script.lines) - 1)]
        for field, value in profile.model_dump(include={"story", "hidden", "feeling", "who", "help"}).items():
            line = line.replace(f"{{{field}}}", value)
        entry = Entry(question.id, question.content, question.version, self.name, "error", started=now())
        entry.finish_reason, entry.reply = "stop", line
        entry.status, entry.reason = question.judge(entry)
        self._ledger.add(entry)
        return entry

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        return None


def shipped_scripts() -> list[str]:
    """Names of the scripts that ship."""
    folder = files(__package__).joinpath("scripts")
    return sorted(path.name.removesuffix(".yaml") for path in folder.iterdir() if path.name.endswith(".yaml"))


def load_script(spec: str) -> Script:
    """The script that `script:NAME` or `script:FILE` names.

    Raises:
        OSError: it is not there.
        ValueError: it is no script.
    """
    name = spec.removeprefix(SCRIPT)
    if name in shipped_scripts():
        text = files(__package__).joinpath(f"scripts/{name}.yaml").read_bytes()
    elif Path(name).is_file():
        text = Path(name).read_bytes()
    else:
        raise FileNotFoundError(f"script is {name}; allowed: {', '.join(shipped_scripts())}, or a YAML file")
    return Script.from_yaml(text, f"script {name}")


def check_party(spec: str) -> None:
    """Raises OSError or ValueError for a party that cannot talk, before anybody has begun."""
    if spec.startswith(SCRIPT):
        load_script(spec)
    elif not spec.startswith(ENDPOINT):
        check_model_name(spec)
