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
        """The reply's text; while it is not `final`, only the part that later tokens cannot change."""
        text = self.tokenizer.decode(token_ids, skip_special_tokens=True).lstrip()
        if self.normalises:
            text = restore_punctuation(text)
        return text.rstrip() if final else UNSETTLED.sub("", text)
