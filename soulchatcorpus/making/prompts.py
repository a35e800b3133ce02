"""The rewriting prompts: named, versioned text files, or any text file by its path."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from pathlib import Path

NAMED_PROMPTS = ("soulchat", "soulchat-en", "psydt")
PLACEHOLDER = "{single_turn}"
SLOTS = ("single_turn", "style", "stages", "example", "client")
_SLOT = re.compile(rf"\{{({'|'.join(SLOTS)})\}}")
_LIKE_A_SLOT = re.compile(r"\{([A-Za-z_]+)\}")

# How the single turn is shown to the model, in the roles of the paper's example (Appendix C).
_ROLES = {"soulchat": ("用户：", "心理咨询师："), "soulchat-en": ("User: ", "Psychologist: ")}


@dataclass(slots=True, frozen=True)
class Prompt:
    """A text with `{single_turn}` in it, and with `{style}`, `{stages}`, `{example}` and `{client}` where it has them.

    Attributes:
        version: its name and the first eight digits of the SHA-256 of its text; kept with everything made by it.
    """

    version: str
    text: str
    user: str
    counsellor: str

    @property
    def slots(self) -> frozenset[str]:
        """The slots that the text has."""
        return frozenset(_SLOT.findall(self.text))

    def render(self, question: str, answer: str, slots: Mapping[str, str] = {}) -> str:
        """What is sent: the prompt with the question and its answer, and what else it has slots for, in place."""
        texts = {**slots, "single_turn": f"{self.user}{question}\n{self.counsellor}{answer}"}
        return _SLOT.sub(lambda slot: texts[slot[1]], self.text)


def load_prompt(name: str) -> Prompt:
    """The prompt called `name` (one of `NAMED_PROMPTS`), or the one in the text file at that path.

    Raises:
        ValueError: neither a known name nor a file, or the text is not UTF-8, lacks `{single_turn}` or has a slot that
            is none of `SLOTS`, which would be sent as it stands.
    """
    if name in NAMED_PROMPTS:
        text = files("soulchatcorpus.making").joinpath(f"prompts/{name}.txt").read_text(encoding="utf-8")
    elif Path(name).is_file():
        try:
            text = Path(name).read_text(encoding="utf-8").strip()
        except UnicodeDecodeError as error:
            raise ValueError(f"prompt is {name!r}; allowed: a file in UTF-8 ({error})") from None
    else:
        raise ValueError(f"prompt is {name!r}; allowed: {', '.join(NAMED_PROMPTS)}, or a text file")
    if PLACEHOLDER not in text:
        raise ValueError(
            f"prompt is {name!r}; allowed: a text with {PLACEHOLDER} where the question and its answer go"
        )
    for slot in _LIKE_A_SLOT.findall(text):
        if slot not in SLOTS:
            raise ValueError(f"prompt {name!r} has the slot {{{slot}}}; allowed: {{{'}, {'.join(SLOTS)}}}")
    user, counsellor = _ROLES.get(name, _ROLES["soulchat"])
    return Prompt(f"{Path(name).stem}@{sha256(text.encode()).hexdigest()[:8]}", text, user, counsellor)
