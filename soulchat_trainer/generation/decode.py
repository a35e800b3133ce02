"""From token ids back to the text of a reply, whole or as far as it is certain."""

import re
from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

from ..chatglm.punctuation import restore_punctuation

# What may still change when the next token comes: a character that is cut in its bytes, punctuation, whose full-width
# form depends on the character after it, and white space, which is cut off where it ends the reply.
UNSETTLED = re.compile(r"[\ufffd,.:;?!()，。：；？！（）\s]+\Z")


class ReplyDecoder:
    """Decodes replies of one tokenizer.

    A tokenizer that normalises (ChatGLM's sentencepiece turns "，" into ",") gets the full-width punctuation restored.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.tokenizer = tokenizer
        sample = "你好，世界！"
        ids = tokenizer(sample, add_special_tokens=False).input_ids
        self.normalises = "，" not in tokenizer.decode(ids, skip_special_tokens=True)

    def decode(self, token_ids: Sequence[int], final: bool) -> str:
        """The reply's text; while it is not `final`, only the part that later tokens cannot change.

        A character at the end of which only some bytes have come is none.
        """
        text = self.tokenizer.decode(token_ids, skip_special_tokens=True).lstrip()
        if self.normalises:
            text = restore_punctuation(text)
        return text.rstrip("\ufffd").rstrip() if final else UNSETTLED.sub("", text)


def find_stop(text: str, stop: Sequence[str]) -> int | None:
    """Where the first of the texts in `stop` begins; None where there is none."""
    return min((place for place in map(text.find, stop) if place >= 0), default=None)


def may_begin_stop(text: str, stop: Sequence[str]) -> int:
    """How many characters at the end of `text` could be the beginning of one of the texts in `stop`."""
    return max((length for word in stop for length in range(1, len(word)) if text.endswith(word[:length])), default=0)
