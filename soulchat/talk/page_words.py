"""The words of the page in both languages, the examples, and the script that saves a talk in the browser."""

from .wording import NOTICE

LABELS = {
    "zh": {
        "notice": NOTICE["zh"],
        "placeholder": "想说什么都可以，我在听……",
        "controls": "回复的生成方式",
        "system": "对话之前的说明",
        "temperature": "温度（论文 3.2 节：0.95）",
        "top_p": "Top-p（论文 3.2 节：0.75）",
        "max_new_tokens": "回复的最大词元数（论文 3.2 节：512）",
        "seed": "随机种子",
        "close": "收起求助热线",
        "save": "保存这次对话（到本机文件）",
    },
    "en": {
        "notice": NOTICE["en"],
        "placeholder": "Say whatever is on your mind, I'm listening …",
        "controls": "How replies are generated",
        "system": "System text, before the conversation",
        "temperature": "Temperature (paper, section 3.2: 0.95)",
        "top_p": "Top-p (paper, section 3.2: 0.75)",
        "max_new_tokens": "Longest reply in tokens (paper, section 3.2: 512)",
        "seed": "Seed",
        "close": "Hide the help lines",
        "save": "Save this conversation (to a file on your device)",
    },
}
# Browsers say "zh-CN"; without an entry of that name the page would fall back to English.
LABELS["zh-CN"] = LABELS["zh-TW"] = LABELS["zh"]

# Before a refusal, which Gradio does not translate.
NO_ANSWER = "无法回复 · No reply"
TRY_LATER = "请稍后再试 · Please try again in a moment"

# The paper's own: Figure 1 (also Figures 12 to 14) and Figure 11, in its Chinese and its English.
EXAMPLES = [
    "我最近总觉得自己很焦虑，身心俱疲。不知道该怎么办。",
    "老师你好！我是一个16岁的女孩，我叫叶子（化名），我想咨询一些心理问题。",
    "I have been feeling anxious and physically and mentally exhausted lately. I don't know what to do.",
    "Hello teacher! I am a 16 year old girl, my name is Ye (pseudonym), "
    "and I would like to consult with some psychological issues.",
]

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
