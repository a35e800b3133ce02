"""How a talk becomes a prompt: the paper's lines, ChatGLM's rounds, MeChat's instruction, a chat template, a file."""

import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from pathlib import Path

from transformers import PreTrainedTokenizerBase

from soulchatcorpus import Message, render_prompt

from ..chatglm import ChatGLMTokenizer

# MeChat's instruction: GitHub qiuhuachuan/smile, MeChat.py, commit 9f8afc0b (CC0-1.0).
MECHAT_INSTRUCTION = (
    "现在你扮演一位专业的心理咨询师，你具备丰富的心理学和心理健康知识。你擅长运用多种心理咨询技巧，例如认知行为疗法原则、"
    "动机访谈技巧和解决问题导向的短期疗法。以温暖亲切的语气，展现出共情和对来访者感受的深刻理解。以自然的方式与来访者进行对话，"
    "避免过长或过短的回应，确保回应流畅且类似人类的对话。提供深层次的指导和洞察，使用具体的心理概念和例子帮助来访者更深入地"
    "探索思想和感受。避免教导式的回应，更注重共情和尊重来访者的感受。根据来访者的反馈调整回应，确保回应贴合来访者的情境和需求。"
    "请为以下的对话生成一个回复。\n\n对话：\n{dialogue_history}"
)
MECHAT_LINES = {"user": "来访者：", "assistant": "咨询师："}
HISTORY = "{dialogue_history}"


def render_mechat(messages: Sequence[Message]) -> str:
    """MeChat's instruction, then 来访者：/咨询师： lines, ending with the counsellor's cue."""
    lines = [MECHAT_LINES[message["role"]] + message["content"] for message in messages]
    return MECHAT_INSTRUCTION.replace(HISTORY, "\n".join([*lines, MECHAT_LINES["assistant"]]))


def render_chatglm(messages: Sequence[Message]) -> str:
    """ChatGLM-6B's own chat form: "[Round 0]\\n问：…\\n答：…"; a first turn without history is the bare text."""
    if len(messages) == 1:
        return messages[0]["content"]
    text, rounds = "", 0
    for message in messages:
        if message["role"] == "user":
            text += f"[Round {rounds}]\n问：{message['content']}\n"
            rounds += 1
        else:
            text += f"答：{message['content']}\n"
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


def encode_prompt(
    tokenizer: PreTrainedTokenizerBase,
    messages: Sequence[Message],
    render: Callable[[Sequence[Message]], str] | None = None,
) -> list[int]:
    """Token ids of the prompt that asks for the next reply.

    Args:
        tokenizer: with a chat template the prompt goes through it; ChatGLM's, or one without, encodes it as it stands.
        messages: the talk, ending with the user's words; a system text may stand first.
        render: how the talk is written; by default the chat template's own way, or `dialogue.render_prompt`.
    """
    if isinstance(tokenizer, ChatGLMTokenizer) or tokenizer.chat_template is None:
        text = render_with_system(messages, render or render_prompt)
        return tokenizer(text, split_special_tokens=True).input_ids
    if render is not None:
        messages = [{"role": "user", "content": render_with_system(messages, render)}]
    return _apply_template(tokenizer, messages)


def render_with_system(messages: Sequence[Message], render: Callable[[Sequence[Message]], str]) -> str:
    """The talk as one text; the paper's form knows no system text, so one stands on lines of its own before it."""
    if messages[0]["role"] == "system":
        return messages[0]["content"] + "\n" + render(messages[1:])
    return render(messages)


def prompt_room(window: int, max_new_tokens: int) -> int:
    """Tokens for a prompt in a window of `window` tokens.

    At most a quarter is kept free for the reply: the paper's 512 of 2,048 (section 3.2).
    """
    return window - min(max_new_tokens, window // 4)


def fit_prompt(
    encode: Callable[[Sequence[Message]], list[int]], messages: Sequence[Message], room: int, cut_last: bool
) -> tuple[list[int], int]:
    """The prompt of the longest end of a talk that fits; the oldest turns are dropped whole.

    Args:
        encode: messages -> token ids of the prompt.
        messages: the talk; a system text that stands first is never dropped.
        room: most tokens of the prompt.
        cut_last: let a last message that alone is too long lose its beginning, as in training.

    Returns:
        the token ids, and how many of the oldest messages they leave out.

    Raises:
        ValueError: there is no message; the last one alone does not fit.
    """
    if not messages:
        raise ValueError("the talk has no messages; allowed: at least one")
    system = [message for message in messages[:1] if message["role"] == "system"]
    messages = messages[len(system) :]
    if not messages:
        raise ValueError("the talk is only a system text; allowed: messages after it")

    def encode_from(start: int) -> list[int]:
        return encode([*system, *messages[start:]])

    # A search, because a talk may have thousands of turns and each try encodes all that is left of it.
    starts = [start for start, message in enumerate(messages) if start == 0 or message["role"] == "user"]
    place = bisect_left(starts, True, key=lambda start: len(encode_from(start)) <= room)
    start = starts[min(place, len(starts) - 1)]
    prompt_ids = encode_from(start)
    if len(prompt_ids) <= room:
        return prompt_ids, start
    role, last = messages[-1]["role"], messages[-1]["content"]

    def encode_end(length: int) -> list[int]:
        return encode([*system, Message(role=role, content=last[len(last) - length :])])

    if not cut_last or len(encode_end(0)) > room:
        raise ValueError(f"the last message makes a prompt of {len(prompt_ids)} tokens; allowed: at most {room}")
    longest = bisect_right(range(len(last) + 1), room, key=lambda length: len(encode_end(length))) - 1
    return encode_end(longest), len(messages) - 1


def _apply_template(tokenizer: PreTrainedTokenizerBase, messages: Sequence[Message]) -> list[int]:
    """The chat template's ids; control tokens that somebody typed stay text."""
    if not any(token in message["content"] for token in tokenizer.all_special_tokens for message in messages):
        return tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
    marked = [{"role": message["role"], "content": f"\ue000{n}\ue001"} for n, message in enumerate(messages)]
    rest = tokenizer.apply_chat_template(marked, add_generation_prompt=True, tokenize=False)
    ids: list[int] = []
    for mark, message in zip(marked, messages, strict=True):
        before, _, rest = rest.partition(mark["content"])
        ids += tokenizer(before, add_special_tokens=False).input_ids
        ids += tokenizer(message["content"], add_special_tokens=False, split_special_tokens=True).input_ids
    return ids + tokenizer(rest, add_special_tokens=False).input_ids
