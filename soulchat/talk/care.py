"""Care for the person who writes: help lines where a message speaks of self-harm, or the model's reply does.

The talk is never blocked. What users write is judged by `soulchatcorpus.care.crisis`, what the model replies by
`reply_check`.
"""

from dataclasses import dataclass
from typing import Any, Literal

from soulchatcorpus.care.crisis import find_crisis
from soulchatcorpus.care.help_lines import Language, check_country, list_help_lines, render_help_lines

from .wording import language_of


@dataclass(frozen=True, slots=True)
class CareNotice:
    """Help lines to be shown before a reply, or before the rest of it.

    Attributes:
        cause: "message" (what the user wrote) or "reply" (what the model says).
        category: of a message, one of `soulchatcorpus.care.crisis.CATEGORIES`; of a reply, "self_harm_in_reply".
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

    Raises:
        ValueError: no help lines are known for the country.
    """

    enabled: bool = True
    country: str | None = None

    def __post_init__(self) -> None:
        check_country(self.country)

    def check_message(self, text: str) -> CareNotice | None:
        """Help lines if what a user wrote speaks of suicide or self-harm."""
        finding = find_crisis(text) if self.enabled else None
        return self._notice("message", finding.category, language_of(text)) if finding else None

    def notice_for_reply(self, message: str) -> CareNotice:
        """Help lines for a reply that speaks of self-harm, in the language of the message that it answers."""
        return self._notice("reply", "self_harm_in_reply", language_of(message))

    def _notice(self, cause: Literal["message", "reply"], category: str, language: Language) -> CareNotice:
        return CareNotice(cause, category, language, render_help_lines(language, self.country), self.country)
