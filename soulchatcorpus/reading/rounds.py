"""Formats that are questions with replies, the rounds before them in a history.

alpaca      {"instruction", "input", "output", "history": [[user, assistant], …], "system"}: LLaMA-Factory
chatglm     {"prompt", "response", "history"}: ChatGLM-6B
swift       {"query", "response", "history", "system"}: ms-swift
xtuner      {"conversation": [{"system", "input", "output"}]}: XTuner, EmoLLM; with "human" and "assistant": Firefly;
            with "role" and "content": LMSYS-Chat-1M, WildChat
questions   {"question", "answer"}: what `soulchat corpus clean` and `rewrite` start from
"""

from ..schema import Conversation, Message
from .fields import field, join_lines, kind, optional_text, read_messages, record_id, system_text, text, topic
from .transcripts import BadRecord, read_asked


def read_alpaca(record: dict, default_id: str) -> list[Conversation]:
    question = join_lines(text(record, "instruction"), optional_text(record, "input"))
    return _read(record, question, text(record, "output"), default_id)


def read_chatglm(record: dict, default_id: str) -> list[Conversation]:
    return _read(record, text(record, "prompt"), text(record, "response"), default_id)


def read_swift(record: dict, default_id: str) -> list[Conversation]:
    return _read(record, text(record, "query"), text(record, "response"), default_id)


def read_question(record: dict, default_id: str) -> list[Conversation]:
    return _read(record, text(record, "question"), text(record, "answer"), default_id)


def read_xtuner(record: dict, default_id: str) -> list[Conversation]:
    rounds = field(record, "conversation")
    if type(rounds) is not list:
        raise BadRecord(f"'conversation' is {kind(rounds)}; allowed: a list")
    messages: list[Message] = []
    for turn in rounds:
        if type(turn) is dict and "human" in turn:
            user, assistant = text(turn, "human"), text(turn, "assistant")
        elif type(turn) is dict and "role" in turn:
            return [Conversation(record_id(record, "id", default_id), read_messages(rounds), topic(record))]
        else:
            messages += system_text(turn)
            user, assistant = text(turn, "input"), text(turn, "output")
        messages += [Message(role="user", content=user), Message(role="assistant", content=assistant)]
    return [Conversation(record_id(record, "id", default_id), messages)]


def _read(record: dict, question: str, answer: str, default_id: str) -> list[Conversation]:
    messages = system_text(record)
    history = record.get("history") or []
    if type(history) is not list or not all(type(pair) is list and len(pair) == 2 for pair in history):
        raise BadRecord("'history' is not a list of [user, assistant] pairs")
    for user, assistant in history:
        if type(user) is not str or type(assistant) is not str:
            raise BadRecord(f"'history' holds {kind(user)} and {kind(assistant)}; allowed: texts")
        messages.append(Message(role="user", content=user))
        messages.append(Message(role="assistant", content=assistant))
    messages += [*read_asked(question), Message(role="assistant", content=answer)]
    return [Conversation(record_id(record, "id", default_id), messages, topic(record))]
