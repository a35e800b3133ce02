"""The crisis label: held to what it finds of sentences that it did not learn from."""

import csv
import subprocess
import sys
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from soulchatcorpus.care.crisis import CATEGORIES, find_crisis, find_crisis_in_each
from soulchatcorpus.care.evaluate import count, read_labelled
from tests.paths import FIXTURES, ROOT
from tests.soulchatcorpus.care.disguises import DISGUISES

SENTENCES = FIXTURES / "making"


def read_sentences(name: str) -> list[dict[str, str]]:
    with (SENTENCES / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def precision_and_recall(rows: list[dict[str, str]]) -> tuple[float, float]:
    found = [row["label"] for row in rows if find_crisis(row["text"])]
    return found.count("1") / len(found), found.count("1") / sum(row["label"] == "1" for row in rows)


def test_at_least_400_sentences_of_every_kind():
    rows = read_sentences("crisis_test.tsv") + read_sentences("crisis_tune.tsv")
    assert len({row["text"] for row in rows}) == len(rows) >= 400
    kinds = {row["kind"] for row in read_sentences("crisis_test.tsv")}
    assert kinds >= {
        "direct",
        "indirect",
        "negation",
        "other_person",
        "past",
        "quotation",
        "idiom",
        "traditional",
        "english",
    }


def test_precision_and_recall_of_sentences_that_it_did_not_learn_from():
    precision, recall = precision_and_recall(read_sentences("crisis_test.tsv"))
    assert recall >= 0.92
    assert precision >= 0.92


def test_of_the_messages_kept_aside_it_finds_the_share_that_the_docs_tell():
    counts = count(read_labelled(ROOT / "benchmarks" / "care_data" / "crisis-test.jsonl"), find_crisis)[""]
    share = f"{counts.recall:.1%} are found at {counts.false_alarm_rate:.1%} false alarms".replace("%", " %")
    told = f"kept aside ({counts.positive + counts.negative:,} messages) {share}"
    assert told in (ROOT / "docs" / "safety.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "category", "among"),
    [
        ("我想自杀。", "suicide", "自杀"),
        ("我想自殺。", "suicide", "自殺"),
        ("我想紫 砂了", "suicide", "紫 砂"),
        ("活着没意思", "death_wish", "活着"),
        ("我又割自己了", "self_harm", "割"),
        ("室友说她不想活了", "other_person", "活"),
        ("他说分手以后我就一直在想怎么死才不疼", "suicide", "死"),
        ("论文写不完，导师骂我，我就想从楼上跳下去，可是又怕疼", "suicide", "跳下"),
        ("他叫我去死", "incitement", "去死"),
        ("I Want To Kill Myself", "suicide", "Kill Myself"),
        ("I don’t want to wake up anymore", "death_wish", "wake"),
        ("说真的，我不是在开玩笑，我想死", "suicide", "想死"),
    ],
)
def test_category_and_the_words_that_weighed_most(text, category, among):
    finding = find_crisis(text)
    assert finding is not None
    assert finding.category == category
    assert any(among in text[start:end] or text[start:end] in among for start, end in finding.spans)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\u200b\ufe0f",
        "你好",
        "我没有想过自杀",
        "笑死我了",
        "自杀率上升了",
        "规划自己的人生",
        "今天就到这吧，再见。",
        "宜兴的紫砂壶泡茶最好",
        "我哥们说他想死磕到底，把这个项目做完，我很佩服他",
        "我想死心了，他不会回头的，准备删了他微信",
        "我自杀青以后就没接到新戏了，焦虑得睡不着",
        "it is about 20 kms from my house to work",
    ],
)
def test_nothing_found(text):
    assert find_crisis(text) is None


def test_a_denial_does_not_hide_what_follows():
    assert find_crisis("我没有自残过。但是我想死。")


def test_lower_threshold_finds_more():
    text = "最近总觉得没什么盼头"
    scores = [find_crisis(text, threshold) is not None for threshold in (0.0, 0.999)]
    assert scores == [True, False]


@pytest.mark.parametrize("disguise", DISGUISES.values(), ids=DISGUISES)
@pytest.mark.parametrize(
    "sentence", ["我想自杀", "我不想活了", "我想从楼上跳下去", "I want to kill myself", "i am suicidal"]
)
def test_no_disguise_hides_it(sentence, disguise):
    plain, disguised = find_crisis(sentence), find_crisis(disguise(sentence))
    assert plain
    assert disguised
    assert (disguised.category, disguised.score) == (plain.category, plain.score)


def test_long_text_is_judged_in_parts():
    calm = "今天和同事一起吃了午饭，下午开会讨论了下个月的安排。" * 40
    assert find_crisis(calm) is None
    finding = find_crisis(calm + "我想自杀。" + calm)
    assert finding is not None
    assert any("自杀" in (calm + "我想自杀。")[start:end] for start, end in finding.spans)


@given(st.text(alphabet="我你他不没想要死活杀自割醒了去吧的，。\nkillmysef İ\u200b４", max_size=60))
def test_spans_lie_in_the_text_in_order(text):
    finding = find_crisis(text)
    if finding is not None:
        assert finding.category in CATEGORIES
        flat = [position for span in finding.spans for position in span]
        assert flat == sorted(flat)
        assert 0 <= flat[0] < flat[-1] <= len(text)


def test_detectors_are_small():
    folder = files("soulchatcorpus.care")
    assert max(len(folder.joinpath(name).read_bytes()) for name in ("crisis.npz", "replies.npz")) <= 1_000_000


def test_needs_no_extra():
    code = (
        "import soulchatcorpus.care.crisis, sys; "
        "assert not {'datatrove', 'openai', 'gradio', 'torch', 'scipy', 'sklearn'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


MESSAGES = [row["text"] for row in read_sentences("crisis_test.tsv")]
DISGUISED = st.builds(
    lambda text, disguise: disguise(text), st.sampled_from(MESSAGES), st.sampled_from([*DISGUISES.values()])
)
LINES = st.one_of(st.sampled_from(MESSAGES), DISGUISED, st.text(max_size=20))


@given(st.lists(st.lists(LINES, max_size=12).map("\n".join)))
def test_many_at_once_are_judged_like_one_by_one(texts):
    assert find_crisis_in_each(texts) == [find_crisis(text) for text in texts]


@pytest.mark.parametrize("mark", ["", "，"])
def test_words_at_the_border_of_two_parts_are_found(mark):
    day = f"今天早上起来刷牙洗脸{mark}坐地铁到公司打卡开会{mark}下午写报告{mark}下班买菜做饭洗碗看电视{mark}" * 8
    missed = [place for place in range(236, 262) if not find_crisis(day[:place] + "我想自杀" + day[:100])]
    assert missed == []
