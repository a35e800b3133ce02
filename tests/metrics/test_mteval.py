import hypothesis.strategies as st
from hypothesis import given, settings
from sacrebleu.tokenizers.tokenizer_char import TokenizerChar
from sacrebleu.tokenizers.tokenizer_zh import TokenizerZh

from soulchat_metrics.mteval import character_tokens, mteval_zh_tokens

PIECES = st.one_of(
    st.text(max_size=8),
    st.text(st.sampled_from("我很难过。，“”—…《》😊㐂𠮷ＡＢ１"), max_size=6),
    st.text(st.sampled_from("ab19.,-'/@~ \t\n"), max_size=8),
)
TEXTS = st.lists(PIECES, max_size=6).map("".join)


def test_by_hand():
    assert mteval_zh_tokens("我 went home, 3.5-4 次…") == ["我", "went", "home", ",", "3.5", "-", "4", "次", "…"]
    assert character_tokens(" 我 ab\n") == ["我", "a", "b"]


def test_every_character_is_cut_as_sacrebleu_cuts_it():
    theirs = TokenizerZh()
    characters = (chr(code) for code in range(0x30000) if not 0xD800 <= code < 0xE000)
    texts = [f"a{character}b" for character in characters]
    assert [text for text in texts if mteval_zh_tokens(text) != theirs(text).split()] == []


@settings(max_examples=300)
@given(TEXTS)
def test_texts_are_cut_as_sacrebleu_cuts_them(text):
    assert mteval_zh_tokens(text) == TokenizerZh()(text.rstrip()).split()
    assert character_tokens(text) == TokenizerChar()(text.rstrip()).split()
