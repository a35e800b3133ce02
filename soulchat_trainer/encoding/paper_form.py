"""Conversations to token ids for ChatGLM, in the paper's form, each conversation tokenized once.

The context of a turn is a prefix of its conversation, so a turn sample is never stored whole. A conversation becomes
one pool of ids, and every sample a list of spans of that pool:

    pool     用户：A\\n | 心理咨询师：B\\n | 用户：C\\n | 心理咨询师：[gMASK] | <sop>B<eop> | <sop>D<eop>
    turn 1   ^^^^^^^^^                                 ^^^^^^^^^^^^^^^^^^^   ===========
    turn 2   ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^   ^^^^^^^^^^^^^^^^^^^                 ===========

(^ context, = target, which alone carries labels.) A newline is a symbol of its own in ChatGLM's vocabulary, across
which SentencePiece neither normalises nor merges; so the ids equal those of tokenizing each prompt whole. A line by
itself would not do: where two ways to cut it score the same ("哈哈哈哈哈哈"), the sum of the scores before it decides.
Where a message ends, the conversation's newlines tell. A system text stands on lines of its own before the talk.
"""

from collections.abc import Iterator, Sequence

from soulchatcorpus.dialogue import COUNSELLOR_CUE, ROLE_PREFIXES
from soulchatcorpus.schema import Message
from soulchatcorpus.turns import find_targets

from ..chatglm import ChatGLMTokenizer
from ..data import TrainingConversation
from .fit import cut_last_message, find_start, keep_from
from .prompts import as_said, prompt_encoder
from .spans import EncodedConversation, sample_length
from .styles import write_line
from .typed_text import TypedText

WORD_START_TOKENS = 8  # more than what a line gains or loses at the start of a text


class ChatGLMEncoder:
    """Encodes conversations for ChatGLM: context, [gMASK], <sop>, target, <eop>.

    Args:
        tokenizer: ChatGLM's.
        max_source_length: tokens of a context with its [gMASK]; a longer one is fitted as `fit` has it.
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
        self.tokenizer, self.typed = tokenizer, TypedText(tokenizer)
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
        """Encode a batch of conversations; one call of the tokenizer for all their texts.

        Raises:
            ValueError: a system text leaves no room for words.
        """
        all_lines = [self._lines(conversation) for conversation in conversations]
        texts: list[str] = []
        for conversation, lines in zip(conversations, all_lines, strict=True):
            texts.append("".join(lines))
            replies = [conversation.messages[number] for number in conversation.targets]
            texts += [reply["content"] for reply in as_said(self.typed, replies)]
        pieces = iter(self.tokenizer.encode_texts(texts))
        return [self._encode(*pair, pieces) for pair in zip(conversations, all_lines, strict=True)]

    def _lines(self, conversation: TrainingConversation) -> list[str]:
        """The messages before the last target (and that one, for GLM's objective), each as it stands in the text."""
        end = max(conversation.targets) + self.glm_objective if conversation.targets else 0
        return [write_line(message) for message in as_said(self.typed, conversation.messages[:end])]

    def _strip_newline(self, ids: list[int]) -> list[int]:
        """What follows the first newline: the ids of a line as it stands inside a text."""
        return ids[ids.index(self.newline_id) + 1 :]

    def _encode(
        self, conversation: TrainingConversation, lines: list[str], pieces: Iterator[list[int]]
    ) -> EncodedConversation:
        encoded = EncodedConversation()
        encoded.add(next(pieces))
        starts = self._find_starts(encoded.ids, lines)
        cue = encoded.add(self.cue_ids)
        room = self.max_target_length - 2
        heads: dict[int, tuple[int, int]] = {}
        for number in conversation.targets:
            context = self._context(encoded, conversation.messages[:number], starts, cue, heads)
            target = next(pieces)
            encoded.cut_targets += len(target) > room
            target_span = encoded.add([self.sop_id, *target[:room], self.eop_id])
            encoded.samples.append([*context, *target_span, 1])
        if self.glm_objective and lines:
            self._add_whole_conversation(encoded, conversation.messages, starts)
        return encoded

    def _find_starts(self, ids: list[int], lines: list[str]) -> list[int]:
        """Where each line begins in the ids of all, and where the last one ends."""
        ends = [0, *(place + 1 for place, token in enumerate(ids) if token == self.newline_id)]
        starts, newlines = [0], 0
        for line in lines:
            newlines += line.count("\n")
            starts.append(ends[newlines])
        return starts

    def _context(
        self,
        encoded: EncodedConversation,
        messages: Sequence[Message],
        starts: list[int],
        cue: tuple[int, int],
        heads: dict[int, tuple[int, int]],
    ) -> list[int]:
        """Spans of the context after `messages`, cue and [gMASK] with it, fitted to `max_source_length`."""
        room, end = self.max_source_length - len(self.cue_ids), starts[len(messages)]
        if end <= room:
            return [0, end, 0, *cue, 0]
        encoded.cut_contexts += 1
        system_end = starts[1] if messages[0]["role"] == "system" else 0

        def spans_from(number: int) -> list[int]:
            if system_end:
                return [0, system_end, 0, starts[number], end, 0]
            if number not in heads:  # at the start of a text the first word carries the word-start mark
                [line] = as_said(self.typed, messages[number : number + 1])
                heads[number] = encoded.add(self.tokenizer.encode_texts([write_line(line)])[0])
            return [*heads[number], 0, starts[number + 1], end, 0]

        def length(number: int) -> int:
            inside = end - starts[number]
            if not system_end and abs(inside - room) > WORD_START_TOKENS:
                return inside
            return sample_length(spans_from(number))

        start = find_start(messages, length, room)
        if length(start) <= room:
            return [*spans_from(start), *cue, 0]
        encoded.cut_user_turns += 1
        # A whole prompt has the <sop>, too, which belongs to the target here.
        encode = prompt_encoder(self.tokenizer)
        ids = cut_last_message(encode, keep_from(messages, start), self.max_source_length + 1)
        return [*encoded.add(ids[:-1]), 0]

    def _add_whole_conversation(
        self, encoded: EncodedConversation, messages: Sequence[Message], starts: list[int]
    ) -> None:
        """GLM's own objective over all lines, in windows that begin with a round and fill the model's."""
        whole, round_start = starts[-1], 0
        rounds = []  # where a round's lines begin, and where the reply to them does
        for number in find_targets(messages[: len(starts) - 1]):
            rounds.append((round_start, starts[number]))
            round_start = starts[number + 1]
        room = self.max_source_length + self.max_target_length - 3
        marks = encoded.add([self.gmask_id, self.sop_id, self.eop_id])[0]
        gmask, sop, eop = ([marks + i, marks + i + 1] for i in range(3))
        start = 0
        while start < whole:
            end = min(start + room, whole)
            line_end = next((b for a, b in rounds if a >= start and start < b < end), start)
            for context_end in {start, line_end}:
                target = [*gmask, 0, *sop, 1, context_end, end, 1, *eop, 1]
                encoded.samples.append([start, context_end, 0, *target] if context_end > start else target)
            later_rounds = [a for a, _ in rounds if start < a <= end < whole]
            start = later_rounds[-1] if later_rounds else end
