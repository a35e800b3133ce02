"""Folding: what looks alike becomes one, twice is once, and every character knows where it stood."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soulchatcorpus.care.folding import fold, fold_characters, fold_each, read_html
from tests.soulchatcorpus.care.disguises import DISGUISES

ALPHABET = (
    "我想死自杀，。、 \n\t-·_.1２二三四五壹ab k'Ｋ.!？…İé\u200b\ufe0f\u20e34️⃣　𝓼🅺🇰ⅣⅫ㋀½⾃⺟殺著аᴋ" + "&#;38<br/>🌸→xの"
)


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("", ""),
        ("我 想 死", "我想死"),
        ("我\u200b想\u200d死\ufe0f", "我想死"),
        ("我，想，死。", "我想死。"),
        ("我\n想\n死", "我想死"),
        ("好累。想死，真的", "好累。想死,真的"),
        ("自-杀 自·杀 自*杀", "自杀自杀自杀"),
        ("想④了 想４了 想4️⃣了", "想4了想4了想4了"),
        ("⾃殺 活著 妳", "自杀活着你"),
        ("ＫＭＳ 🅺🅼🆂 🇰🇲🇸 кms", "kms kms kms kms"),
        ("𝓼𝓾𝓲𝓬𝓲𝓭𝓮 s̶u̶i̶", "suicide sui"),
        ("k i l l myself", "kill myself"),
        ("I am sad", "i am sad"),
        ("i_ _w_a_n_t", "i want"),
        ("**i****w****a**** ****b****e**", "**iwa be**"),
        ("我x想x自x杀", "我想自杀"),
        ("我の想の自の杀", "我想自杀"),
        ("我™想™自™杀", "我想自杀"),
        ("长x宽", "长x宽"),
        ("2020年1月1日1号", "2020年1月1日1号"),
        ("【我】【想】【死】", "【我想死】"),
        ("自→杀 自★杀 自×杀", "自杀自杀自杀"),
        ("想😭自杀", "想😭自杀"),
        ("我想&lt;死&gt;", "我想<死>"),
        ("&#3&#5&#54;;; &#38;lt&#59;", "& <"),
        ("&nosuchname; &#1114112;", "&nosuchname; \ufffd"),
        ("今天<br>明天</p>后天", "今天\n明天\n后天"),
        ("<3 <script> <n> a<b>c", "<3 <script> <n> ac"),
        ("138-0013 8000", "13800138000"),
        ("一三八零零壹叁捌", "13800138"),
        ("二十三岁，一个人", "二十三岁,一个人"),
        ("½ x²", "1⁄2 x2"),
    ],
)
def test_folded(text, folded):
    assert fold(text).text == folded


@given(st.text(alphabet=ALPHABET, max_size=40) | st.text(max_size=40))
def test_twice_is_once(text):
    once = fold(text).text
    assert fold(once).text == once
    assert fold_characters(fold_characters(text).text).text == fold_characters(text).text


@given(st.text(alphabet=ALPHABET, max_size=40) | st.text(max_size=40))
def test_every_character_knows_where_it_stood(text):
    folded = fold(text)
    assert len(folded.starts) == len(folded.ends) == len(folded.text)
    assert list(folded.starts) == sorted(folded.starts)
    for place, character in enumerate(folded.text):
        start, end = folded.original(place, place + 1)
        assert 0 <= start < end <= len(text)
        assert character in fold(text[start:end]).text or character in "0123456789"


@pytest.mark.parametrize("text", ["&" + "amp;" * 50_000, "&" + "#38;" * 50_000, "<" * 50_000 + "b>" * 50_000])
def test_references_and_tags_in_each_other_cost_little(text):
    began = time.process_time()
    fold(text)
    assert time.process_time() - began < 2


def test_span_covers_what_was_between():
    text = "他说：自\u200b - 杀！"
    folded = fold(text)
    start = folded.text.index("自杀")
    assert text[slice(*folded.original(start, start + 2))] == "自\u200b - 杀"


def test_a_character_stands_with_the_marks_on_it():
    text = "\u200b1\ufe0f\u20e33\ufe0f\u20e3½x\u0336"
    folded = fold_characters(text)
    assert folded.text == "131⁄2x"
    assert [folded.original(place, place + 1) for place in range(6)] == [(1, 4), (4, 7), *[(7, 8)] * 3, (8, 10)]


SENTENCES = ["我想自杀", "不想活了", "活着没意思", "想从楼上跳下去", "离开这个世间", "了断自己的生命", "killmyself"]


@pytest.mark.parametrize("disguise", DISGUISES.values(), ids=DISGUISES)
@pytest.mark.parametrize("sentence", SENTENCES)
def test_every_disguise_of_every_sentence_is_seen_through(sentence, disguise):
    assert fold(disguise(sentence)).text == sentence


@given(st.lists(st.text(alphabet=ALPHABET, max_size=12)))
def test_many_at_once_are_folded_like_one_by_one(texts):
    assert fold_each(texts) == [fold(text).text for text in texts]


def test_references_of_any_depth_cost_little():
    deep = "&#3" + "&#5&#5&#5&#5&#4" * 4_000 + "8" + ";" * 20_001
    began = time.process_time()
    assert read_html(fold_characters(deep)).text == "&"
    assert time.process_time() - began < 2
