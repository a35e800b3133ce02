"""Styles in which a talk is written as one text: the paper's lines, ChatGLM's rounds, MeChat's instruction, a file."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

from soulchatcorpus import Message, render_prompt
from soulchatcorpus.dialogue import keep_roles_apart, opens_message, render_line

# MeChat's instruction: GitHub qiuhuachuan/smile, MeChat.py, commit 9f8afc0b (CC0-1.0).
MECHAT_INSTRUCTION = (
    "现在你扮演一位专业的心理咨询师，你具备丰富的心理学和心理健康知识。你擅长运用多种心理咨询技巧，例如认知行为疗法原则、"
    "动机访谈技巧和解决问题导向的短期疗法。以温暖亲切的语气，展现出共情和对来访者感受的深刻理解。以自然的方式与来访者进行对话，"
    "避免过长或过短的回应，确保回应流畅且类似人类的对话。提供深层次的指导和洞察，使用具体的心理概念和例子帮助来访者更深入地"
    "探索思想和感受。避免教导式的回应，更注重共情和尊重来访者的感受。根据来访者的反馈调整回应，确保回应贴合来访者的情境和需求。"
    "请为以下的对话生成一个回复。\n\n对话：\n{dialogue_history}"
)
MECHAT_LINES = {"user": "来访者：", "assistant": "咨询师："}
# In the plain forms of `soulchatcorpus.care.folding`.
MECHAT_STARTS = ("来访者:", "咨询师:")
CHATGLM_STARTS = ("[round", "问:", "答:")
HISTORY = "{dialogue_history}"


def render_mechat(messages: Sequence[Message]) -> str:
    """MeChat's instruction, then 来访者：/咨询师： lines, ending with the counsellor's cue."""
    lines = [
        MECHAT_LINES[message["role"]] + keep_roles_apart(message["content"], MECHAT_STARTS) for message in messages
    ]
    return MECHAT_INSTRUCTION.replace(HISTORY, "\n".join([*lines, MECHAT_LINES["assistant"]]))


def render_chatglm(messages: Sequence[Message]) -> str:
    """ChatGLM-6B's own chat form: "[Round 0]\\n问：…\\n答：…"; a first turn without history is the bare text."""
    if len(messages) == 1:
        return messages[0]["content"]
    text, rounds = "", 0
    for message in messages:
        content = keep_roles_apart(message["content"], CHATGLM_STARTS)
        if message["role"] == "user":
            text += f"[Round {rounds}]\n问：{content}\n"
            rounds += 1
        else:
            text += f"答：{content}\n"
    return text + "答："


def render_file(path: Path) -> Callable[[Sequence[Message]], str]:
    """A template file whose `{dialogue_history}` is replaced by the lines of `dialogue.render_prompt`.

    Raises:
        ValueError: the file has no `{dialogue_history}`, or is no text in UTF-8.
        OSError: it cannot be read.
    """
    try:
        template = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"prompt template {path} is no text in UTF-8: {error}") from None
    if HISTORY not in template:
        raise ValueError(f"prompt template {path} has no {HISTORY}; allowed: a text that has it")
    return lambda messages: template.replace(HISTORY, render_prompt(messages))


RENDERERS = {"soulchat": render_prompt, "chatglm": render_chatglm, "mechat": render_mechat}


def renderer(style: str) -> Callable[[Sequence[Message]], str]:
    """The renderer of a style: soulchat, chatglm, mechat, or the path of a template."""
    if style in RENDERERS:
        return RENDERERS[style]
    if Path(style).is_file():
        return render_file(Path(style))
    raise ValueError(f"prompt style is {style!r}; allowed: {', '.join(RENDERERS)}, or the path of a template file")


def prompt_name(style: str | None) -> str | None:
    """What results call a style: a template's file is told by its name and a hash, its place is nobody's business."""
    if style is None or style in RENDERERS:
        return style
    digest = hashlib.sha256(Path(style).read_bytes()).hexdigest()
    return f"{Path(style).name} sha256:{digest[:16]}"


def split_system(messages: Sequence[Message]) -> tuple[str | None, Sequence[Message]]:
    """The system text, None where no message is one, and the messages after it."""
    if messages and messages[0]["role"] == "system":
        return messages[0]["content"], messages[1:]
    return None, messages


def write_line(message: Message) -> str:
    """A message as it stands in a talk of the paper's form, with its newline.

    A system text has no prefix; one that begins like a message of the talk is quoted.
    """
    if message["role"] != "system":
        return render_line(message) + "\n"
    text = keep_roles_apart(message["content"])
    return ("> " if opens_message(text) else "") + text + "\n"


def render_with_system(messages: Sequence[Message], render: Callable[[Sequence[Message]], str]) -> str:
    """The talk as one text; no style has a place for a system text, so one stands on lines of its own before it."""
    system, talk = split_system(messages)
    return render(talk) if system is None else write_line(messages[0]) + render(talk)
