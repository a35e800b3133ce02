"""What a conversation is: messages, and the paper's twelve topics."""

from dataclasses import dataclass, field
from typing import Any, Literal

from typing_extensions import TypedDict  # pydantic cannot read that of typing before Python 3.12

from .clients import Client

Role = Literal["system", "user", "assistant"]

# The paper, Appendix B: the dictionary of counselling topics, in its order.
TOPICS = {
    "家庭": "Family",
    "婚恋": "Marriage",
    "性心理": "Sex",
    "成长发展": "Growth",
    "人际关系": "Relationship",
    "职场": "Career",
    "自我认知": "Self-awareness",
    "行为": "Behavior",
    "情绪": "Emotion",
    "治疗": "Treatment",
    "社会事件": "Social events",
    "心理学知识": "Psychological knowledge",
}
# The open release of SoulChatCorpus shortens some of them.
_SHORT_TOPICS = {"成长": "成长发展", "人际": "人际关系", "自我": "自我认知", "社会": "社会事件"}
_TOPIC_OF = {topic: topic for topic in TOPICS} | {en: zh for zh, en in TOPICS.items()} | _SHORT_TOPICS


class Message(TypedDict):
    """One utterance: `role` is "user", "assistant" (the counsellor) or, in the first place only, "system"."""

    role: Role
    content: str


@dataclass(slots=True)
class Conversation:
    """One counselling conversation.

    Attributes:
        id: unique inside its corpus; kept from the source record to every turn sample made of it.
        messages: the utterances in order, after a system text where there is one.
        topic: one of `TOPICS`, or None where unknown.
        provenance: where it came from (source id, prompt version, model, reviewer's decision, licence, …); it is part
            of a corpus that was made here, and of no config.
        client: what is stated of the client (see `clients`), None where nothing is.
        counsellor: the id of the counsellor whose style it has, None where it is not known.
    """

    id: str
    messages: list[Message]
    topic: str | None = None
    provenance: dict[str, Any] = field(default_factory=dict)
    client: Client | None = None
    counsellor: str | None = None


def find_topic(name: str | None) -> str | None:
    """The one of `TOPICS` that a corpus calls `name` (its Chinese, short or English form), None for any other."""
    return _TOPIC_OF.get(name) if name else None
