"""The judgement of a text: what is judged by itself."""

from soulchatcorpus.care.judging import list_pieces
from soulchatcorpus.care.rules import find_words

DAY = "早上坐地铁到公司打卡开会下午写报告下班买菜做饭洗碗看电视"


def pieces(text: str) -> list[str]:
    return [piece for piece, _ in list_pieces(text, find_words(text))]


def test_what_is_said_outright_is_judged_with_twelve_characters_around_it_too():
    text = DAY + "我想自杀" + DAY
    whole, around = list_pieces(text, find_words(text))
    assert whole[0] == text
    assert "suicide meant" in whole[1] & around[1]
    assert around[0] in text
    assert len(around[0]) <= 24 + len("我想自杀")
    assert "想自杀" in around[0]


def test_other_texts_are_one_piece():
    for text in (DAY, "我想自杀", "我没有想过自杀，" + DAY, ""):
        assert pieces(text) == [text]
