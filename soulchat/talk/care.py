"""Care for the person who writes: help lines where a message speaks of self-harm, or the model's reply does.

The talk is never blocked. What users write is judged by `soulchatcorpus.care.crisis`, what the model replies by
`soulchatcorpus.care.replies`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from soulchatcorpus.care.crisis import THRESHOLD, find_crisis
from soulchatcorpus.care.help_lines import Language, check_country, list_help_lines, render_help_lines
from soulchatcorpus.care.replies import find_self_harm

from .wording import language_of


@dataclass(frozen=True, slots=True)
class CareNotice:
    """Help lines to be shown before a reply, or before the rest of it.

    Attributes:
        cause: "message" (what the user wrote) or "reply" (what the model says).
        category: of a message, one of `soulchatcorpus.care.crisis.CATEGORIES`, or the label of a model beside it; of a
            reply, "self_harm_in_reply".
        language: of `text`.
        text: help lines to show, plain text of several lines.
        country: whose lines come first, or None for the language's own order.
    """

    cause: Literal["message", "reply"]
    category: str
    language: Language
    text: str
    country: str | None

    def as_dict(self) -> dict[str, Any]:
        """The notice as data: what pipe mode and the server add to an answer."""
        return {
            "cause": self.cause,
            "category": self.category,
            "text": self.text,
            "help_lines": list_help_lines(self.language, self.country),
        }


@dataclass(frozen=True, slots=True)
class Care:
    """Whether messages and replies are checked, and whose help lines come first.

    Attributes:
        enabled: False where nothing is checked.
        country: whose help lines come first, or None for the order of the text's language.
        threshold: of `soulchatcorpus.care.crisis.find_crisis`.
        model: what else judges a message (`crisis_model.CrisisModel`): its label of suicide or self-harm, or None.

    Raises:
        ValueError: no help lines are known for the country, or the threshold is none.
    """

    enabled: bool = True
    country: str | None = None
    threshold: float = THRESHOLD
    model: Callable[[str], str | None] | None = None

    def __post_init__(self) -> None:
        check_country(self.country)
        if not 0 <= self.threshold <= 1:
            raise ValueError(f"the crisis threshold is {self.threshold}; allowed: 0 to 1")

    def get_ready(self) -> None:
        """Read what the checks need, which takes half a second at their first use: no first reply waits for it."""
        if self.enabled:
            find_crisis("你好 hello")
            find_self_harm("你好 hello")

    def check_message(self, text: str) -> CareNotice | None:
        """Help lines if what a user wrote speaks of suicide or self-harm."""
        category = self._category(text) if self.enabled else None
        return self._notice("message", category, language_of(text)) if category else None

    def notice_for_reply(self, message: str) -> CareNotice:
        """Help lines for a reply that speaks of self-harm, in the language of the message that it answers."""
        return self._notice("reply", "self_harm_in_reply", language_of(message))

    def _category(self, text: str) -> str | None:
        if finding := find_crisis(text, self.threshold):
            return finding.category
        return self.model(text) if self.model else None

    def _notice(self, cause: Literal["message", "reply"], category: str, language: Language) -> CareNotice:
        return CareNotice(cause, category, language, render_help_lines(language, self.country), self.country)
