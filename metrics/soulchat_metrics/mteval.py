"""The tokens of sacrebleu's `zh` and `char`, for BLEU that is to be compared with machine translation's.

The rules are those of sacrebleu 2.6.0, sacrebleu/tokenizers/tokenizer_zh.py, tokenizer_re.py (mteval-v13a) and
tokenizer_char.py.
"""

import re

# sacrebleu writes two of its ranges, meant for the planes after the first, as "\u20000" and "\u2a6d6"; what they hold
# is U+2001 to U+2A6D: quotation marks, dashes and ellipses are words by themselves, and rare characters are not.
_CHINESE = re.compile(
    "([\u2001-\u2a6d\u2e80-\u2fdf\u2ff0-\u303f\u3100-\u312f\u31a0-\u31bf\u31c0-\u31ef\u3200-\u4db5\u4e00-\u9fbb"
    "\uf900-\ufa2d\ufa30-\ufa6a\ufa70-\ufad9\ufe10-\ufe1f\ufe30-\ufe4f\uff00-\uffef])"
)
_WESTERN_CUTS = (
    (re.compile(r"([ -&(-+:-@\[-`{-~/])"), r" \1 "),
    (re.compile(r"([^0-9])([.,])"), r"\1 \2 "),
    (re.compile(r"([.,])([^0-9])"), r" \1 \2"),
    (re.compile(r"([0-9])(-)"), r"\1 \2 "),
)


def mteval_zh_tokens(text: str) -> list[str]:
    """Every Chinese character by itself, the rest cut as mteval-v13a does."""
    text = _CHINESE.sub(r" \1 ", text.strip())
    for pattern, cut in _WESTERN_CUTS:
        text = pattern.sub(cut, text)
    return text.split()


def character_tokens(text: str) -> list[str]:
    """Every character but whitespace."""
    return list("".join(text.split()))
