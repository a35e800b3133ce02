"""What people and corpora say can never be a control token: its spellings in a text are taken apart."""

import re

from tokenizers import normalizers
from transformers import PreTrainedTokenizerBase

from ..chatglm import ChatGLMTokenizer


class TypedText:
    """Texts that somebody typed, for one tokenizer.

    Every token that a tokenizer finds by its spelling counts as a control token (roles, end tokens, places for images
    or thoughts), except for runs of white space, which some tokenizers have among them.

    Args:
        tokenizer: ChatGLM's, or a fast one.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.tokenizer = tokenizer
        added = {id_: token.content for id_, token in tokenizer.added_tokens_decoder.items()}
        self.control_ids = {id_ for id_, spelling in added.items() if spelling.replace("▁", " ").strip()}
        spellings = [added[id_] for id_ in self.control_ids]
        self.normalizer = self._find_normalizer()
        spellings += [self._normalise(spelling) for spelling in spellings]
        self.pattern = re.compile("|".join(map(re.escape, sorted(filter(None, spellings)))) or r"(?!)")

    def _find_normalizer(self) -> normalizers.Normalizer | None:
        return self.tokenizer.backend_tokenizer.normalizer if self.tokenizer.is_fast else None

    def _normalise(self, text: str) -> str:
        return self.normalizer.normalize_str(text) if self.normalizer else text

    def spells_control_tokens(self, text: str) -> bool:
        """True if the tokenizer could find a control token in the text, as it stands or normalised."""
        if isinstance(self.tokenizer, ChatGLMTokenizer):
            return self.tokenizer.spell_out(text) != text
        return bool(self.pattern.search(text) or (self.normalizer and self.pattern.search(self._normalise(text))))

    def spell_out(self, text: str) -> str:
        """The text so that none of its token ids, with `split_special_tokens`, is a control token's.

        Special tokens come apart by that argument alone; where it does not reach, a space is put after the first
        character of a spelling.
        """
        if isinstance(self.tokenizer, ChatGLMTokenizer):
            return self.tokenizer.spell_out(text)
        if not self.spells_control_tokens(text):
            return text
        while places := self._find_control_tokens(text):
            for place in reversed(places):
                text = text[: place + 1] + " " + text[place + 1 :]
        return text

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
