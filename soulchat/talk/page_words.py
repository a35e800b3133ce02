"""The words of the page in both languages, the examples, and the script that saves a talk in the browser."""

from typing import Any

from soulchatcorpus.care.help_lines import Language

from .limits import Limits, OverLimit
from .wording import NOTICE

# The paper's own: Figure 1 (also Figures 12 to 14) and Figure 11, in its Chinese and its English.
EXAMPLES: dict[Language, list[str]] = {
    "zh": [
        "我最近总觉得自己很焦虑，身心俱疲。不知道该怎么办。",
        "老师你好！我是一个16岁的女孩，我叫叶子（化名），我想咨询一些心理问题。",
    ],
    "en": [
        "I have been feeling anxious and physically and mentally exhausted lately. I don't know what to do.",
        "Hello teacher! I am a 16 year old girl, my name is Ye (pseudonym), "
        "and I would like to consult with some psychological issues.",
    ],
}
LABELS: dict[Language, dict[str, dict[str, Any]]] = {
    "zh": {
        "notice": {"value": NOTICE["zh"]},
        "talk": {"label": "对话", "examples": [{"text": example} for example in EXAMPLES["zh"]]},
        "message": {"label": "消息", "placeholder": "想说什么都可以，我在听……"},
        "controls": {"label": "采样设置"},
        "system": {"label": "系统提示词"},
        "temperature": {"label": "温度（论文 3.2 节：0.95）"},
        "top-p": {"label": "Top-p（论文 3.2 节：0.75）"},
        "max-new-tokens": {"label": "回复的最大长度，按 token 计（论文 3.2 节：512）"},
        "seed": {"label": "随机种子"},
        "close": {"value": "关闭"},
        "about-me": {"label": "关于我（可不填）"},
        "about-note": {
            "value": "打开以后，填写的内容会随每条消息交给模型，回复可能因此不同。它只留在这个浏览器里，不会保存，"
            "清空对话时一并清除。请不要写姓名、电话等能认出您的信息。"
        },
        "tells": {"label": "把下面的情况告诉模型"},
        "age": {"label": "年龄（如 23，模型只会得知年龄段）"},
        "gender": {"label": "性别"},
        "occupation": {"label": "职业"},
        "about": {"label": "其他想说明的"},
        "save": {"value": "保存这次对话（到本机文件）"},
    },
    "en": {
        "notice": {"value": NOTICE["en"]},
        "talk": {"label": "Conversation", "examples": [{"text": example} for example in EXAMPLES["en"]]},
        "message": {"label": "Message", "placeholder": "Say whatever is on your mind, I'm listening …"},
        "controls": {"label": "Sampling"},
        "system": {"label": "System prompt"},
        "temperature": {"label": "Temperature (paper, section 3.2: 0.95)"},
        "top-p": {"label": "Top-p (paper, section 3.2: 0.75)"},
        "max-new-tokens": {"label": "Longest reply in tokens (paper, section 3.2: 512)"},
        "seed": {"label": "Seed"},
        "close": {"value": "Close"},
        "about-me": {"label": "About me (optional)"},
        "about-note": {
            "value": "Switched on, what you write here goes to the model with every message, and replies may differ "
            "for it. It stays in this browser, is not stored, and is cleared with the conversation. Please write "
            "nothing by which you can be recognised, such as your name or phone number."
        },
        "tells": {"label": "Tell the model the following"},
        "age": {"label": "Age (such as 23; the model learns the age group only)"},
        "gender": {"label": "Gender"},
        "occupation": {"label": "Occupation"},
        "about": {"label": "Anything else"},
        "save": {"value": "Save this conversation (to a file on your device)"},
    },
}
NO_ANSWER: dict[Language, str] = {"zh": "无法回复：", "en": "No reply: "}
TRY_LATER: dict[Language, str] = {"zh": "请稍后再试：", "en": "Please try again in a moment: "}


def explain(error: Exception, message: str, limits: Limits, language: Language) -> str:
    """Why there is no reply to `message`: in English what was raised, in Chinese words of its own for each kind."""
    title = (TRY_LATER if isinstance(error, OverLimit) else NO_ANSWER)[language]
    if not isinstance(error, ValueError | RuntimeError):
        return title + type(error).__name__  # what it says may hold a user's words
    return title + (str(error) if language == "en" else _in_chinese(error, message, limits))


def _in_chinese(error: Exception, message: str, limits: Limits) -> str:
    if isinstance(error, OverLimit):
        return "消息发得太快，或等待回复的人太多。"
    if isinstance(error, RuntimeError):
        return "模型出了故障。"
    if not message.strip():
        return "消息是空的，请先写点什么。"
    if len(message) > limits.message_characters:
        return f"这条消息有 {len(message):,} 个字，最多 {limits.message_characters:,} 个字。"
    return "这条消息或采样设置无法处理。请缩短消息和系统提示词，或恢复默认设置再试。"


# Runs in the browser alone: the talk goes from the page into a file of its reader, and the server stores nothing.
SAVE_TALK = r"""(talk) => {
    const text = (content) => typeof content === "string" ? content : content.map((part) => part.text ?? "").join("");
    const plain = (content) => text(content).replaceAll("<\u200b", "<").replaceAll("&\u200b", "&");
    const said = talk.filter((entry) => !entry.metadata?.id);  // not the help lines
    const messages = said.map((entry) => ({role: entry.role, content: plain(entry.content)}));
    const file = new Blob([JSON.stringify({messages}, null, 1)], {type: "application/json"});
    const link = document.createElement("a");
    link.href = URL.createObjectURL(file);
    link.download = "soulchat-talk.json";
    link.click();
    URL.revokeObjectURL(link.href);
}"""
