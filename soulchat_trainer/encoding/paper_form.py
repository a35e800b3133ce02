"""Conversations to token ids, each conversation tokenized once.

The context of a turn is a prefix of its conversation, so a turn sample is never stored whole. A conversation becomes
one pool of ids, and every sample a list of spans of that pool:

    pool     用户：A\\n | 心理咨询师：B\\n | 用户：C\\n | 心理咨询师：[gMASK] | <sop>B<eop> | <sop>D<eop>
    turn 1   ^^^^^^^^^                                 ^^^^^^^^^^^^^^^^^^^   ===========
    turn 2   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^   ^^^^^^^^^^^^^^^^^^^                 ===========

(^ context, = target, which alone carries labels.) A newline is a symbol of its own in ChatGLM's vocabulary, across
which SentencePiece neither normalises nor merges; so the ids equal those of tokenizing each prompt whole. A line by
itself would not do: where two ways to cut it score the same ("哈哈哈哈哈哈"), the sum of the scores before it decides.
Where a line ends, the conversation's newlines tell.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from datasets import Dataset, Features, List, Value

from soulchatcorpus.dialogue import COUNSELLOR_CUE, ROLE_PREFIXES, parse, render_line
from soulchatcorpus.schema import Conversation, Message
from soulchatcorpus.turns import find_targets, split_turns

from ..chatglm import ChatGLMTokenizer

ENCODED_FEATURES = Features(
    {
        "ids": List(Value("int32")),
        "samples": List(List(Value("int32"))),
        "lengths": List(Value("int32")),
        "cut_contexts": Value("int32"),
        "cut_user_turns": Value("int32"),
        "cut_targets": Value("int32"),
    }
)
LESS_THAN_SIGNS = "<＜﹤"  # all that the released tokenizer normalises to <
CUT_COLUMNS = ("cut_contexts", "cut_user_turns", "cut_targets")


@dataclass(slots=True)
class TrainingConversation:
    """Messages, and the numbers of those that are targets."""

    messages: list[Message]
    targets: list[int]


@dataclass(slots=True)
class Round:
    """What stands between two counsellor replies, and the reply that follows.

    Attributes:
        lines: rendered lines before the reply, each ending in a newline; empty where the counsellor speaks twice.
        reply: the counsellor's text.
        is_target: True where the reply is a target; False where it is context only.
    """

    lines: str
    reply: str
    is_target: bool

    @property
    def may_spell_newline(self) -> bool:
        """Whether its lines may hold a newline that is none: ChatGLM's tokenizer reads one in <n> and in ＜n＞."""
        return any(sign in self.lines for sign in LESS_THAN_SIGNS)


@dataclass(slots=True)
class EncodedConversation:
    """A pool of token ids and the samples cut out of it.

    Attributes:
        ids: the pool.
        samples: for each sample its spans one after the other, flat: start, end, labelled (1: the span is a target).
        cut_contexts: samples that lost whole oldest turns.
        cut_user_turns: samples whose last user turn alone was too long and kept its role prefix and last tokens.
        cut_targets: samples whose target was cut (it still ends in the end token).
    """

    ids: list[int] = field(default_factory=list)
    samples: list[list[int]] = field(default_factory=list)
    cut_contexts: int = 0
    cut_user_turns: int = 0
    cut_targets: int = 0

    def add(self, ids: Sequence[int]) -> tuple[int, int]:
        """Append ids to the pool; returns their span."""
        start = len(self.ids)
        self.ids.extend(ids)
        return start, len(self.ids)

    def row(self) -> dict[str, Any]:
        """A row of `ENCODED_FEATURES`."""
        return {
            "ids": self.ids,
            "samples": self.samples,
            "lengths": [sample_length(sample) for sample in self.samples],
            "cut_contexts": self.cut_contexts,
            "cut_user_turns": self.cut_user_turns,
            "cut_targets": self.cut_targets,
        }


def sample_length(sample: Sequence[int]) -> int:
    """Number of tokens of a sample given as flat spans."""
    return sum(sample[1::3]) - sum(sample[0::3])


def group_turns(rows: Iterable[Mapping[str, Any]]) -> list[TrainingConversation]:
    """Rows of turns (prompt, completion, conversation_id) to conversations, so that shared contexts meet again.

    Neighbouring rows of one conversation are joined where their prompts are prefixes of the longest of them; a row
    that does not fit (a history that was edited) becomes a conversation of its own.

    Raises:
        ValueError: a prompt is not of the form that `dialogue.render_prompt` writes.
    """
    conversations: list[TrainingConversation] = []
    for _, group in itertools.groupby(rows, key=lambda row: row["conversation_id"]):
        conversations.extend(_join_turns(list(group)))
    return conversations


def _join_turns(rows: list[Mapping[str, Any]]) -> list[TrainingConversation]:
    joined: list[TrainingConversation] = []
    remaining = {(row["prompt"], row["completion"]) for row in rows}
    for row in sorted(rows, key=lambda row: -len(row["prompt"])):
        own = (row["prompt"], row["completion"])
        if own not in remaining:
            continue
        messages = [*parse(row["prompt"]), Message(role="assistant", content=row["completion"])]
        numbers = find_targets(messages)
        turns = [(turn.prompt, turn.completion) for turn in split_turns(Conversation("", messages))]
        if not turns or turns[-1] != own:
            raise ValueError(
                f"turn of conversation {row['conversation_id']!r}: its prompt must be lines that begin with "
                f"{' or '.join(ROLE_PREFIXES.values())} and end in {COUNSELLOR_CUE!r}, found …{row['prompt'][-40:]!r}"
            )
        chosen = [number for number, turn in zip(numbers, turns, strict=True) if turn in remaining]
        joined.append(TrainingConversation(messages, chosen))
        remaining.difference_update(turns)
    return joined


def make_rounds(conversation: TrainingConversation) -> list[Round]:
    """Messages to rounds; what follows the last target trains nothing and is left out.

    >>> messages = [{"role": "user", "content": "我睡不着"}, {"role": "assistant", "content": "多久了？"}]
    >>> make_rounds(TrainingConversation(messages, [1]))
    [Round(lines='用户：我睡不着\\n', reply='多久了？', is_target=True)]
    """
    rounds, lines = [], ""
    replies = set(find_targets(conversation.messages))
    end = max(conversation.targets, default=-1) + 1
    for number, message in enumerate(conversation.messages[:end]):
        if number in replies:
            rounds.append(Round(lines, message["content"], number in conversation.targets))
            lines = ""
        else:
            lines += render_line(message) + "\n"
    return rounds


class ChatGLMEncoder:
    """Encodes conversations for ChatGLM: context, [gMASK], <sop>, target, <eop>.

    Args:
        tokenizer: ChatGLM's.
        max_source_length: tokens of a context with its [gMASK]. A longer one loses whole oldest turns, never its end;
            a last user turn that alone is longer keeps its role prefix and its last tokens.
        max_target_length: tokens of a target with its <sop> and <eop>. A longer one is cut and still ends in <eop>.
        glm_objective: adds samples in GLM's own objective (Du et al. 2022, section 2.2): the whole conversation as
            causal target, once after an empty and once after a one-line context, so that every token teaches.
    """

    def __init__(
        self,
        tokenizer: ChatGLMTokenizer,
        max_source_length: int,
        max_target_length: int,
        glm_objective: bool = False,
    ):
        self.tokenizer = tokenizer
        self.max_source_length = max_source_length
        self.max_target_length = max_target_length
        self.glm_objective = glm_objective
        self.gmask_id = tokenizer.gmask_token_id
        self.sop_id, self.eop_id = tokenizer.bos_token_id, tokenizer.eos_token_id
        self.newline_id = tokenizer.encode_texts(["\n"])[0][-1]
        self.cue_ids = [*self._strip_newline(tokenizer.encode_texts(["\n" + COUNSELLOR_CUE])[0]), self.gmask_id]
        self.user_prefix_ids = tokenizer.encode_texts([ROLE_PREFIXES["user"]])[0]
        if max_source_length < len(self.cue_ids) + len(self.user_prefix_ids) + 1:
            raise ValueError(f"max_source_length is {max_source_length}, too short for the role prefixes alone")
        if max_target_length < 3:
            raise ValueError(f"max_target_length is {max_target_length}; it must hold <sop>, a token and <eop>")

    def __call__(self, conversations: Sequence[TrainingConversation]) -> list[EncodedConversation]:
        """Encode a batch of conversations; one call of the tokenizer for all their texts."""
        all_rounds = [make_rounds(conversation) for conversation in conversations]
        texts: list[str] = []
        for rounds in all_rounds:
            texts.append("".join(f"{round_.lines}{COUNSELLOR_CUE}{round_.reply}\n" for round_ in rounds))
            for round_ in rounds:
                texts += [round_.lines, round_.reply] if round_.may_spell_newline else [round_.reply]
        pieces = iter(self.tokenizer.encode_texts(texts))
        return [self._encode_rounds(rounds, pieces) for rounds in all_rounds]

    def _strip_newline(self, ids: list[int]) -> list[int]:
        """What follows the first newline: the ids of a line as it stands inside a text."""
        return ids[ids.index(self.newline_id) + 1 :]

    def _encode_rounds(self, rounds: list[Round], pieces: Iterator[list[int]]) -> EncodedConversation:
        encoded = EncodedConversation()
        line_spans, targets = [], []
        ids = next(pieces)
        ends = [0, *(place + 1 for place, token in enumerate(ids) if token == self.newline_id)]
        line = 0
        for number, round_ in enumerate(rounds):
            newlines = round_.lines.count("\n")
            if round_.may_spell_newline:
                newlines = next(pieces).count(self.newline_id)
            target = next(pieces)
            start, line = ends[line], line + newlines
            end, line = ends[line], line + target.count(self.newline_id) + 1
            line_spans.append(encoded.add(ids[start:end]))
            if number < len(rounds) - 1 or self.glm_objective:
                encoded.add(ids[end : ends[line]])
            targets.append(target)
        whole = len(encoded.ids)
        cue = encoded.add(self.cue_ids)
        heads: dict[int, tuple[int, int]] = {}
        for number, round_ in enumerate(rounds):
            if not round_.is_target:
                continue
            context = self._context(encoded, rounds, line_spans, number, heads)
            room = self.max_target_length - 2
            encoded.cut_targets += len(targets[number]) > room
            target_span = encoded.add([self.sop_id, *targets[number][:room], self.eop_id])
            encoded.samples.append([*context, *cue, 0, *target_span, 1])
        if self.glm_objective and rounds:
            self._add_whole_conversation(encoded, line_spans, whole)
        return encoded

    def _context(
        self,
        encoded: EncodedConversation,
        rounds: list[Round],
        line_spans: list[tuple[int, int]],
        number: int,
        heads: dict[int, tuple[int, int]],
    ) -> list[int]:
        """Spans of the context of round `number` without its cue, cut to `max_source_length`."""
        room = self.max_source_length - len(self.cue_ids)
        end = line_spans[number][1]
        if end <= room:
            return [0, end, 0]
        encoded.cut_contexts += 1
        for first in range(1, number + 1):
            if not rounds[first].lines:
                continue
            lines_start, lines_end = line_spans[first]
            if end - lines_start > room:
                continue
            if first not in heads:  # at the start of a text the first word carries the word-start mark
                heads[first] = encoded.add(self.tokenizer.encode_texts([rounds[first].lines])[0])
            head = heads[first]
            if head[1] - head[0] + end - lines_end <= room:
                return [*head, 0, lines_end, end, 0]
        encoded.cut_user_turns += 1
        if -1 not in heads:
            heads[-1] = encoded.add(self.user_prefix_ids)
        return [*heads[-1], 0, end - (room - len(self.user_prefix_ids)), end, 0]

    def _add_whole_conversation(
        self, encoded: EncodedConversation, line_spans: list[tuple[int, int]], whole: int
    ) -> None:
        """GLM's own objective over all `whole` tokens, in windows that begin with a round and fill the model's."""
        room = self.max_source_length + self.max_target_length - 3
        marks = encoded.add([self.gmask_id, self.sop_id, self.eop_id])[0]
        gmask, sop, eop = ([marks + i, marks + i + 1] for i in range(3))
        start = 0
        while start < whole:
            end = min(start + room, whole)
            line_end = next((b for a, b in line_spans if a >= start and start < b < end), start)
            for context_end in {start, line_end}:
                target = [*gmask, 0, *sop, 1, context_end, end, 1, *eop, 1]
                encoded.samples.append([start, context_end, 0, *target] if context_end > start else target)
            later_rounds = [a for a, _ in line_spans if start < a <= end < whole]
            start = later_rounds[-1] if later_rounds else end


def read_batch(batch: Mapping[str, list[Any]]) -> list[TrainingConversation]:
    """A batch of columns, of conversations (`messages`) or of turns (`prompt`, `completion`).

    Raises:
        ValueError: the columns are neither.
    """
    if "messages" in batch:
        return [TrainingConversation(messages, find_targets(messages)) for messages in batch["messages"]]
    if {"prompt", "completion"} <= set(batch):
        ids = batch.get("conversation_id", range(len(batch["prompt"])))
        rows = zip(ids, batch["prompt"], batch["completion"], strict=True)
        return group_turns({"conversation_id": i, "prompt": p, "completion": c} for i, p, c in rows)
    raise ValueError(f"a training set has columns messages, or prompt and completion; found {', '.join(batch)}")


def encode_batch(batch: Mapping[str, list[Any]], encoder: Callable) -> dict[str, list[Any]]:
    """For `Dataset.map(batched=True)`: rows of conversations or turns to rows of `ENCODED_FEATURES`."""
    rows = [encoded.row() for encoded in encoder(read_batch(batch))]
    return {name: [row[name] for row in rows] for name in ENCODED_FEATURES}


def encode_dataset(dataset: Dataset, encoder: Callable, num_proc: int | None = None) -> Dataset:
    """Rows of conversations or turns to rows of `ENCODED_FEATURES`, cached by `datasets` like any map."""
    return dataset.map(
        encode_batch,
        batched=True,
        fn_kwargs={"encoder": encoder},
        remove_columns=dataset.column_names,
        features=ENCODED_FEATURES,
        num_proc=num_proc,
        desc="Tokenizing",
    )
