import subprocess
import sys

import hypothesis.strategies as st
import jieba
import pytest
from hypothesis import given, settings

from soulchat_metrics import score
from soulchat_metrics.segment import fast_cutter_version, jieba_signature, word_cutter

pytest.importorskip("rjieba", reason="the extra `fast` is not installed")

HAN = st.text(st.characters(min_codepoint=0x4E00, max_codepoint=0x9FD5), max_size=8)
REPEATED = st.text(st.sampled_from("的一不了我你哈好人是在有中大"), max_size=14)
MARKS = st.sampled_from(
    [*"，。！？、；：“”（）《》【】…—～ \n", "\r\n", "\r", "1.", "2-4", "C++", "😊", "㐂", "鿖", "\t", "　"]
)
TEXTS = st.lists(st.one_of(HAN, REPEATED, MARKS), max_size=12).map("".join)


def cut_with_jieba(text: str) -> list[str]:
    return list(jieba.Tokenizer.cut(jieba.dt, text))


@settings(max_examples=500)
@given(TEXTS)
def test_words_are_jiebas(text):
    assert word_cutter(fast=True)(text) == word_cutter(fast=False)(text) == cut_with_jieba(text)


@pytest.mark.parametrize("fast", [True, False])
def test_words_are_jiebas_on_the_golden_texts(golden_cases, fast):
    cut = word_cutter(fast)
    for case in golden_cases:
        for text in (case["prediction"], case["reference"]):
            assert cut(text) == cut_with_jieba(text)


@pytest.mark.slow
def test_words_are_jiebas_on_the_dictionary():
    cuts = word_cutter(fast=True), word_cutter(fast=False)
    for word, frequency in jieba.dt.FREQ.items():
        if frequency:
            assert [cut(word) for cut in cuts] == [cut_with_jieba(word)] * 2


def test_a_run_with_several_paths_of_equal_probability():
    # rjieba's own HMM takes another path here, so it is not asked.
    assert word_cutter(fast=True)("了一不一不一") == cut_with_jieba("了一不一不一")


def test_signature_tells_who_cut():
    assert fast_cutter_version() == "rjieba-0.2.2"
    assert "|fast:rjieba-0.2.2|" in score(["你好"], ["你好"])["signature"]
    assert "|fast:no|" in score(["你好"], ["你好"], fast=False)["signature"]
    assert "|rouge:jieba-0.42.1|" in score(["你好"], ["你好"])["signature"]


USER_DICTIONARIES = {
    "added": "jieba.add_word('心理咨询师来了')",
    "deleted": "jieba.del_word('心理')",
    "retuned": "jieba.suggest_freq(('心', '理'), True)",
}


@pytest.mark.parametrize("change", USER_DICTIONARIES)
def test_a_user_dictionary_turns_rjieba_off_and_is_told(change):
    program = f"""
import jieba
from soulchat_metrics.segment import fast_cutter_version, jieba_signature, word_cutter
text = "心理咨询师来了"
assert fast_cutter_version() == "rjieba-0.2.2"
{USER_DICTIONARIES[change]}
assert fast_cutter_version() is None, "rjieba is still used"
assert jieba_signature() == "jieba-0.42.1+user-dictionary", jieba_signature()
for longer in (text, "我的心理咨询师来了吗，心理很重要。", "理心理"):
    assert word_cutter(True)(longer) == word_cutter(False)(longer) == list(jieba.cut(longer)), longer
assert ("心理咨询师来了" in word_cutter(True)(text)) == (text in jieba.dt.FREQ)
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_signature_of_the_default_dictionary():
    assert jieba_signature() == "jieba-0.42.1"
