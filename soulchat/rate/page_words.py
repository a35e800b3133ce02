"""The words of the page for raters in both languages."""

from typing import Any

from soulchatcorpus.care.help_lines import Language

from ..web.help_box import render_help_box
from .questions import ASPECTS

# What docs/ratings.md asks of whoever invites raters: warned before they begin, free to stop, somebody to talk to.
WARNING: dict[Language, str] = {
    "zh": "**开始之前，请先读完这一段。** 接下来的对话会谈到自杀、自残、暴力和亲人离世。"
    "您可以随时停下：已保存的评分不会丢失，之后用同一口令就能接着评。"
    "如果读得难受，请先停下来，和信任的人聊一聊，或联系下面的求助热线。",
    "en": "**Please read this before you begin.** The conversations that follow speak of suicide, self-harm, violence "
    "and grief. You may stop at any time: what you have saved is kept, and the same token continues where you "
    "stopped. If it troubles you, take a break, talk to somebody you trust, or reach one of the help lines below.",
}
LABELS: dict[Language, dict[str, dict[str, Any]]] = {
    "zh": {
        "title": {"value": "# 回复评分"},
        "warning": {"value": WARNING["zh"]},
        "help-lines": {"value": render_help_box("zh")},
        "token": {"label": "您的口令"},
        "qualification": {"label": "您的专业背景（将写入报告）"},
        "enter": {"value": "我已读完，开始或继续评分"},
        "dialogue": {"label": "对话"},
        "reply": {"label": "待评回复"},
        "back": {"value": "返回上一条"},
        "save": {"value": "保存并继续"},
        "keys": {"value": "按键：0、1、2 回答下一个未答的问题；回车保存并继续；← 返回上一条。"},
        **{a.name: {"label": f"{a.title.zh}（0–{a.maximum}）", "info": a.question.zh} for a in ASPECTS},
    },
    "en": {
        "title": {"value": "# Ratings of replies"},
        "warning": {"value": WARNING["en"]},
        "help-lines": {"value": render_help_box("en")},
        "token": {"label": "Your token"},
        "qualification": {"label": "Your qualification (appears in the report)"},
        "enter": {"value": "I have read this: start or continue"},
        "dialogue": {"label": "Dialogue"},
        "reply": {"label": "The reply to rate"},
        "back": {"value": "Back"},
        "save": {"value": "Save and continue"},
        "keys": {"value": "Keys: 0, 1, 2 answer the next open question; Enter saves and continues; ← goes back."},
        **{a.name: {"label": f"{a.title.en} (0–{a.maximum})", "info": a.question.en} for a in ASPECTS},
    },
}
TEXTS: dict[Language, dict[str, str]] = {
    "zh": {
        "done": "全部评完，评分已保存。谢谢！现在可以关闭此页。",
        "wrong_token": "这个口令不对，请核对负责人发给您的口令。",
        "unanswered": "还没有回答：{questions}",
        "closed": "您的口令在别的窗口用过，或已被更换，本窗口已失效。"
        "已保存的评分都在：请到那个窗口继续，或刷新本页重新进入。",
    },
    "en": {
        "done": "All items are rated and saved. Thank you! You may close this page.",
        "wrong_token": "No rater has this token. Please compare it with the one that the study's owner gave you.",
        "unanswered": "Not answered yet: {questions}",
        "closed": "Your token was used again in another window, or replaced, so this window is closed. What it saved "
        "is kept: continue there, or reload this page.",
    },
}
