"""A classifier of transformers beside the detector, with random weights."""

import json

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import BertConfig, BertForSequenceClassification, BertModel, PreTrainedTokenizerFast

from soulchat.talk.crisis_model import CrisisModel


def make(folder, labels: list[str] | None, multiple: bool = False, bias: float = 0.0, longest: int | None = 16) -> str:
    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0, "[PAD]": 1, "死": 2}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="[UNK]", pad_token="[PAD]", model_max_length=longest
    ).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=3,
        hidden_size=8,
        num_hidden_layers=1,
        num_attention_heads=1,
        intermediate_size=8,
        max_position_embeddings=32,
    )
    if labels is not None:
        config.id2label = dict(enumerate(labels))
        config.label2id = {label: place for place, label in enumerate(labels)}
        config.problem_type = "multi_label_classification" if multiple else None
    model = BertForSequenceClassification(config)
    model.classifier.weight.data.zero_()
    model.classifier.bias.data[0] = bias
    model.save_pretrained(folder)
    return str(folder)


@pytest.mark.parametrize("multiple", [True, False])
def test_label_where_it_is_sure(tmp_path, multiple):
    labels = ["主动自杀意图", "与自杀/自伤/攻击行为无关"]
    sure = CrisisModel(make(tmp_path / "a", labels, multiple, bias=3.0), "cpu")
    unsure = CrisisModel(make(tmp_path / "b", labels, multiple, bias=-3.0), "cpu")
    assert sure("我想死" * 30) == "主动自杀意图"
    assert unsure("我想死") is None


def test_classifier_without_labels_of_crisis_is_refused(tmp_path):
    with pytest.raises(ValueError, match="LABEL_0, LABEL_1; allowed: a classifier with one that names suicide"):
        CrisisModel(make(tmp_path, None), "cpu")


def test_what_is_no_classifier_is_refused(tmp_path):
    name = make(tmp_path, ["crisis", "none"])
    BertModel(BertConfig.from_pretrained(name)).save_pretrained(name)
    with pytest.raises(ValueError, match="has no weights of a classifier"):
        CrisisModel(name, "cpu")


def test_folder_without_a_model_is_refused(tmp_path):
    with pytest.raises(OSError, match=r"has no config.json"):
        CrisisModel(str(tmp_path), "cpu")


@pytest.mark.parametrize("longest", [None, 8])
def test_a_message_longer_than_the_window_is_judged_to_its_end(tmp_path, longest):
    judged = CrisisModel(make(tmp_path, ["crisis", "none"], bias=-3.0, longest=longest), "cpu")
    seen = []
    judged._judge = lambda text: seen.append(text)
    text = "今天很好。" * 30 + "我想死" * 20
    assert judged(text) is None
    assert "".join(seen) == text
    assert max(map(len, seen)) <= (longest or 32)
    assert seen[0].endswith("。")


def test_a_long_message_needs_no_length_from_its_tokenizer(tmp_path):
    sure = CrisisModel(make(tmp_path, ["crisis", "none"], bias=3.0, longest=None), "cpu")
    assert sure("我想死" * 100) == "crisis"
    assert sure("") is None


def test_a_label_alone_is_no_first_of_all(tmp_path):
    unsure = CrisisModel(make(tmp_path, ["crisis"], bias=-3.0), "cpu")
    assert unsure("今天很好") is None


def test_labels_that_say_no_are_none(tmp_path):
    no = ["non-suicide", "nonsuicidal", "is_not_suicidal", "no_crisis", "不涉及自杀", "未提及自残"]
    assert CrisisModel(make(tmp_path, ["suicide", *no]), "cpu").labels == {0: "suicide"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"problem_type": "regression"}, "is a regression; allowed: a classifier with labels"),
        ({"id2label": {"5": "crisis", "7": "none"}}, "allowed: a text for each number from 0 on"),
        ({"id2label": {"0": "crisis", "1": None}}, "allowed: a text for each number from 0 on"),
    ],
)
def test_what_has_no_labels_is_refused(tmp_path, settings, message):
    name = make(tmp_path, ["crisis", "none"])
    path = tmp_path / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | settings), encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        CrisisModel(name, "cpu")


def test_a_classifier_without_its_tokenizer_is_refused(tmp_path):
    name = make(tmp_path, ["crisis", "none"])
    for file in tmp_path.glob("tokenizer*"):
        file.unlink()
    with pytest.raises(ValueError, match="does not know its words"):
        CrisisModel(name, "cpu")
