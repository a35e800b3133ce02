import hypothesis.strategies as st
import pytest
import sacrebleu
from hypothesis import given, settings

from soulchat_metrics import METRIC_NAMES, PRESETS, bleu, paired_bootstrap, rouge, score
from soulchat_metrics.scoring import score_pairs
from soulchat_metrics.settings import TOKENIZERS, Settings

BLEU = METRIC_NAMES[:4]
ROUGE = METRIC_NAMES[4:]

HAN = st.text(st.characters(min_codepoint=0x4E00, max_codepoint=0x9FFF), max_size=6)
COMMON = st.text(st.sampled_from("的一是不了在人有我他这个们来说到地你出会也哈"), max_size=12)
PIECES = st.one_of(
    HAN,
    COMMON,
    st.sampled_from(
        ["。", "！", "？", "?", "…", "……", "......", ".", "”", "’", "“", "，", "\n", "\r\n", " ", "　", "\t"]
    ),
    st.sampled_from(["😊", "👨‍👩‍👧", "💪🏻", "\x1c", "\x85", "\u200b", "\0"]),
    st.sampled_from(["abc", "C++", "T恤", "1.5%", "2-4", "12", "a_b", "AT&T", "㐂", "𠮷", "鿖", "ＡＢ"]),
)
TEXTS = st.lists(PIECES, max_size=14).map("".join)


def golden_pairs(cases: list[dict]) -> tuple[list[str], list[str]]:
    return [case["prediction"] for case in cases], [case["reference"] for case in cases]


@pytest.mark.parametrize(("tokenizer", "field"), [("char", "bleu_char"), ("jieba", "bleu_word")])
@pytest.mark.parametrize("fast", [False, True])
def test_golden_cases(golden_cases, tokenizer, field, fast):
    result = score(*golden_pairs(golden_cases), bleu_tokenizer=tokenizer, fast=fast, return_sentence_scores=True)
    sentences = result["sentence_scores"]
    for row, case in enumerate(golden_cases):
        assert [sentences[name][row] / 100 for name in BLEU] == pytest.approx(case[field], abs=1e-9), case["id"]
        expected = [case["rouge_chinese"].get(name, {"f": 0.0})["f"] for name in ROUGE]
        assert [sentences[name][row] / 100 for name in ROUGE] == pytest.approx(expected, abs=1e-9), case["id"]


@pytest.mark.parametrize(("tokenizer", "field"), [("char", "bleu_char"), ("jieba", "bleu_word")])
def test_golden_sentence_means(golden_cases, golden_aggregate, tokenizer, field):
    result = score(*golden_pairs(golden_cases), bleu_tokenizer=tokenizer)
    expected = golden_aggregate["sentence_mean_x100_errors_as_zero"]
    for order, name in enumerate(BLEU, start=1):
        assert result[name] == pytest.approx(expected[f"{field}-{order}"], abs=1e-9)
    for name in ROUGE:
        assert result[name] == pytest.approx(expected[name], abs=1e-9)


@pytest.mark.parametrize(
    ("tokenizer", "field"),
    [("char", "nltk_corpus_bleu_char_nosmooth_x100"), ("jieba", "nltk_corpus_bleu_word_nosmooth_x100")],
)
def test_golden_corpus_bleu(golden_cases, golden_aggregate, tokenizer, field):
    scores = bleu(*golden_pairs(golden_cases), tokenizer=tokenizer, smoothing="method0", aggregate="corpus")
    assert list(scores.values()) == pytest.approx(golden_aggregate[field], abs=1e-9)


def test_corpus_rouge_sums_the_counts():
    # 你好 / 你好: 1 of 1 word; 我 很 难过 / 我 很 开心 (jieba): 2 of 3. In all p = r = 3/4.
    scores = rouge(["你好", "我很难过"], ["你好", "我很开心"], aggregate="corpus")
    assert scores["rouge-1"] == pytest.approx(100 * 2 * 0.75 * 0.75 / (1.5 + 1e-8))
    assert scores["rouge-l"] == scores["rouge-1"]


def test_preset_llamafactory_is_the_published_habit(golden_cases, golden_aggregate):
    result = score(*golden_pairs(golden_cases), preset="llamafactory")
    for name, expected in golden_aggregate["field_style_round4_then_mean"].items():
        assert result[name] == pytest.approx(expected, abs=1e-9)


def print_of_ms_swift(predictions: list[str], references: list[str]) -> dict[str, float]:
    """What modelscope/ms-swift prints (swift/metrics/nlg.py, compute_rouge_bleu), with the same libraries."""
    import jieba
    from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu
    from rouge import Rouge

    rows = []
    for texts in zip(predictions, references, strict=True):
        prediction, reference = ([word.strip(" ") for word in jieba.cut(text) if word.strip(" ")] for text in texts)
        if not reference:
            continue
        if not prediction:
            rows.append([0.0] * 4)
            continue
        result = Rouge().get_scores(" ".join(prediction), " ".join(reference))[0]
        bleu_4 = sentence_bleu([reference], prediction, smoothing_function=SmoothingFunction().method3)
        rows.append([*(result[name]["f"] for name in ROUGE), bleu_4])
    means = [round(100 * sum(column) / len(rows), 6) for column in zip(*rows, strict=True)]
    return dict(zip((*ROUGE, "bleu-4"), means, strict=True))


def test_preset_ms_swift_is_what_it_prints(golden_cases):
    # Left out: texts that are only whitespace other than spaces, which it scores, and texts on which it crashes:
    # its ROUGE recurses once a word, and finds nothing in a text of full stops.
    cases = [
        case
        for case in golden_cases
        if all(0 < len(case[side]) < 1000 and case[side].strip(" .\n\t") for side in ("prediction", "reference"))
    ]
    predictions, references = golden_pairs(cases)
    predictions, references = [*predictions, "", "你好", "  "], [*references, "你好", "", "在 吗"]
    result = score(predictions, references, preset="ms-swift")
    expected = print_of_ms_swift(predictions, references)
    assert {name: round(result[name], 6) for name in expected} == pytest.approx(expected, abs=2e-6)


@settings(max_examples=200)
@given(
    st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=4),
    st.sampled_from([name for name, preset in PRESETS.items() if preset.aggregate == "sentence"]),
)
def test_equal_to_the_reference_run_live(pairs, preset):
    predictions, references = [pair[0] for pair in pairs], ["你" + pair[1] for pair in pairs]
    ours = score(predictions, references, preset, return_sentence_scores=True)["sentence_scores"]
    theirs = score(predictions, references, preset, return_sentence_scores=True, backend="reference")
    for name in METRIC_NAMES:
        assert ours[name] == pytest.approx(theirs["sentence_scores"][name], abs=1e-9), name


@settings(max_examples=100)
@given(
    TEXTS,
    TEXTS,
    st.sampled_from(["method0", "method1", "method2", "method3"]),
    st.sampled_from([*TOKENIZERS, list]),
    st.sampled_from(["nltk", "sacrebleu"]),
)
def test_every_option_equals_the_reference(prediction, reference, smoothing, tokenizer, library):
    options = Settings(tokenizer, tokenizer, smoothing, bleu_library=library)
    ours = score_pairs([prediction], [reference], options)
    theirs = score_pairs([prediction], [reference], options, backend="reference")
    assert ours.sentences[0] == pytest.approx(theirs.sentences[0], abs=1e-9)


@settings(max_examples=100)
@given(st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=5), st.sampled_from(["zh", "char"]))
def test_corpus_scores_of_sacrebleu(pairs, tokenizer):
    predictions, references = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    ours = score(predictions, references, f"sacrebleu-{tokenizer}")
    for order, name in enumerate(BLEU, start=1):
        theirs = sacrebleu.BLEU(tokenize=tokenizer, max_ngram_order=order, force=True)
        assert ours[name] == pytest.approx(theirs.corpus_score(predictions, [references]).score, abs=1e-9)


@pytest.mark.parametrize(
    ("prediction", "reference"), [("", "你好"), (" \n\t", "你 好\n"), ("你好", ""), ("", ""), ("　", "　")]
)
@pytest.mark.parametrize("backend", ["numpy", "reference"])
def test_blank_texts_score_zero_and_are_counted(prediction, reference, backend):
    result = score([prediction, "你好"], [reference, "你好"], backend=backend)
    assert result["bleu-1"] == 50
    assert result["rouge-l"] == pytest.approx(50, abs=1e-6)
    assert result["empty_predictions"] == (not prediction.strip())
    assert result["empty_references"] == (not reference.strip())


def test_mean_lengths_are_in_characters():
    result = score(["你好", "好"], ["你好吗？", ["在 吗"]])
    assert (result["mean_prediction_length"], result["mean_reference_length"]) == (1.5, 3.5)


def test_round4_rounds_each_sentence():
    result = score(["我很难过", "你"], ["我很开心", "你们"], round4=True, return_sentence_scores=True)
    for name in METRIC_NAMES:
        sentences = result["sentence_scores"][name]
        assert sentences == [round(value, 4) for value in sentences]
        assert result[name] == sum(sentences) / 2


def test_workers_give_the_same(golden_cases):
    pairs = golden_pairs(golden_cases)
    assert score(*pairs, num_workers=2) == score(*pairs)


def test_a_tokenizer_of_ones_own():
    result = score(["a b c"], ["a b d"], bleu_tokenizer=str.split, rouge_tokenizer=str.split)
    assert result["rouge-1"] == pytest.approx(200 / 3)
    assert result["signature"].startswith("bleu:str.split|")


def test_workers_take_a_function_of_any_kind():
    assert score(["你好"], ["你好"], bleu_tokenizer=lambda text: list(text), num_workers=2)["bleu-1"] == 100


def test_interval_holds_the_mean_and_follows_the_seed(golden_cases):
    pairs = golden_pairs(golden_cases)
    result = score(*pairs, confidence=0.95, num_resamples=200, seed=3)
    for name in METRIC_NAMES:
        low, high = result["intervals"][name]
        assert low < result[name] < high
        assert high - low < 15
    assert result == score(*pairs, confidence=0.95, num_resamples=200, seed=3)
    assert result["intervals"] != score(*pairs, confidence=0.95, num_resamples=200, seed=4)["intervals"]


def test_corpus_interval_resamples_the_counts(golden_cases):
    result = score(*golden_pairs(golden_cases), confidence=0.9, num_resamples=100, aggregate="corpus")
    low, high = result["intervals"]["bleu-4"]
    assert low < result["bleu-4"] < high


def test_paired_bootstrap_tells_a_better_system_from_an_equal_one(golden_cases):
    predictions, references = golden_pairs(golden_cases)
    worse = [text[: len(text) // 2] for text in predictions]
    comparison = paired_bootstrap(predictions, worse, references, num_resamples=200)["bleu-1"]
    assert comparison["difference"] == comparison["score"] - comparison["other_score"] > 0
    assert comparison["p_value"] == 1 / 201
    assert paired_bootstrap(predictions, predictions, references, num_resamples=50)["bleu-1"]["p_value"] == 1


@pytest.mark.parametrize(
    ("references", "message"),
    [
        ("你好", "references is one str"),
        (None, "references is one NoneType"),
        (["你"], "2 predictions but 1 references"),
    ],
)
def test_paired_bootstrap_refuses_what_score_refuses(references, message):
    with pytest.raises(ValueError, match=message):
        paired_bootstrap(["你", "好"], ["你", "好"], references)


def test_paired_bootstrap_reads_each_argument_once():
    texts = ["你好", "在吗"]
    assert paired_bootstrap(iter(texts), iter(texts), iter(texts), num_resamples=5)["bleu-1"]["score"] == 100


def test_a_megabyte_is_scored():
    text = "我很难过，不知道怎么办。" * 28_000
    result = score([text], [text[:-1]], fast=True)
    assert result["bleu-1"] == pytest.approx(100, abs=1e-3)
    assert 99 < result["rouge-l"] <= 100


@pytest.mark.parametrize(
    ("predictions", "references", "message"),
    [
        (["你"], ["你", "好"], "1 predictions but 2 references"),
        ([], [], "nothing to score"),
        (["你", None], ["你", "好"], "prediction 1 is NoneType"),
        (["你", "好"], ["你", 3.5], "reference 1 is float"),
        (["你\ud800"], ["你"], "prediction 0 has a lone surrogate at character 1"),
        (["你"], [["你", "您"]], "reference 0 is a list of 2"),
        (["你"], [[]], "reference 0 is a list of 0"),
        ("你好", ["你", "好"], "predictions is one str"),
        (["你"], None, "references is one NoneType"),
    ],
)
def test_bad_pairs_are_refused_by_row(predictions, references, message):
    with pytest.raises(ValueError, match=message):
        score(predictions, references)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"preset": "thudm"}, "preset is 'thudm'; allowed: paper, ptuning, llamafactory, ms-swift, emollm"),
        ({"smoothing": "method7"}, "smoothing is 'method7'"),
        ({"bleu_tokenizer": "word"}, "bleu_tokenizer is 'word'"),
        ({"aggregate": "mean"}, "aggregate is 'mean'"),
        ({"backend": "torch"}, "backend is 'torch'"),
        ({"aggregate": "corpus", "round4": True}, "round4"),
        ({"aggregate": "corpus", "backend": "reference"}, "no corpus ROUGE"),
        ({"confidence": 95}, "confidence is 95"),
        ({"confidence": 0.95, "num_resamples": 0}, "num_resamples is 0"),
        ({"num_workers": 0}, "num_workers is 0"),
    ],
)
def test_bad_options_are_refused(option, message):
    with pytest.raises(ValueError, match=message):
        score(["你好"], ["你好"], **option)


def test_control_characters_have_a_score():
    assert score(["\0\x01\x7f你"], ["\0\x01\x7f你"])["bleu-4"] == pytest.approx(100)
