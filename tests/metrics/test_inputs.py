import numpy as np
import pandas
import pytest

from soulchat_metrics.inputs import check_pairs, is_blank


def test_references_may_be_lists_of_one():
    assert check_pairs(("我",), [["你"]]) == (["我"], ["你"])
    assert check_pairs(iter(["我", ""]), ["你", ("他",)]) == (["我", ""], ["你", "他"])


@pytest.mark.parametrize(
    "texts",
    [
        pandas.Series(["我", "你"], index=[5, 7]),
        np.array(["我", "你"]),
        np.array(["我", "你"], dtype=object),
        (text for text in "我你"),
        {1: "我", 2: "你"}.values(),
    ],
    ids=lambda texts: type(texts).__name__,
)
def test_what_has_an_order_is_taken(texts):
    predictions, _ = check_pairs(texts, np.array([["我"], ["你"]]))
    assert predictions == ["我", "你"]


@pytest.mark.parametrize(
    ("predictions", "references", "message"),
    [
        ({"我", "你"}, ["我", "你"], "predictions is one set, which has no order; allowed: a list of strings"),
        (["我"], frozenset("我"), "references is one frozenset, which has no order"),
        (pandas.DataFrame({"prediction": ["我"]}), ["我"], "predictions is one DataFrame; allowed: a list"),
        (np.array("我"), ["我"], "predictions is an array of 0 dimensions"),
        (pandas.Series(["我", None]), ["我", "你"], "prediction 1 is "),
        (["我"], ["你", "他"], "1 predictions but 2 references"),
        ("我", ["你"], "predictions is one str; allowed: a list of strings"),
        (["我"], b"x", "references is one bytes"),
        ({"a": 1}, ["你"], "predictions is one dict"),
        (5, ["你"], "predictions is one int"),
        (["我", None], ["你", "他"], r"prediction 1 is NoneType \(None\); allowed: a string"),
        (["我"], [3.5], r"reference 0 is float \(3.5\)"),
        (["我"], [["你", "他"]], "reference 0 is a list of 2; each prediction has exactly one"),
        (["我"], [[]], "reference 0 is a list of 0"),
        (["我\ud800"], ["你"], "prediction 0 has a lone surrogate at character 1"),
    ],
)
def test_what_is_no_pair_of_texts_is_named_by_its_row(predictions, references, message):
    with pytest.raises(ValueError, match=message):
        check_pairs(predictions, references)


@pytest.mark.parametrize("text", ["", " ", "\n\t", "　"])
def test_blank(text):
    assert is_blank(text)


@pytest.mark.parametrize("text", ["。", " a ", "\u200b"])
def test_not_blank(text):
    assert not is_blank(text)
