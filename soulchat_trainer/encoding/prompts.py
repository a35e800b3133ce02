"""Messages to the token ids of the prompt that asks for the counsellor's next reply, for training as for chat."""

import re
from collections.abc import Callable, Sequence
from itertools import takewhile

from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase
from transformers.utils import logging

from soulchatcorpus import Message, render_prompt
from soulchatcorpus.dialogue import keep_roles_apart
from soulchatcorpus.thoughts import END, SWITCHES, Thinking, is_open

from ..chatglm import ChatGLMTokenizer
from .fit import Encode
from .styles import render_with_system, split_system
from .typed_text import TypedText

logger = logging.get_logger(__name__)

NO_MORE_THOUGHTS = f"\n{END}\n\n"  # closes a thought that a generation prompt has opened, as Qwen 3 writes it

MARK = "\ue000"  # from the private use area: a placeholder for text that is put into the rendered template later


def prompt_encoder(
    tokenizer: PreTrainedTokenizerBase,
    render: Callable[[Sequence[Message]], str] | None = None,
    thinking: Thinking = "off",
) -> Encode:
    """The function from messages, of which the first may be a system text, to the token ids of the prompt.

    Args:
        tokenizer: prompts go through its chat template; ChatGLM's, and one without a template, encodes text.
        render: how a talk is written; by default the chat template's own way, or `dialogue.render_prompt`.
        thinking: whether the model is asked to think before it replies, where its template supports that.
    """

    typed = TypedText(tokenizer)

    def write(messages: Sequence[Message]) -> str:
        return render_with_system(as_said(typed, messages), render or render_prompt)

    if isinstance(tokenizer, ChatGLMTokenizer) or tokenizer.chat_template is None:
        return lambda messages: tokenizer(write(messages), split_special_tokens=True).input_ids
    template = ChatTemplate(tokenizer, thinking)
    if render is None:
        return template.prompt_ids
    return lambda messages: template.prompt_ids([Message(role="user", content=write(messages))])


def target_encoder(
    tokenizer: PreTrainedTokenizerBase, render: Callable[[Sequence[Message]], str] | None = None
) -> Encode:
    """The function from messages, of which the last is the reply, to the token ids that follow its prompt.

    They are those that training labels, to the end token; ChatGLM's <sop> is of the prompt.

    Args:
        tokenizer, render: as for `prompt_encoder`, whose prompts these follow.
    """
    typed = TypedText(tokenizer)
    if isinstance(tokenizer, ChatGLMTokenizer) or tokenizer.chat_template is None:
        return lambda messages: reply_ids(tokenizer, [messages[-1]["content"]])[0]
    template = ChatTemplate(tokenizer)
    if render is None:
        return template.target_ids

    def encode(messages: Sequence[Message]) -> list[int]:
        asked = render_with_system(as_said(typed, messages[:-1]), render)
        return template.target_ids([Message(role="user", content=asked), messages[-1]])

    return encode


def reply_ids(tokenizer: PreTrainedTokenizerBase, replies: Sequence[str]) -> list[list[int]]:
    """The ids of `target_encoder` for many replies at once, whatever they answer; white space around them counts."""
    if isinstance(tokenizer, ChatGLMTokenizer) or tokenizer.chat_template is None:
        typed, end = TypedText(tokenizer), [tokenizer.eos_token_id]
        texts = [keep_roles_apart(typed.spell_out(reply)) for reply in replies]
    else:
        template = ChatTemplate(tokenizer)
        head, end = template.around_reply()
        texts = [head + template.typed.spell_out(reply) for reply in replies]
    encoded = tokenizer(texts, add_special_tokens=False, split_special_tokens=True).input_ids
    return [[*ids, *end] for ids in encoded]


def as_said(typed: TypedText, messages: Sequence[Message]) -> list[Message]:
    """The messages with contents that spell no control token and no role, for a talk that is written as one text."""
    return [
        Message(role=message["role"], content=keep_roles_apart(typed.spell_out(message["content"])))
        for message in messages
    ]


class ChatTemplate:
    """A tokenizer's chat template, and talks as every template takes them.

    Args:
        tokenizer: one with a chat template.
        thinking: off: what the template writes for "no thoughts" ends every prompt, so that it is no part of a reply.
            keep: the template's own way.

    Attributes:
        surplus: what the template writes behind the end token of a talk's last reply: no part of it (Command R7B asks
            for another reply, whether it is to or not).
        no_thoughts: what stands behind the template's generation prompt for that; empty where it says so itself. The
            mark of the speaker where a template has no generation prompt.
        end_token: what ends a reply: the control token that the template writes behind every one, which with Gemma
            and Phi-3 is not the tokenizer's end token; else that.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, thinking: Thinking = "off") -> None:
        self.tokenizer, self.typed, self.thinking = tokenizer, TypedText(tokenizer), thinking
        self.surplus = self._find_surplus()
        self.takes_system = self._find_system()
        self.typed = TypedText(tokenizer, self._find_roles())
        self.no_thoughts = self._find_no_thoughts()
        self.end_token = self._find_end()

    def _find_surplus(self) -> str:
        end = self.tokenizer.eos_token
        talk = [Message(role="user", content="你好"), Message(role="assistant", content=MARK)]
        behind = self.render(talk, False).partition(MARK)[2].partition(end)[2] if end else ""
        return behind if behind.strip() else ""

    def _find_no_thoughts(self) -> str:
        talk = [Message(role="user", content="你好")]
        prompt = self.render(talk, True)
        header = self.before_reply(talk).removeprefix(prompt) if self.before_reply(talk).startswith(prompt) else ""
        if self.thinking == "keep":  # a template without any generation prompt is asked with the speaker's mark
            return header if prompt == self.render(talk, False) else ""
        if header.strip():  # an empty thought, gpt-oss's channel of the reply; or the whole mark of the speaker
            return header
        return NO_MORE_THOUGHTS if is_open(prompt) else ""

    def _find_end(self) -> str:
        user, reply = Message(role="user", content="你好"), Message(role="assistant", content=MARK)
        last, inside = self.after_reply([user]), self.render([user, reply, user], True).partition(MARK)[2]
        both = "".join(
            one for one, other in takewhile(lambda pair: pair[0] == pair[1], zip(last, inside, strict=False))
        )
        if self.tokenizer.eos_token and self.tokenizer.eos_token in both:
            return self.tokenizer.eos_token
        spellings = (token.content for token in self.tokenizer.added_tokens_decoder.values())
        found = [spelling for spelling in spellings if last.startswith(spelling) and inside.startswith(spelling)]
        return max(found, key=len, default=self.tokenizer.eos_token)

    def before_reply(self, prepared: Sequence[Message]) -> str:
        """What the template writes before the reply in a talk that it ends."""
        before, mark, _ = self.render([*prepared, Message(role="assistant", content=MARK)], False).partition(MARK)
        if not mark:
            raise ValueError("the chat template leaves out the counsellor's words; give a tokenizer with another one")
        return before

    def after_reply(self, prepared: Sequence[Message]) -> str:
        """What the template writes behind the reply in a talk that it ends."""
        return self._render_said([*prepared, Message(role="assistant", content=MARK)]).partition(MARK)[2]

    def _find_system(self) -> bool:
        """True if the template writes a system text; some refuse one, some leave it out."""
        probe = [Message(role="system", content="说明"), Message(role="user", content="你好")]
        try:
            return probe[0]["content"] in self.render(probe, True)
        except ValueError:
            return False

    def _find_roles(self) -> list[str]:
        """The lines between messages that hold no control token, so that somebody could type them."""
        talk = [
            Message(role="user", content=""),
            Message(role="assistant", content=""),
            Message(role="user", content=""),
        ]
        system = [Message(role="system", content="")] if self.takes_system else []
        written = self.render(mark_contents([*system, *talk]), True)
        between = re.split("\ue001.\ue001", written)[1:]
        plain = [part for part in between if not self.typed.spells_control_tokens(part)]
        lines = {line.strip() for part in plain for line in part.split("\n")}
        return sorted(line for line in lines if any(map(str.isalnum, line)))

    def prepare(self, messages: Sequence[Message]) -> list[Message]:
        """Messages in which the speakers take turns and the user has the first word.

        Neighbouring messages of one speaker are one, with a newline between. Before an opening of the counsellor's
        stands a message of the user's without words. A system text goes before the first user's words, on lines of
        its own, where the template has no place for it.
        """
        system, talk = split_system(messages)
        prepared: list[Message] = []
        for message in talk:
            if prepared and prepared[-1]["role"] == message["role"]:
                content = prepared[-1]["content"] + "\n" + message["content"]
                prepared[-1] = Message(role=message["role"], content=content)
                continue
            if not prepared and message["role"] == "assistant":
                prepared.append(Message(role="user", content=""))
            prepared.append(message)
        if system is None:
            return prepared
        if self.takes_system:
            return [Message(role="system", content=system), *prepared]
        logger.warning_once("the chat template takes no system text: it stands before the first user's words instead")
        return [Message(role="user", content=system + "\n" + prepared[0]["content"]), *prepared[1:]]

    def render(self, prepared: Sequence[Message], add_generation_prompt: bool) -> str:
        """The template's text; raises ValueError where it refuses the messages."""
        try:
            return self.tokenizer.apply_chat_template(
                prepared, tokenize=False, add_generation_prompt=add_generation_prompt, **SWITCHES[self.thinking]
            )
        except (TemplateError, TypeError) as error:  # TypeError where it iterates over tools and there are none
            raise ValueError(f"the chat template refuses a conversation: {error}") from error

    def render_prompt(self, prepared: Sequence[Message]) -> str:
        """The text before a reply; where the counsellor has just spoken, the reply goes on with those words."""
        if prepared[-1]["role"] == "assistant":
            unsaid = [*prepared[:-1], Message(role="assistant", content=MARK)]
            return self.render(unsaid, False).partition(MARK)[0] + prepared[-1]["content"] + "\n"
        return self.render(prepared, True) + self.no_thoughts

    def prompt_ids(self, messages: Sequence[Message]) -> list[int]:
        """Token ids of a prompt; control tokens that somebody typed stay text."""
        prepared = self.prepare(messages)
        if not self.has_control_tokens(prepared):
            return self.ids(self.render_prompt(prepared))
        marked = mark_contents(prepared)
        return self.put_in(self.render_prompt(marked), marked, prepared)

    def target_ids(self, messages: Sequence[Message]) -> list[int]:
        """Token ids of the last message as the template writes it after a prompt, to its end token.

        Raises:
            ValueError: the template writes a reply in another place than after its generation prompt.
        """
        return self._end(self._written_ids(messages))

    def around_reply(self) -> tuple[str, list[int]]:
        """The text that the template writes between a prompt and the reply's words, and the ids behind these."""
        asked = [Message(role="user", content="你好")]
        reply = self.render_reply([*asked, Message(role="assistant", content=MARK)])
        head, _, tail = self._after_prompt(self.render_prompt(asked), reply, asked).partition(MARK)
        return head, self._end(self.ids(tail))

    def _end(self, ids: list[int]) -> list[int]:
        end = self.tokenizer.convert_tokens_to_ids(self.end_token)
        return [*ids[: ids.index(end)], end] if end in ids else [*ids, end]

    def _written_ids(self, messages: Sequence[Message]) -> list[int]:
        asked, said = self.prepare(messages[:-1]), self.prepare(messages)
        if not self.has_control_tokens(said):
            prompt, reply = self.render_prompt(asked), self.render_reply(said)
            # A template that cuts white space off cuts it off words that a reply goes on with, too: the prompt has it.
            if asked[-1]["role"] == "user" or reply.startswith(prompt):
                return self.ids(self._after_prompt(prompt, reply, asked))
        mark = Message(role="assistant", content=MARK)
        if asked[-1]["role"] == "assistant":  # the reply goes on with words of the counsellor's, which have been read
            said = [*said[:-1], messages[-1]]
            reply = self.render_reply([*asked[:-1], mark])
            start = reply.partition(MARK)[0] + MARK
        else:
            reply, start = self.render_reply([*asked, mark]), self.render_prompt(asked)
            return self.put_in(self._after_prompt(start, reply, asked), [mark], said[-1:])
        return self.put_in(MARK + self._after_prompt(start, reply, asked), [mark], said[-1:])

    def render_reply(self, prepared: Sequence[Message]) -> str:
        """The talk up to its last message, the counsellor's, and the mark that ends it."""
        return self._render_said(prepared).rstrip("\n")

    def _render_said(self, prepared: Sequence[Message]) -> str:
        return self.render(prepared, False).removesuffix(self.surplus)

    def put_in(self, text: str, marked: Sequence[Message], messages: Sequence[Message]) -> list[int]:
        """Token ids of a template's text with the contents of messages where those of the marked ones stand."""
        ids: list[int] = []
        for mark, message in zip(marked, messages, strict=True):
            before, found, after = text.partition(mark["content"])
            if found:  # a template may leave earlier messages out
                ids += self.ids(before) + self.typed.encode(message["content"])
                text = after
        return ids + self.ids(text)

    def has_control_tokens(self, messages: Sequence[Message]) -> bool:
        """True if somebody typed a control token."""
        return any(self.typed.spells_control_tokens(message["content"]) for message in messages)

    def _after_prompt(self, prompt: str, reply: str, asked: Sequence[Message]) -> str:
        if reply.startswith(prompt):
            return reply[len(prompt) :]
        before = self.before_reply(asked)
        if not reply.startswith(before):
            raise ValueError("the chat template writes a reply in another place than after its generation prompt")
        # A thought that the prompt has opened is ended first; the talk itself is written without.
        return (NO_MORE_THOUGHTS if is_open(prompt) else "") + reply[len(before) :]

    def ids(self, text: str) -> list[int]:
        """Token ids of a text that a template wrote."""
        return self.tokenizer(text, add_special_tokens=False).input_ids


def mark_contents(messages: Sequence[Message]) -> list[Message]:
    """The messages with a mark of its own, which nobody types, for each content."""
    return [Message(role=message["role"], content=f"\ue001{n}\ue001") for n, message in enumerate(messages)]
