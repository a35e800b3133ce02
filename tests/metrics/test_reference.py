import pytest

from soulchat_metrics.reference import reference_sentence_scores
from soulchat_metrics.settings import Settings


def score(prediction: str, reference: str, **settings) -> list[float]:
    [row] = reference_sentence_scores([prediction], [reference], Settings(**settings), 1)
    return row.tolist()


def test_it_is_the_libraries_themselves():
    """nltk and rouge-chinese, called by hand."""
    from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu
    from rouge_chinese import Rouge

    prediction, reference = "我很难过", "我不难过"
    found = score(prediction, reference, rouge_tokenizer="char")
    bleu = sentence_bleu([[*reference]], [*prediction], (0.5, 0.5), SmoothingFunction().method3)
    [rouge] = Rouge().get_scores(" ".join(prediction), " ".join(reference))
    assert found[1] == 100 * bleu
    assert found[4:] == [100 * rouge[name]["f"] for name in ("rouge-1", "rouge-2", "rouge-l")]


@pytest.mark.parametrize(("prediction", "reference"), [("", "我"), ("我", " "), ("", "")])
def test_blank_texts_score_zero_where_the_libraries_crash(prediction, reference):
    assert score(prediction, reference) == [0.0] * 7


def test_full_stops_alone_have_no_rouge():
    """One word for jieba; the library cuts sentences at full stops, finds none, and raises."""
    found = score("......", "......", rouge_library="rouge")
    assert found[0] == 100
    assert found[4:] == [0.0] * 3


def test_corpus_scores_are_refused():
    with pytest.raises(ValueError, match="it has no corpus ROUGE"):
        score("我", "我", aggregate="corpus")


def test_a_missing_library_is_named_with_how_to_get_it(monkeypatch):
    monkeypatch.setattr("soulchat_metrics.reference.find_spec", lambda name: None if name == "nltk" else name)
    with pytest.raises(ModuleNotFoundError, match='allowed: backend="numpy", or pip install nltk'):
        score("你好", "你好")
