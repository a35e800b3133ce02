"""From token ids back to the text of a reply, whole or as far as it is certain."""

import re
from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

from soulchatcorpus.thoughts import BEGIN, END, Said, is_open, split_thoughts

from ..chatglm.punctuation import restore_punctuation

# What may still change when the next token comes: a character that is cut in its bytes, punctuation, whose full-width
# form depends on the character after it, and white space, which is cut off where it ends the reply.
UNSETTLED = re.compile(r"[\ufffd,.:;?!()，。：；？！（）\s]+\Z")
# What is no text at the end of one that is cut: bytes of a character that has not come, and white space.
UNFINISHED = re.compile(r"[\ufffd\s]+\Z")

LONGEST_MARK = 8  # tokens of an opening mark and the white space behind it, in a tokenizer that has none of it

# What families write around thoughts with control tokens of their own: gpt-oss its channels, Command R7B marks.
OWN_MARKS = {
    "<|channel|>analysis<|message|>": BEGIN,
    "<|channel|>commentary<|message|>": BEGIN,
    "<|channel|>final<|message|>": END,
    "<|START_THINKING|>": BEGIN,
    "<|END_THINKING|>": END,
}


class ReplyDecoder:
    """Decodes replies of one tokenizer, and the thoughts before them.

    A tokenizer that normalises (ChatGLM's sentencepiece turns "，" into ",") gets the full-width punctuation restored.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.tokenizer = tokenizer
        sample = "你好，世界！"
        ids = tokenizer(sample, add_special_tokens=False).input_ids
        self.normalises = "，" not in tokenizer.decode(ids, skip_special_tokens=True)
        special = set(tokenizer.all_special_tokens)
        self.has_own_marks = not special.isdisjoint(("<|channel|>", "<|START_THINKING|>"))
        self.hidden = special - {BEGIN, END}  # some tokenizers take the marks of thoughts for control tokens
        self.hides_marks = END in special

    def decode(self, token_ids: Sequence[int], final: bool, opened: bool = False) -> Said:
        """Thoughts and reply; while it is not `final`, only the part that later tokens cannot change.

        A character at the end of which only some bytes have come is none.

        Args:
            token_ids: what the model has written.
            final: whether that is all.
            opened: whether the prompt has opened a thought.
        """
        thoughts, reply = split_thoughts(self._text(token_ids), opened)
        if reply is not None:
            reply = restore_punctuation(reply.lstrip()) if self.normalises else reply.lstrip()
            reply = UNFINISHED.sub("", reply) if final else UNSETTLED.sub("", reply)
            if not final and BEGIN.startswith(reply or " "):
                reply = ""  # perhaps the beginning of a mark
        return Said((UNFINISHED if final else UNSETTLED).sub("", thoughts), reply)

    def opens_thought(self, prompt_ids: Sequence[int]) -> bool:
        """Whether a prompt ends inside of a thought."""
        return is_open(self.tokenizer.decode(prompt_ids[-LONGEST_MARK:]))

    def _text(self, token_ids: Sequence[int]) -> str:
        if not (self.has_own_marks or self.hides_marks):
            return self.tokenizer.decode(token_ids, skip_special_tokens=True)
        text = self.tokenizer.decode(token_ids)
        for own, mark in OWN_MARKS.items():
            text = text.replace("<|start|>assistant" + own, mark).replace(own, mark)
        for token in self.hidden:
            text = text.replace(token, "")
        return text


def find_stop(text: str, stop: Sequence[str]) -> int | None:
    """Where the first of the texts in `stop` begins; None where there is none."""
    return min((place for place in map(text.find, stop) if place >= 0), default=None)


def may_begin_stop(text: str, stop: Sequence[str]) -> int:
    """How many characters at the end of `text` could be the beginning of one of the texts in `stop`."""
    return max((length for word in stop for length in range(1, len(word)) if text.endswith(word[:length])), default=0)
