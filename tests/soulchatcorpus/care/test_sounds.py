"""Words that tell are read where they are written by sound, and a text about sounds or tea stays as it is."""

import time

import pytest

from soulchatcorpus.care.folding import fold
from soulchatcorpus.care.sounds import spell_out


@pytest.mark.parametrize(
    ("text", "spelt"),
    [
        ("zi sha", "自杀"),
        ("zisha", "自杀"),
        ("zì shā", "自杀"),
        ("zi4 sha1", "自杀"),
        ("zi'sha", "自杀"),
        ("ZI SHA", "自杀"),
        ("自sha1", "自杀"),
        ("zi杀", "自杀"),
        ("ㄗˋㄕㄚ", "自杀"),
        ("自ㄕㄚ", "自杀"),
        ("woxiangzisha", "我想自杀"),
        ("wǒxiǎngzìshā", "我想自杀"),
        ("zishaniantou", "自杀 nian tou"),
        ("ㄨㄛˇㄒㄧㄤˇㄙˇ", "我想死"),
        ("我bu想huo了", "我不想活了"),
    ],
)
def test_a_sound_is_read_as_its_word(text, spelt):
    assert spell_out(fold(text)).text == spelt


@pytest.mark.parametrize(
    "text", ["banana", "suicide", "expansion of zishas", "我想自杀", "泡茶用zisha", "zi sha的拼音", "想sit", "he is"]
)
def test_what_is_no_sound_stays(text):
    assert spell_out(fold(text)).text == text


def test_a_word_stands_where_its_sound_stood():
    text = "今天 zì shā 了"
    spelt = spell_out(fold(text))
    place = spelt.text.index("自杀")
    assert text[slice(*spelt.original(place, place + 2))] == "zì shā"


@pytest.mark.parametrize("text", ["xia" * 80 + "q", "xia" * 80, "xian'" * 40 + "q", "zi" * 50_000 + "q"])
def test_a_word_that_parts_in_many_ways_costs_little(text):
    began = time.process_time()
    assert spell_out(fold(text)).text == text
    assert time.process_time() - began < 2
