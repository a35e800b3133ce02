"""Who speaks: the names that corpora, exports and transcripts have for the user and the counsellor, in one list.

In lower case, since `find_role` does not look at case. `USER_NAMES` and `COUNSELLOR_NAMES` are also what models write
before a line; the others stand in the fields of programs.
"""

from ..schema import Role

USER_NAMES = (
    *("用户", "来访者", "求助者", "咨询者", "倾诉者", "求询者", "当事人", "来访", "求助人", "患者"),
    *("user", "client", "visitor", "seeker", "help-seeker", "helpseeker", "help seeker", "patient"),
)
COUNSELLOR_NAMES = (
    *("心理咨询师", "咨询师", "支持者", "倾听者", "心理医生", "咨询员", "心理师", "治疗师", "心理治疗师"),
    *("psychologist", "psychological counselor", "psychological counsellor", "counselor", "counsellor"),
    *("supporter", "therapist", "listener"),
)
SYSTEM_NAMES = ("系统", "系统提示", "system", "developer")

_IN_FIELDS: dict[str, Role] = {
    "human": "user",
    "owner": "user",
    "客户": "user",
    "gpt": "assistant",
    "assistant": "assistant",
    "audience": "assistant",
    "bot": "assistant",
    "chatgpt": "assistant",
    "model": "assistant",
    "助手": "assistant",
    "ai": "assistant",
}
ROLES: dict[str, Role] = {
    **dict.fromkeys(USER_NAMES, "user"),
    **dict.fromkeys(COUNSELLOR_NAMES, "assistant"),
    **dict.fromkeys(SYSTEM_NAMES, "system"),
    **_IN_FIELDS,
}
SHORT_LIST = (
    "user, assistant, system, human, gpt, client, counselor, seeker, supporter, 用户, 心理咨询师, 来访者, 咨询师"
)


def find_role(name: object) -> Role | None:
    """The role that a corpus calls `name`, perhaps with a colon behind it; None for any other value."""
    return ROLES.get(name.strip().rstrip(":：").rstrip().lower()) if isinstance(name, str) else None
