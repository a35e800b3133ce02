"""A classifier of transformers beside the detector, with random weights."""

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import BertConfig, BertForSequenceClassification, BertModel, PreTrainedTokenizerFast

from soulchat.talk.crisis_model import CrisisModel


def make(folder, labels: list[str] | None, multiple: bool = False, bias: float = 0.0) -> str:
    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0, "[PAD]": 1, "死": 2}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="[UNK]", pad_token="[PAD]", model_max_length=16
    ).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(vocab_size=3, hidden_size=8, num_hidden_layers=1, num_attention_heads=1, intermediate_size=8)
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
