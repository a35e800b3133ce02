"""The training form of a chat template: every turn of a talk written as the template writes the last one.

Templates of models that think write their last turn otherwise than the ones before it: Qwen 3 puts an empty thought
before the last reply only, DeepSeek's distillations open one in the generation prompt and leave it out of the talk,
gpt-oss ends the last reply with another token, GLM-4 ends none. A talk in such a form is another text after each turn,
so one pass over it cannot train all turns. The parts of a turn are found by having the template write made messages;
from them comes a template of a few lines, which is saved with the model: whoever asks it then, asks what it learned.
"""

import json
from dataclasses import dataclass

from soulchatcorpus import Message

from .prompts import MARK, ChatTemplate

FIRST, LATER, SYSTEM, SPACED = "甲\ue002", "乙\ue003", "丙\ue004", " 丁\ue005 "


@dataclass(frozen=True, slots=True)
class TemplateParts:
    """The texts around the messages of a talk.

    Attributes:
        start: before the user's first words, where there is no system text.
        system_start, system_end: around a system text; behind it come the user's first words.
        user_start: before later words of the user's.
        user_end: behind the user's words.
        reply_start: the generation prompt.
        reply_end: behind a reply; begins with the token that ends it.
        is_trimmed: whether white space around the user's words is cut off.
    """

    start: str
    system_start: str
    system_end: str
    user_start: str
    user_end: str
    reply_start: str
    reply_end: str
    is_trimmed: bool


def find_parts(template: ChatTemplate) -> TemplateParts:
    """The parts of a chat template's turns, each as in the last one.

    Raises:
        ValueError: the template leaves out messages.
    """
    user, reply, later = (
        Message(role="user", content=FIRST),
        Message(role="assistant", content=MARK),
        Message(role="user", content=LATER),
    )
    start, _, user_end = _split(template.render([user], False), FIRST)
    prompt, before = template.render_prompt([user]), template.before_reply([user])
    if before.startswith(prompt) and not before.removeprefix(prompt).strip("\n"):
        prompt = before  # GLM-4.5 begins a reply with a newline
    behind_user = _split(prompt, FIRST)[2]
    if not behind_user.startswith(user_end):  # Phi-3 ends a talk that asks for nothing
        user_end = user_end.removesuffix(template.tokenizer.eos_token)
    reply_start = behind_user.removeprefix(user_end)
    reply_end = template.after_reply([user])
    between = _split(_split(template.render_prompt([user, reply, later]), MARK)[2], LATER)[0]
    reply_end, user_start = _part_turns(template, reply_end, between)
    if template.takes_system:
        whole = template.render_prompt([Message(role="system", content=SYSTEM), user])
        system_start, _, rest = _split(whole, SYSTEM)
        system_end = _split(rest, FIRST)[0]
    else:
        system_start, system_end = start, "\n"
    is_trimmed = SPACED not in template.render([Message(role="user", content=SPACED)], True)
    return TemplateParts(
        start, system_start, system_end, user_start, user_end, reply_start, reply_end, is_trimmed=is_trimmed
    )


def _part_turns(template: ChatTemplate, reply_end: str, between: str) -> tuple[str, str]:
    """What ends a reply, and what begins the user's next words, from what stands between both inside of a talk."""
    end = template.end_token
    if not reply_end.strip():  # the next speaker's mark ends it (GLM-4, MiniCPM)
        return end, between
    if between.startswith(reply_end):
        return reply_end, between.removeprefix(reply_end)
    if reply_end.startswith(end) and between.startswith(end):  # Phi-3 ends the talk, too
        return end, between.removeprefix(end)
    tokens = [token for token in template.tokenizer.all_special_tokens if between.startswith(token)]
    return reply_end, between.removeprefix(max(tokens, key=len, default=""))  # gpt-oss: <|end|>, at last <|return|>


def _split(text: str, mark: str) -> tuple[str, str, str]:
    before, found, after = text.partition(mark)
    if not found:
        raise ValueError("the chat template leaves out a message of the talk; give a tokenizer with another one")
    return before, found, after


def write_template(parts: TemplateParts) -> str:
    """The chat template (Jinja) that writes every turn with these parts."""

    def quote(text: str) -> str:
        return json.dumps(text, ensure_ascii=False)

    content = "message['content'] | trim" if parts.is_trimmed else "message['content']"
    return (
        "{%- if messages[0]['role'] == 'system' -%}"
        f"{{{{- {quote(parts.system_start)} + messages[0]['content'] + {quote(parts.system_end)} -}}}}"
        "{%- set talk = messages[1:] -%}"
        "{%- else -%}"
        f"{{{{- {quote(parts.start)} -}}}}"
        "{%- set talk = messages -%}"
        "{%- endif -%}"
        "{%- for message in talk -%}"
        "{%- if message['role'] == 'assistant' -%}"
        f"{{{{- {quote(parts.reply_start)} + message['content'] + {quote(parts.reply_end)} -}}}}"
        "{%- else -%}"
        f"{{%- if not loop.first -%}}{{{{- {quote(parts.user_start)} -}}}}{{%- endif -%}}"
        f"{{{{- {content} -}}}}{{{{- {quote(parts.user_end)} -}}}}"
        "{%- endif -%}"
        "{%- endfor -%}"
        f"{{%- if add_generation_prompt -%}}{{{{- {quote(parts.reply_start)} -}}}}{{%- endif -%}}"
    )
