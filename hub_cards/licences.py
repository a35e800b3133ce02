"""Whose licence a published model stands under."""

from dataclasses import dataclass
from typing import Literal

# Licences that let the weights stand under the toolkit's own.
OPEN_LICENCES = {"apache-2.0", "bsd-3-clause", "cc-by-4.0", "cc0-1.0", "mit"}
# Licences that let a text be passed on, some under conditions that the card repeats.
PUBLIC_LICENCES = OPEN_LICENCES | {
    "cc-by-2.0",
    "cc-by-3.0",
    "cc-by-nc-4.0",
    "cc-by-nc-sa-4.0",
    "cc-by-sa-3.0",
    "cc-by-sa-4.0",
    "cdla-permissive-1.0",
    "cdla-permissive-2.0",
    "odbl",
    "odc-by",
    "pddl",
}
LICENCE_LINK = "LICENSE"
CHATGLM_LICENCE = "chatglm-6b"


@dataclass(frozen=True, slots=True)
class BaseModel:
    """The model that the weights started from.

    Attributes:
        id: Hub id, such as "THUDM/chatglm-6b".
        part: what is published of the result: "all" weights, a PEFT "adapter", or the P-Tuning v2 "prefix".
        licence: Hub licence id of the base where it is known.
    """

    id: str
    part: Literal["all", "adapter", "prefix"] = "all"
    licence: str | None = None

    @property
    def relation(self) -> str:
        """The Hub's word for it."""
        return "finetune" if self.part == "all" else "adapter"


@dataclass(frozen=True, slots=True)
class ModelLicence:
    """What the card's `license`, `license_name` and `license_link` say; the last two only beside "other"."""

    id: str
    name: str | None = None
    link: str | None = None


def is_chatglm_6b(base: str) -> bool:
    """Whether a base is by its name ChatGLM-6B; others of its architecture were trained from nothing."""
    return "chatglm-6b" in base.lower().rsplit("/", 1)[-1]


def model_licence(model_type: str, base_model: BaseModel | None, data_licence: str | None) -> ModelLicence:
    """The base's licence, which is ChatGLM's own for what was made of ChatGLM-6B; without a base Apache-2.0.

    Another base of ChatGLM's architecture has a licence of its own, which has to be told.

    Weights trained from nothing on data whose terms are not open ones, or not known, stand under those terms.
    """
    if base_model and base_model.licence:
        return ModelLicence(base_model.licence)
    if base_model:
        is_chatglm = model_type == "chatglm" and is_chatglm_6b(base_model.id)
        return ModelLicence("other", CHATGLM_LICENCE, LICENCE_LINK) if is_chatglm else ModelLicence("unknown")
    if (data_licence or "").lower() not in OPEN_LICENCES:
        return ModelLicence("other", "terms-of-the-training-data", LICENCE_LINK)
    return ModelLicence("apache-2.0")
