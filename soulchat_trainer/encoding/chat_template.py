"""Conversations to token ids for causal language models, in the form of their chat template.

Where the template is prefix-preserving (Qwen 2.5, Llama 3, …) a conversation is tokenized once and its turns are
prefixes of it; one pass over it with labels on every reply then equals all its turn samples, loss and gradients:
each reply sees the same tokens before it. Where it is not (it rewrites earlier replies, ends one without an end token,
or thinks unless asked not to) its training form takes its place (`training_form`), in the tokenizer too, so that it is
saved with the model. With thoughts kept, such a template stays, and every turn is tokenized whole.
"""

from bisect import bisect_left
from collections.abc import Sequence
from typing import Literal

from transformers import PreTrainedTokenizerBase
from transformers.utils import logging

from soulchatcorpus.schema import Message
from soulchatcorpus.thoughts import Thinking

from ..data import TrainingConversation
from .fit import fit_prompt
from .prompts import ChatTemplate
from .spans import EncodedConversation
from .training_form import find_parts, write_template

logger = logging.get_logger(__name__)

_PROBE = [
    Message(role="user", content="最近总是睡不着。\n\n怎么办？"),
    Message(role="assistant", content=" 这样多久了？"),
    Message(role="user", content="两个月"),
    Message(role="assistant", content="愿意多说一点吗？\n我在听。"),
]


class ChatTemplateEncoder:
    """Encodes conversations for a causal language model.

    Args:
        tokenizer: a fast tokenizer with a chat template.
        max_source_length: tokens of a prompt; a longer one is shortened by `fit`.
        max_target_length: tokens of a reply with its end token. A longer one is cut but still ends with it.
        loss_on: last_turn: a sample for each turn. every_turn: one sample a conversation, labels on every reply; for a
            conversation in which something must be cut or the counsellor speaks twice in a row, and for all where the
            template is not prefix-preserving, last_turn.
        thinking: off: no thought is ever part of a target. keep: the template's own way, whose empty thought before a
            reply is learned with it.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        max_source_length: int,
        max_target_length: int,
        loss_on: Literal["last_turn", "every_turn"],
        thinking: Thinking = "off",
    ):
        if tokenizer.chat_template is None or not tokenizer.is_fast:
            raise ValueError(
                f"{tokenizer.name_or_path}: a causal model is trained in the form of its chat template, by a fast "
                f"tokenizer; found {'no chat template' if tokenizer.chat_template is None else 'a slow tokenizer'}"
            )
        self.tokenizer, self.template = tokenizer, ChatTemplate(tokenizer, thinking)
        self.end_id = tokenizer.convert_tokens_to_ids(self.template.end_token)
        self.max_source_length = max_source_length
        self.max_target_length = max_target_length
        self.is_prefix_preserving = self._check_prefixes()
        if thinking == "off" and not (self.is_prefix_preserving and self._asks_for_no_thoughts()):
            tokenizer.chat_template = write_template(find_parts(self.template))
            self.template = ChatTemplate(tokenizer)
            self.is_prefix_preserving = self._check_prefixes()
            logger.warning(
                "the chat template writes its last turn otherwise than the ones before it, or thinks unless asked not "
                "to: training in the form of its last turn, which is saved with the model"
            )
        tokenizer.eos_token = self.template.end_token  # saved with the model, whose replies stop there
        self.one_pass = loss_on == "every_turn" and self.is_prefix_preserving
        if loss_on == "every_turn" and not self.one_pass:
            logger.warning(
                "loss_on: every_turn is not exact with this chat template (it changes what stands before a reply, or "
                "a reply has no end token in it): training a sample for each turn instead"
            )

    def __call__(self, conversations: Sequence[TrainingConversation]) -> list[EncodedConversation]:
        """Encode a batch of conversations."""
        return [self._encode_conversation(conversation) for conversation in conversations]

    def _check_prefixes(self) -> bool:
        """True if the ids of every prompt and reply of a made conversation are prefixes of those of the whole."""
        conversation = TrainingConversation(_PROBE, [1, 3])
        whole = self._encode_whole(conversation)
        if whole is None:
            return False
        ids, turns = whole
        return all(
            ids[:prompt_end] == self.template.prompt_ids(_PROBE[:number])
            and ids[prompt_end:target_end] == self.template.target_ids(_PROBE[: number + 1])
            for number, (prompt_end, target_end) in zip(conversation.targets, turns, strict=True)
        )

    def _asks_for_no_thoughts(self) -> bool:
        """True if the template's generation prompt, as anybody asks for it, is ours."""
        plain = self.tokenizer.apply_chat_template(_PROBE[:1], tokenize=False, add_generation_prompt=True)
        return plain == self._write_prompt(_PROBE[:1])

    def _encode_conversation(self, conversation: TrainingConversation) -> EncodedConversation:
        encoded = EncodedConversation()
        whole = self._encode_whole(conversation) if self.is_prefix_preserving else None
        if whole is None:
            turns: Sequence[tuple[int, int] | None] = [None] * len(conversation.targets)
        else:
            ids, spans = whole
            encoded.add(ids)
            fits = all(self._fits(*span) for span in spans)
            if self.one_pass and fits and spans:
                encoded.samples.append(_one_pass(spans))
                return encoded
            turns = spans
        for number, turn in zip(conversation.targets, turns, strict=True):
            if turn is not None and self._fits(*turn):
                encoded.samples.append([0, turn[0], 0, *turn, 1])
            else:
                self._add_turn(encoded, conversation.messages[: number + 1])
        return encoded

    def _fits(self, prompt_end: int, target_end: int) -> bool:
        return prompt_end <= self.max_source_length and target_end - prompt_end <= self.max_target_length

    def _encode_whole(self, conversation: TrainingConversation) -> tuple[list[int], list[tuple[int, int]]] | None:
        """Ids of the conversation, and where each target begins and ends in them; None where that is not exact."""
        if not conversation.targets:
            return [], []
        messages = conversation.messages[: conversation.targets[-1] + 1]
        if self.template.has_control_tokens(messages):
            return None
        text = self._write_reply(messages)
        encoding = self.tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        starts = [start for start, _ in encoding["offset_mapping"]]
        ends = [end for _, end in encoding["offset_mapping"]]
        ids, turns = encoding["input_ids"], []
        for number in conversation.targets:
            prompt, reply = self._write_prompt(messages[:number]), self._write_reply(messages[: number + 1])
            if not (reply.startswith(prompt) and text.startswith(reply)):
                return None
            prompt_end, target_end = bisect_left(starts, len(prompt)), bisect_left(starts, len(reply))
            is_at_edges = ends[prompt_end - 1] <= len(prompt) and ends[target_end - 1] <= len(reply)
            if not is_at_edges or ids[target_end - 1] != self.end_id:
                return None
            turns.append((prompt_end, target_end))
        return ids, turns

    def _add_turn(self, encoded: EncodedConversation, messages: Sequence[Message]) -> None:
        """A sample of its own for the last message: cut to fit."""
        prompt = fit_prompt(self.template.prompt_ids, messages[:-1], self.max_source_length, cut_last=True)
        encoded.cut_contexts += prompt.dropped > 0 or prompt.is_cut
        encoded.cut_user_turns += prompt.is_cut
        target_ids = self.template.target_ids(messages)
        if len(target_ids) > self.max_target_length:
            encoded.cut_targets += 1
            target_ids = [*target_ids[: self.max_target_length - 1], self.end_id]
        encoded.samples.append([*encoded.add(prompt.ids), 0, *encoded.add(target_ids), 1])

    def _write_prompt(self, messages: Sequence[Message]) -> str:
        return self.template.render_prompt(self.template.prepare(messages))

    def _write_reply(self, messages: Sequence[Message]) -> str:
        return self.template.render_reply(self.template.prepare(messages))


def _one_pass(turns: Sequence[tuple[int, int]]) -> list[int]:
    """Spans of a whole conversation, labelled where a reply stands."""
    spans, end = [], 0
    for prompt_end, target_end in turns:
        spans += [end, prompt_end, 0, prompt_end, target_end, 1]
        end = target_end
    return spans
