"""What people and corpora say can never be a control token or a role: their spellings in a text are taken apart."""

import re
from collections.abc import Sequence

from tokenizers import normalizers
from transformers import PreTrainedTokenizerBase

from ..chatglm import ChatGLMTokenizer


class TypedText:
    """Texts that somebody typed, for one tokenizer.

    Every token that a tokenizer finds by its spelling counts as a control token (roles, end tokens, places for images
    or thoughts), except for runs of white space, which some tokenizers have among them.

    Args:
        tokenizer: ChatGLM's, or a fast one.
        roles: what a chat template writes for a speaker without a control token, such as "[/INST]".
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, roles: Sequence[str] = ()) -> None:
        self.tokenizer = tokenizer
        added = {id_: token.content for id_, token in tokenizer.added_tokens_decoder.items()}
        self.control_ids = {id_ for id_, spelling in added.items() if spelling.replace("▁", " ").strip()}
        spellings = [added[id_] for id_ in self.control_ids]
        self.normalizer = self._find_normalizer()
        self.roles = self._any_of(roles)
        self.pattern = self._any_of([*spellings, *roles])

    def _any_of(self, spellings: Sequence[str]) -> re.Pattern[str]:
        forms = {*spellings, *map(self._normalise, spellings)}
        return re.compile("|".join(map(re.escape, sorted(filter(None, forms)))) or r"(?!)")

    def _find_normalizer(self) -> normalizers.Normalizer | None:
        return self.tokenizer.backend_tokenizer.normalizer if self.tokenizer.is_fast else None

    def _normalise(self, text: str) -> str:
        return self.normalizer.normalize_str(text) if self.normalizer else text

    def spells_control_tokens(self, text: str) -> bool:
        """True if the tokenizer could find a control token or a role in the text, as it stands or normalised."""
        if isinstance(self.tokenizer, ChatGLMTokenizer):
            return self.tokenizer.spell_out(text) != text
        return bool(self.pattern.search(text) or (self.normalizer and self.pattern.search(self._normalise(text))))

    def spell_out(self, text: str) -> str:
        """The text so that its token ids, with `split_special_tokens`, are never a control token's or those of a role.

        Special tokens come apart by that argument alone; where it does not reach, and in a role, a space is put after
        the first character of a spelling.
        """
        if isinstance(self.tokenizer, ChatGLMTokenizer):
            return self.tokenizer.spell_out(text)
        if not self.spells_control_tokens(text):
            return text
        text = self._part_roles(text)
        while places := self._find_control_tokens(text):
            for place in reversed(places):
                text = text[: place + 1] + " " + text[place + 1 :]
        return text

    def _part_roles(self, text: str) -> str:
        parted = self.roles.sub(lambda role: role[0][0] + " " + role[0][1:], text)
        if not self.roles.search(self._normalise(parted)):
            return parted
        return self._part_roles(self._normalise(parted))

    def encode(self, text: str) -> list[int]:
        """Token ids of the text by itself, without special tokens around it; never a control token's."""
        return self.tokenizer(self.spell_out(text), add_special_tokens=False, split_special_tokens=True).input_ids

    def _find_control_tokens(self, text: str) -> list[int]:
        """Where in the text control tokens of more than one character begin."""
        encoding = self.tokenizer(
            text, add_special_tokens=False, split_special_tokens=True, return_offsets_mapping=True
        )
        found = zip(encoding["input_ids"], encoding["offset_mapping"], strict=True)
        return [start for id_, (start, end) in found if id_ in self.control_ids and end - start > 1]
