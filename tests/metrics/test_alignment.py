from soulchat_metrics.alignment import longest_matches


def orders(prediction: str, reference: str) -> list[int]:
    return [match.order for match in longest_matches(list(prediction), list(reference))]


def test_each_token_has_its_longest_match():
    assert orders("我很难过吗", "他很难过") == [0, 3, 3, 3, 0]


def test_an_ngram_matches_as_often_as_the_reference_has_it():
    assert orders("好好好", "好") == [1, 0, 0]


def test_matches_end_at_four():
    assert orders("一二三四五", "一二三四五") == [4, 4, 4, 4, 4]


def test_nothing_matches_an_empty_reference():
    assert orders("你好", "") == [0, 0]
    assert orders("", "你好") == []
