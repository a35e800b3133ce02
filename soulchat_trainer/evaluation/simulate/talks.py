"""Whole talks of a counsellor with clients that are played: `soulchat simulate`.

`ledger.sqlite` in the output folder is the only state: each reply is there when it has come, and a run that was
stopped asks for what the ledger lacks. `conversations.jsonl` and `report.json` are written from it.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from soulchatcorpus.files import working_in, write_json, write_lines
from soulchatcorpus.making.costs import estimate_tokens
from soulchatcorpus.making.ledger import Entry, Ledger
from soulchatcorpus.making.records import to_record
from soulchatcorpus.making.requests import Question, Spending, hash_content
from soulchatcorpus.schema import Conversation, Message, Role
from soulchatcorpus.thoughts import split_thoughts

from ...generation.sampling import Decoding
from .options import Care, SimulateOptions
from .parties import SCRIPT, Batch, EndpointParty, LocalParty, Party, ScriptedParty, check_party, load_script
from .profiles import Profile
from .protocol import Protocol, Side, read_client, read_counsellor

ATTEMPTS = 3  # for an answer without words, or without the fields that the protocol asks for
TALKS_FILE, REPORT_FILE, LEDGER_FILE = "conversations.jsonl", "report.json", "ledger.sqlite"
ROLES: dict[Side, Role] = {"client": "user", "counsellor": "assistant"}
OTHER: dict[Side, Side] = {"client": "counsellor", "counsellor": "client"}
EXPECTED_TURN_TOKENS = 80  # SMILECHAT's messages have some 60 characters, those of general assistants 150
SILENT, UNREADABLE = "empty", "unreadable"  # why an answer is rejected


@dataclass(slots=True)
class Talk:
    """One talk on its way.

    Attributes:
        id: the profile's with the number of the repeat.
        content: hash of what decides the next reply: the setting, and all that was said.
        messages: what either has heard of the other.
        answers: of each side as it wrote them: a client's with what it kept to itself, a counsellor's without notices.
        emotions: after each of the client's turns, from the protocol's start on.
        stop: why the talk has ended; None while it goes on.
    """

    id: str
    profile: Profile
    content: str
    messages: list[Message] = field(default_factory=list)
    answers: dict[Side, list[str]] = field(default_factory=lambda: {"client": [], "counsellor": []})
    thoughts: list[str] = field(default_factory=list)
    emotions: list[int] = field(default_factory=list)
    stop: str | None = None

    def count(self, side: Side) -> int:
        """How often a side has spoken."""
        return sum(message["role"] == ROLES[side] for message in self.messages)


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run would take of the endpoints at most, were every talk to go all its rounds."""

    talks: int
    characters: int
    prompt_tokens: int
    completion_tokens: int
    cost: float


@dataclass(slots=True)
class Progress:
    """Where a run stands."""

    total: int
    done: int = 0
    turns: int = 0
    cost: float = 0.0


OnProgress = Callable[[Progress], None]


class Stage:
    """What all talks of a run share: both parties, the protocol, and the ledger.

    Raises:
        ValueError: both parties want to begin, or one wants to that the protocol lets wait.
    """

    def __init__(
        self,
        counsellor: Party,
        client: Party,
        protocol: Protocol,
        ledger: Ledger,
        system: str | None = None,
        care: Care | None = None,
    ) -> None:
        if counsellor.begins and client.begins:
            raise ValueError(
                f"counsellor is {counsellor.name} and client {client.name}, which both want to begin; allowed: one"
            )
        self.parties: dict[Side, Party] = {"counsellor": counsellor, "client": client}
        for side, party in self.parties.items():
            if party.begins and protocol.begins != side:
                raise ValueError(
                    f"{side} is {party.name}, which wants to begin, and so does the {protocol.begins} by the protocol "
                    f"{protocol.name}; allowed: one"
                )
        self.protocol, self.ledger, self.system, self.care = protocol, ledger, system, care

    def open_talk(self, profile: Profile, number: int) -> Talk:
        """A talk in which nobody has spoken yet."""
        setting = [part for party in self.parties.values() for part in (party.name, party.revision or "")]
        talk_id = f"{profile.id}-{number}"
        care = "care" if self.care else ""
        content = hash_content(talk_id, *setting, self.protocol.hash, profile.hash, self.system or "", care)
        emotion = self.protocol.emotion
        return Talk(talk_id, profile, content, emotions=[emotion.start] if emotion else [])

    async def hold(self, talk: Talk, on_turn: Callable[[], None] = lambda: None) -> bool:
        """Let both talk until a rule stops them; False where the cost allowed would be passed before that."""
        side = self.protocol.begins
        while talk.stop is None:
            entry = await self._hear(talk, side)
            if entry is None:
                return False
            self.take(talk, side, entry)
            side = OTHER[side]
            on_turn()
        return True

    def replay(self, talk: Talk) -> bool:
        """Take the talk from the ledger as far as it is there; True where it has come to its end."""
        side = self.protocol.begins
        while talk.stop is None and isinstance(entry := self._look_up(talk, side), Entry):
            self.take(talk, side, entry)
            side = OTHER[side]
        return talk.stop is not None

    async def _hear(self, talk: Talk, side: Side) -> Entry | None:
        """The outcome of the next turn, from the ledger or the party."""
        judge = partial(_judge, self.protocol, side)
        while isinstance(found := self._look_up(talk, side), str):
            question = Question(found, talk.content, self.protocol.version, self._view(talk, side), judge)
            if await self.parties[side].ask(question, talk.profile) is None:
                return None
        return found

    def _look_up(self, talk: Talk, side: Side) -> Entry | str:
        """The outcome of the next turn in the ledger, or the id of the question that is to be asked."""
        attempt = 0
        while True:
            name = f"{talk.id}/{len(talk.messages)}/{side}" + (f"/{attempt}" if attempt else "")
            entry = self.ledger.find_final(name, talk.content)
            if entry is None:
                return name
            attempt += 1
            if entry.reason not in (SILENT, UNREADABLE) or attempt == ATTEMPTS:
                return entry

    def _view(self, talk: Talk, side: Side) -> list[Message]:
        """The talk as a side has it: its own words are the assistant's, the other's the user's."""
        text = self.protocol.instruct(talk.profile) if side == "client" else self.system
        view = [Message(role="system", content=text)] if text else []
        if self.protocol.begins == side:
            view.append(Message(role="user", content=self.protocol.cue))
        own = iter(talk.answers[side])
        for message in talk.messages:
            if message["role"] == ROLES[side]:
                view.append(Message(role="assistant", content=next(own)))
            else:
                view.append(Message(role="user", content=message["content"]))
        if side == "client" and self.protocol.emotion:
            view[-1] = Message(role="user", content=f"{view[-1]['content']}\n（你现在的情绪值：{talk.emotions[-1]}）")
        return view

    def take(self, talk: Talk, side: Side, entry: Entry) -> None:
        """Add a turn to the talk, and stop it where a rule says so."""
        if entry.status != "accepted":
            talk.stop = f"{side}_{entry.reason}"
            return
        answer = _reply_of(entry)
        talk.content = hash_content(talk.content, answer)
        talk.stop = self._hear_client(talk, answer) if side == "client" else self._hear_counsellor(talk, answer)

    def _hear_client(self, talk: Talk, answer: str) -> str | None:
        turn = read_client(self.protocol, answer)
        assert turn is not None  # else the answer was rejected
        talk.answers["client"].append(answer)
        talk.messages.append(Message(role="user", content=turn.text))
        emotion = self.protocol.emotion
        if emotion:
            talk.thoughts.append(turn.thought)
            # Nobody has answered the first word yet: it moves nothing.
            change = turn.change if talk.count("counsellor") else 0
            talk.emotions.append(max(0, min(100, talk.emotions[-1] + change)))
            if talk.emotions[-1] < emotion.low:
                return "emotion_low"
            if talk.emotions[-1] >= emotion.high:
                return "emotion_high"
        return "turns" if self._is_over(talk, "client") else None

    def _hear_counsellor(self, talk: Talk, answer: str) -> str | None:
        text, mark = read_counsellor(answer), self.protocol.end_mark
        is_end = mark is not None and mark in text
        if is_end:
            text = text.partition(str(mark))[0].strip()
        said = [message["content"] for message in talk.messages if message["role"] == "user"]
        if text:
            notice = self.care(said[-1] if said else "", text) if self.care else ""
            talk.answers["counsellor"].append(text)
            talk.messages.append(Message(role="assistant", content=f"{notice}\n\n{text}" if notice else text))
        if is_end:
            return "end_mark"
        if said and self.protocol.says_goodbye(said[-1]):
            return "goodbye"
        if (
            not self.protocol.emotion
            and self.protocol.begins == "client"
            and talk.count("client") == self.protocol.turns
        ):
            return "turns"
        return None

    def _is_over(self, talk: Talk, last: Side) -> bool:
        """Whether the rounds are over, now that `last` has spoken."""
        # A client that keeps an emotion is heard once after the last answer: that is the score.
        closes = "client" if self.protocol.emotion else OTHER[self.protocol.begins]
        return last == closes and talk.count("counsellor") == self.protocol.turns

    def conversation(self, talk: Talk) -> Conversation:
        """A talk that has ended, as the corpus has conversations."""
        provenance: dict[str, Any] = {
            "simulated": True,
            **{side: _describe_party(party) for side, party in self.parties.items()},
            "protocol": self.protocol.version,
            "profile": talk.profile.id,
            "seed": self.protocol.seed,
            "stop": talk.stop,
        }
        if self.care:
            provenance["care"] = True
        if talk.profile.risk:
            provenance["risk"] = talk.profile.risk.level
        if self.protocol.emotion:
            provenance |= {"emotions": talk.emotions, "client_thoughts": talk.thoughts}
        client = talk.profile.client
        if client:
            provenance["client_source"] = "profile"
        return Conversation(talk.id, talk.messages, talk.profile.topic, provenance, client)


def _reply_of(entry: Entry) -> str:
    """What a party has said, without thoughts of a model that thinks."""
    return (split_thoughts(entry.reply or "").reply or "").strip()


def _judge(protocol: Protocol, side: Side, entry: Entry) -> tuple[str, str | None]:
    """Whether an answer has words, and of a client the fields that the protocol asks for."""
    answer = _reply_of(entry)
    if side == "counsellor":
        return ("accepted", None) if read_counsellor(answer) else ("rejected", SILENT)
    if not answer:
        return "rejected", SILENT
    turn = read_client(protocol, answer)
    if turn is None:
        return "rejected", UNREADABLE
    return ("accepted", None) if turn.text else ("rejected", SILENT)


def _describe_party(party: Party) -> dict[str, str]:
    told = {"name": party.name}
    return told | {"revision": party.revision} if party.revision else told


def estimate(options: SimulateOptions) -> Estimate:
    """Tokens and cost of a run on an empty folder, without sending anything; no talk ends before its last round."""
    protocol, profiles = options.load_protocol(), options.read_profiles()
    rounds, talks = protocol.turns, options.repeats * len(profiles)
    heard = 2 * EXPECTED_TURN_TOKENS * rounds * (rounds - 1) // 2 + EXPECTED_TURN_TOKENS * rounds
    prompt_tokens = completion_tokens = characters = 0
    cost = 0.0
    for side in ROLES:
        requests = options.requests(side, protocol)
        if requests is None:
            continue
        texts = [protocol.instruct(profile) if side == "client" else options.system or "" for profile in profiles]
        asked = options.repeats * (rounds * sum(map(estimate_tokens, texts)) + len(profiles) * heard)
        answered = talks * rounds * EXPECTED_TURN_TOKENS
        prompt_tokens, completion_tokens = prompt_tokens + asked, completion_tokens + answered
        characters += options.repeats * sum(map(len, texts))
        cost += requests.models.cost(requests.model, asked, answered)
    return Estimate(talks, characters, prompt_tokens, completion_tokens, cost)


def simulate(options: SimulateOptions, on_progress: OnProgress = lambda progress: None) -> dict[str, Any]:
    """Hold the talks that the ledger lacks, then write conversations.jsonl and report.json; returns the report.

    Raises:
        EndpointError: an endpoint is down, refuses the key or knows no such model. What was said before is kept.
        ValueError: bad options, profiles or protocol; an endpoint elsewhere without `yes`; not one talk took place.
        OSError: another run is at work in the folder; a file or model that is not there.
    """
    for name, number in (("repeats", options.repeats), ("talks_at_once", options.talks_at_once)):
        if number < 1:
            raise ValueError(f"{name} is {number}; allowed: 1 or more")
    protocol, profiles = options.load_protocol(), options.read_profiles()
    for spec in (options.counsellor, options.client):
        check_party(spec)
    for requests in options.endpoints(protocol):
        requests.check_consent("profiles and talks")
    with working_in(options.output, "soulchat simulate"):
        ledger = Ledger(options.output / LEDGER_FILE)
        try:
            if options.retry:
                ledger.reopen_rejected()
            stage, spending = open_stage(options, protocol, ledger)
            try:
                asyncio.run(hold_all(stage, spending, profiles, options, on_progress))
            except BaseException:
                with suppress(OSError, ValueError):  # what went wrong first is what the user is to hear of
                    export(stage, profiles, options)
                raise
            return export(stage, profiles, options)
        finally:
            ledger.close()


def open_stage(options: SimulateOptions, protocol: Protocol, ledger: Ledger) -> tuple[Stage, Spending]:
    """Both parties, loaded; two sides of one model share its batch."""
    spending, batches = Spending(ledger.totals()["cost"]), dict[str, Batch]()
    counsellor, client = (
        _open_side(side, options, protocol, ledger, spending, batches) for side in ("counsellor", "client")
    )
    return Stage(counsellor, client, protocol, ledger, options.system, options.care), spending


def open_party(options: SimulateOptions, ledger: Ledger) -> Party:
    """The client alone, with a ledger of its own."""
    return _open_side("client", options, options.load_protocol(), ledger, Spending(ledger.totals()["cost"]), {})


def _open_side(
    side: Side,
    options: SimulateOptions,
    protocol: Protocol,
    ledger: Ledger,
    spending: Spending,
    batches: dict[str, Batch],
) -> Party:
    spec = options.client if side == "client" else options.counsellor
    decoding = Decoding(protocol.top_p, protocol.temperature, protocol.max_new_tokens, seed=protocol.seed)
    if spec.startswith(SCRIPT):
        return ScriptedParty(load_script(spec), ledger)
    if requests := options.requests(side, protocol):
        return EndpointParty(requests, ledger, spending, decoding)
    if spec not in batches:
        batches[spec] = Batch(spec, options.device, options.dtype, options.talks_at_once)
    return LocalParty(batches[spec], ledger, decoding)


def list_talks(stage: Stage, profiles: Sequence[Profile], repeats: int) -> Iterator[Talk]:
    """All talks of a run, in the order of the files that are written."""
    return (stage.open_talk(profile, number) for number in range(1, repeats + 1) for profile in profiles)


async def hold_all(
    stage: Stage, spending: Spending, profiles: Sequence[Profile], options: SimulateOptions, on_progress: OnProgress
) -> None:
    """So many talks at once, each worker taking the next."""
    talks = list_talks(stage, profiles, options.repeats)
    progress = Progress(len(profiles) * options.repeats, cost=spending.cost)
    on_progress(progress)

    def on_turn() -> None:
        progress.turns, progress.cost = progress.turns + 1, spending.cost
        on_progress(progress)

    async def work() -> None:
        for talk in talks:
            if not await stage.hold(talk, on_turn):
                return
            progress.done += 1
            on_progress(progress)

    async with AsyncExitStack() as stack:
        for party in stage.parties.values():
            await stack.enter_async_context(party)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(options.talks_at_once):
                    group.create_task(work())
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None


def export(stage: Stage, profiles: Sequence[Profile], options: SimulateOptions) -> dict[str, Any]:
    """The files beside the ledger, of the talks that have ended with words of both."""
    stops: Counter[str] = Counter()
    scores: list[int] = []
    counts = Counter({"talks": 0, "open": 0, "messages": 0})

    def ended() -> Iterator[dict[str, Any]]:
        for talk in list_talks(stage, profiles, options.repeats):
            if not stage.replay(talk):
                counts["open"] += 1
                continue
            stops[str(talk.stop)] += 1
            if len(talk.messages) > 1:
                counts["talks"] += 1
                counts["messages"] += len(talk.messages)
                scores.extend(talk.emotions[-1:])
                yield to_record(stage.conversation(talk))

    write_lines(options.output / TALKS_FILE, ended())
    report: dict[str, Any] = {
        **counts,
        "stops": dict(stops.most_common()),
        **{side: _describe_party(party) for side, party in stage.parties.items()},
        "protocol": stage.protocol.version,
        "rounds": stage.protocol.turns,
        "seed": stage.protocol.seed,
        "profiles": len(profiles),
        "repeats": options.repeats,
        "emotion": sum(scores) / len(scores) if scores else None,
        **stage.ledger.totals(),
    }
    write_json(options.output / REPORT_FILE, report)
    if stops and not counts["talks"]:
        [(reason, number)] = stops.most_common(1)
        raise ValueError(
            f"output has no talk: {number} of {stops.total()} ended with {reason}; "
            f"allowed: parties that answer as the protocol {stage.protocol.name} asks"
        )
    return report


def read_talks(folder: Path) -> list[dict[str, Any]]:
    """The conversation records that a run has left in a folder.

    Raises:
        OSError: there are none.
    """
    path = folder / TALKS_FILE
    if not path.is_file():
        raise FileNotFoundError(f"{folder} holds no {TALKS_FILE}; allowed: a folder of `soulchat simulate`")
    return [orjson.loads(line) for line in path.read_bytes().splitlines()]
