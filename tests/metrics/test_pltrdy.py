import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from soulchat_metrics.pltrdy import pltrdy_rouge_counts
from soulchat_metrics.rouge import rouge_scores

rouge = pytest.importorskip("rouge", reason="the package rouge is not installed")

WORDS = st.lists(st.sampled_from(["我", "很", "难过", "你", ".", "\n", "3.14", "在"]), min_size=1, max_size=12)


@settings(max_examples=150)
@given(WORDS, WORDS)
def test_equal_to_the_package(prediction, reference):
    try:
        [expected] = rouge.Rouge().get_scores(" ".join(prediction), " ".join(reference))
    except ValueError:
        return  # nothing but full stops
    [scores] = rouge_scores(pltrdy_rouge_counts([prediction], [reference]))
    assert scores / 100 == pytest.approx([expected[name]["f"] for name in ("rouge-1", "rouge-2", "rouge-l")], abs=1e-9)


def test_long_texts_do_not_recurse_and_endless_ones_are_refused():
    words = ["我", "很", "难过"] * 500
    assert pltrdy_rouge_counts([words], [words])[0].tolist()[6:] == [3, 3, 3]
    with pytest.raises(ValueError, match=r"12000 and 12000 words are too long .* use the preset .paper."):
        pltrdy_rouge_counts([words * 8], [words * 8])
