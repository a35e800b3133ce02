"""The words of the page for raters in both languages."""

from typing import Any

from soulchat_trainer.evaluation.rubric import Aspect, Judged, Rubric, Words
from soulchatcorpus.care.help_lines import Language

from ..web.help_box import render_help_box

# What docs/ratings.md asks of whoever invites raters: warned before they begin, free to stop, somebody to talk to.
WARNING: dict[Language, str] = {
    "zh": "**开始之前，请先读完这一段。** 接下来的对话会谈到自杀、自残、暴力和亲人离世。"
    "您可以随时停下：已保存的评分不会丢失，之后可以从停下的地方接着评。"
    "如果读得难受，请先停下来，和信任的人聊一聊，或联系下面的求助热线。",
    "en": "**Please read this before you begin.** The conversations that follow speak of suicide, self-harm, violence "
    "and grief. You may stop at any time: what you have saved is kept, and you can go on later where you stopped. "
    "If it troubles you, take a break, talk to somebody you trust, or reach one of the help lines below.",
}
_DOOR: dict[Language, dict[str, dict[str, Any]]] = {
    "zh": {
        "warning": {"value": WARNING["zh"]},
        "help-lines": {"value": render_help_box("zh")},
        "token": {"label": "您的口令"},
        "qualification": {"label": "您的专业背景（将写入报告）"},
        "enter": {"value": "我已读完，开始或继续评分"},
        "back": {"value": "返回上一条"},
        "save": {"value": "保存并继续"},
        "keys": {"value": "按键：选项前的数字回答下一个未答的问题；回车保存并继续；← 返回上一条。"},
    },
    "en": {
        "warning": {"value": WARNING["en"]},
        "help-lines": {"value": render_help_box("en")},
        "token": {"label": "Your token"},
        "qualification": {"label": "Your qualification (appears in the report)"},
        "enter": {"value": "I have read this: start or continue"},
        "back": {"value": "Back"},
        "save": {"value": "Save and continue"},
        "keys": {
            "value": "Keys: the number before a choice answers the next open question; Enter saves and continues; "
            "← goes back."
        },
    },
}
# What stands above the dialogue, the text to rate, and the second of a pair.
SHOWN: dict[Judged, dict[Language, tuple[str, str, str]]] = {
    "reply": {"zh": ("对话", "待评回复", ""), "en": ("Dialogue", "The reply to rate", "")},
    "talk": {"zh": ("待评对话", "", ""), "en": ("The conversation to rate", "", "")},
    "pair": {"zh": ("此前的对话", "甲", "乙"), "en": ("What was said before", "The first", "The second")},
}


def make_labels(rubric: Rubric) -> dict[Language, dict[str, dict[str, Any]]]:
    """The words of the page's components in both languages, with a rubric's questions."""
    return {language: _labels(rubric, language) for language in ("zh", "en")}


def _labels(rubric: Rubric, language: Language) -> dict[str, dict[str, Any]]:
    dialogue, text, second = SHOWN[rubric.judged][language]
    return {
        "title": {"value": f"# {pick(rubric.title, language)}"},
        **_DOOR[language],
        "dialogue": {"label": dialogue},
        "reply": {"label": text},
        "second": {"label": second},
        **{
            question_id(aspect): {
                "label": pick(aspect.title, language),
                "info": pick(aspect.question, language),
                "choices": list_choices(aspect, language),
            }
            for aspect in rubric.aspects
        },
    }


def question_id(aspect: Aspect) -> str:
    """Of a question's component on the page: no aspect's name is another component's."""
    return f"question-{aspect.name}"


def list_choices(aspect: Aspect, language: Language) -> list[tuple[str, int]]:
    """Each point with what it means, behind the digit that chooses it."""
    return [(f"{digit_of(aspect, point)} {pick(aspect.scale[point], language)}", point) for point in aspect.values]


def digit_of(aspect: Aspect, point: int) -> int:
    """What chooses a point: the point itself, or its place from 1 on where the scale begins below 0."""
    return point if aspect.minimum >= 0 else point + 1 - aspect.minimum


def pick(words: Words, language: Language) -> str:
    """A text in the reader's language."""
    return words.zh if language == "zh" else words.en


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
