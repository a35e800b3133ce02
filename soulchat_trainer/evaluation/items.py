"""What is judged or rated, out of result folders: replies with their history, whole talks, or pairs of either.

A source is a folder with predictions.jsonl (a benchmark's), a folder with conversations.jsonl, or such a file. Its
name is the system's. Thoughts before a reply are nobody's to judge and left out.
"""

import itertools
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hub_cards.predictions import PREDICTIONS_FILE, read_predictions
from hub_cards.results import RESULTS_FILE, read_results
from soulchatcorpus.dialogue import render_line
from soulchatcorpus.making.records import find_file, read_pipeline_records, to_conversation
from soulchatcorpus.schema import Message
from soulchatcorpus.thoughts import reply_of, without_thoughts
from soulchatcorpus.turns import split_turns

from .rubric import Judged

CONVERSATIONS = "conversations"


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to judge.

    Attributes:
        id: of the turn or the talk, the same for all systems.
        talk: the conversation's id.
        systems: whose it is; of a pair, the first's and the second's.
        history: what was said before, a line a message; empty where a whole talk is judged.
        texts: the reply or the talk; of a pair both.
    """

    id: str
    talk: str
    systems: tuple[str, ...]
    history: str
    texts: tuple[str, ...]


# What was rated or judged, with its scores: by who gave them, then by aspect.
Scored = tuple[Item, Mapping[str, Mapping[str, int]]]


def read_items(sources: Sequence[Path], judged: Judged, samples: int | None = None, seed: int = 0) -> list[Item]:
    """The items of all systems, those of one system together.

    Args:
        sources: one for each system, see above; a benchmark's folder of several systems stands for all of them.
        judged: reply: of predictions, the reply; of talks, every reply of the counsellor. talk: the whole talk; of
            predictions, the talk up to the reply. pair: the replies, or the talks, that two systems gave to the same.
        samples: so many ids, drawn from those that all systems have; None: everything.
        seed: of the draw.

    Raises:
        OSError: a source is not there.
        ValueError: a source is broken or empty; two have one name; a pair needs two systems with the same ids, without
            `samples` all of them; fewer ids than `samples`.
    """
    systems = {
        name: {item.id: item for item in _read(source, name, judged)}
        for name, source in named_sources(sources).items()
    }
    if empty := [name for name, items in systems.items() if not items]:
        raise ValueError(f"{', '.join(empty)} has nothing to judge; allowed: sources with a reply at least")
    shared = set.intersection(*map(set, systems.values()))
    chosen: Iterable[str] | None = None
    if samples is not None:
        if not 1 <= samples <= len(shared):
            raise ValueError(f"samples is {samples}; allowed: 1 to {len(shared)}, what all systems answered")
        chosen = set(random.Random(seed).sample(sorted(shared), samples))
    if judged == "pair":
        if len(systems) < 2 or not shared:
            raise ValueError(
                f"{', '.join(systems)} have no id in common; allowed for pairs: two systems with the same ids"
            )
        if unshared := sorted(set().union(*systems.values()) - shared if samples is None else ()):
            raise ValueError(
                f"{' and '.join(systems)} did not answer the same dialogues: {len(unshared)} ids are not in all, for "
                f"example {unshared[0]}; allowed: the same ids (a judge also takes samples, up to {len(shared)})"
            )
        items = _pair(systems, shared)
    else:
        items = itertools.chain.from_iterable(items.values() for items in systems.values())
    return [item for item in items if chosen is None or item.id in chosen]


def _pair(systems: dict[str, dict[str, Item]], shared: set[str]) -> Iterator[Item]:
    for first, second in itertools.combinations(systems, 2):
        for id_, one in systems[first].items():
            if id_ not in shared:
                continue
            other = systems[second][id_]
            if one.history != other.history:
                raise ValueError(
                    f"{first} and {second} were asked different things under the id {id_}; allowed: the same history"
                )
            yield Item(id_, one.talk, (first, second), one.history, one.texts + other.texts)


def named_sources(sources: Sequence[Path]) -> dict[str, Path]:
    """The source of each system, by the system's name. Raises ValueError where two have one name, or there is none."""
    found: dict[str, Path] = {}
    for source in _expand(sources):
        name = _name_of(source)
        if name in found:
            raise ValueError(f"two systems are named {name!r}; allowed: each name once")
        found[name] = source
    if not found:
        raise ValueError("the systems are none; allowed: one or more")
    return found


def _expand(sources: Sequence[Path]) -> Iterator[Path]:
    """Folders of single systems for a folder of several."""
    for source in sources:
        if source.is_dir() and not (source / PREDICTIONS_FILE).is_file() and (source / RESULTS_FILE).is_file():
            yield from (
                source / system.folder for system in read_results(source / RESULTS_FILE).systems if system.folder
            )
        else:
            yield source


def _name_of(source: Path) -> str:
    path = source.resolve()
    return (
        path.parent.name
        if path.is_file() and path.stem == CONVERSATIONS
        else path.stem
        if path.is_file()
        else path.name
    )


def _read(source: Path, system: str, judged: Judged) -> Iterator[Item]:
    if (source / PREDICTIONS_FILE).is_file():
        for row in read_predictions(source / PREDICTIONS_FILE):
            reply = Message(role="assistant", content=reply_of(row.prediction) or "")
            talk = row.id.rpartition("-")[0] or row.id  # a turn's id is its conversation's with a number
            yield _item(row.id, talk, system, _without_thoughts(row.messages, row.id), reply, judged)
        return
    talks = source / f"{CONVERSATIONS}.jsonl" if source.is_dir() else find_file(source)
    if source.is_dir() and not talks.is_file():
        raise FileNotFoundError(f"{source} holds neither {PREDICTIONS_FILE} nor {talks.name}")
    for record in read_pipeline_records(talks, "relabel"):
        if "messages" not in record:
            raise ValueError(f"{source} holds questions; allowed: {PREDICTIONS_FILE}, or conversations")
        conversation = to_conversation(record)
        conversation.messages = _without_thoughts(conversation.messages, conversation.id)
        if judged == "reply":
            for turn in split_turns(conversation):
                reply = Message(role="assistant", content=turn.completion)
                yield _item(turn.id, turn.conversation_id, system, turn.context, reply, judged)
        else:
            yield Item(conversation.id, conversation.id, (system,), "", (render(conversation.messages),))


def _without_thoughts(messages: Sequence[Message], id_: str) -> list[Message]:
    try:
        return without_thoughts(messages)
    except ValueError as error:
        raise ValueError(f"{id_}: {error}") from None


def _item(id_: str, talk: str, system: str, history: Sequence[Message], reply: Message, judged: Judged) -> Item:
    if judged == "talk":
        return Item(id_, talk, (system,), "", (render([*history, reply]),))
    return Item(id_, talk, (system,), render(history), (reply["content"],))


def render(messages: Sequence[Message]) -> str:
    """A line for each message, without the system text, which nobody said."""
    return "\n".join(render_line(message) for message in messages if message["role"] != "system")
