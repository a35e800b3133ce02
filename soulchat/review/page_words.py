"""The words of the proofreading page in both languages."""

from typing import Any

from soulchatcorpus.care.help_lines import Language

# Why a record is removed: as it is stored, in English, and as a reviewer reads it.
REASONS: dict[str, dict[Language, str]] = {
    "private detail": {"zh": "隐私信息", "en": "private detail"},
    "harmful": {"zh": "有害内容", "en": "harmful"},
    "not a dialogue": {"zh": "不是对话", "en": "not a dialogue"},
    "wrong or unsafe advice": {"zh": "建议有误或不安全", "en": "wrong or unsafe advice"},
    "advertisement": {"zh": "广告", "en": "advertisement"},
    "poor language": {"zh": "语言质量差", "en": "poor language"},
}
LABELS: dict[Language, dict[str, dict[str, Any]]] = {
    "zh": {
        "title": {"value": "## 人工校对\n**k** 保留 · **e** 修改 · **r** 删除（再选原因） · **u** 撤销上一个决定"},
        "reviewer": {"label": "审阅者代号（例如 r1，不要用姓名）"},
        "start": {"value": "开始"},
        "editor": {"label": "修改：每条消息一行，以“用户：”或“心理咨询师：”开头"},
        "keep": {"value": "保留 (k)"},
        "edit": {"value": "修改 (e)"},
        "save": {"value": "保存修改"},
        "remove": {"value": "删除 (r)"},
        "undo": {"value": "撤销 (u)"},
        "why": {"value": "**为什么删除？** 按数字键选择，或写下别的原因再按回车。"},
        "other": {"label": "其他原因"},
        "cancel": {"value": "取消 (Esc)"},
        "export": {"value": "写出目前的结果"},
        **{f"reason-{n}": {"value": f"{n} {names['zh']}"} for n, names in enumerate(REASONS.values(), start=1)},
    },
    "en": {
        "title": {"value": "## Proofreading\n**k** keep · **e** edit · **r** remove (then a reason) · **u** undo"},
        "reviewer": {"label": "Reviewer id (such as r1; no name)"},
        "start": {"value": "Start"},
        "editor": {"label": "Edit: one line for each message, beginning with 用户： or 心理咨询师："},
        "keep": {"value": "Keep (k)"},
        "edit": {"value": "Edit (e)"},
        "save": {"value": "Save the edit"},
        "remove": {"value": "Remove (r)"},
        "undo": {"value": "Undo (u)"},
        "why": {"value": "**Why is it removed?** Press a number, or write another reason and press Enter."},
        "other": {"label": "Another reason"},
        "cancel": {"value": "Cancel (Esc)"},
        "export": {"value": "Write the result so far"},
        **{f"reason-{n}": {"value": f"{n} {names['en']}"} for n, names in enumerate(REASONS.values(), start=1)},
    },
}
TEXTS: dict[Language, dict[str, str]] = {
    "zh": {
        "standing": "共需 {total} 个决定，已完成 {done} 个，其中 {name} 完成 {own} 个",
        "nothing": "没有需要您审阅的记录了，谢谢。",
        "not_open": "还没有打开记录：请先点“开始”。",
        "no_id": "审阅者代号只能是最多 16 个字母、数字、- 和 _，不要用姓名。",
        "no_reason": "请写下删除的原因。",
        "lost": "这条记录打开太久，已转给别人：请再点一次“开始”。",
        "form": "修改的形式不对：每条消息一行，以“用户：”或“心理咨询师：”开头，后面要有内容；"
        "问答记录只能是一行“用户：”和一行“心理咨询师：”。",
        "written": "已写出：保留 {keep} 条，修改 {edit} 条，删除 {remove} 条",
        "shared": "两人都审的 {items} 条，决定相同的占 {agreement:.1%}，kappa {kappa:.2f}",
        "client": "来访者的情况",
        "system": "系统",
        "user": "用户",
        "assistant": "心理咨询师",
    },
    "en": {
        "standing": "{done} of {total} decisions made, {own} by {name}",
        "nothing": "Nothing is left for you. Thank you.",
        "not_open": "No record is open yet: press Start first.",
        "no_id": "A reviewer id has up to 16 letters, digits, - and _, and is no name.",
        "no_reason": "Please write why it is removed.",
        "lost": "This record was left open too long and went to somebody else: press Start again.",
        "form": "The edit has another form: one line for each message, beginning with 用户： or 心理咨询师： and with "
        "text behind it; a question with its answer is one line of each.",
        "written": "{keep} kept, {edit} edited, {remove} removed",
        "shared": "decisions on the {items} records that two people read are the same in {agreement:.1%}, "
        "kappa {kappa:.2f}",
        "client": "Client",
        "system": "System",
        "user": "User",
        "assistant": "Counsellor",
    },
}
# What the cleaning calls its findings, for Chinese readers; what is not here stands as it is.
_FINDINGS_ZH = {
    "length": "长度",
    "too_short": "太短",
    "too_long": "太长",
    "language": "语言",
    "repetition": "重复",
    "same_messages": "消息雷同",
    "same_phrases": "语句雷同",
    "exact_duplicate": "完全重复",
    "near_duplicate": "近似重复",
    "similar_text": "文本相近",
    "same_text": "文本相同",
    "refusal": "模型拒答",
    "advertisement": "广告",
    "special": "特殊措辞",
    "privacy": "隐私",
    "phone": "电话",
    "id_card": "身份证号",
    "bank_card": "银行卡号",
    "email": "邮箱",
    "url": "网址",
    "handle": "账号",
    "address": "地址",
    "name": "姓名",
    "place": "学校或单位",
    "crisis": "危机",
    "incitement": "教唆自杀",
    "suicide": "自杀",
    "self_harm": "自残",
    "death_wish": "轻生念头",
    "other_person": "他人的危机",
}


def name_finding(language: Language, step: str, reason: str) -> str:
    """A finding of the cleaning as a reviewer reads it, such as "privacy: phone" or "隐私：电话"."""
    if language == "en":
        return f"{step}: {reason}"
    return f"{_FINDINGS_ZH.get(step, step)}：{_FINDINGS_ZH.get(reason, reason)}"
