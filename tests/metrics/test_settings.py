from functools import partial

import pytest

from soulchat_metrics import PRESETS, Settings
from soulchat_metrics.settings import resolve_settings, signature


def test_the_papers_preset_is_the_default():
    assert PRESETS["paper"] == Settings() == Settings("char", "jieba", "method3", "sentence", False)


def test_overrides_take_the_place_of_the_presets():
    settings = resolve_settings("llamafactory", bleu_tokenizer="jieba", smoothing=None)
    assert settings == Settings(bleu_tokenizer="jieba", round4=True)


def test_signature_tells_every_setting():
    assert signature(Settings(), "numpy", fast=False) == (
        "bleu:char|smooth:method3|rouge:jieba-0.42.1|rouge-library:rouge-chinese|aggregate:sentence|round:no"
        "|empty-reference:zero|backend:numpy|fast:no|version:0.1.0"
    )
    signatures = {signature(settings, "numpy", fast=False) for settings in PRESETS.values()}
    assert len(signatures) == len(set(PRESETS.values())) == len(PRESETS) - 1  # LLaMA-Factory took ptuning's


def test_signature_tells_of_sacrebleu_only_where_it_is():
    found = signature(PRESETS["sacrebleu-zh"], "numpy", fast=False)
    assert found.startswith("bleu:sacrebleu-zh|smooth:method3|")
    assert found.endswith("|bleu-library:sacrebleu")


def test_signature_names_a_tokenizer_of_ones_own():
    def by_spaces(text: str) -> list[str]:
        return text.split()

    assert "by_spaces" in signature(Settings(bleu_tokenizer=by_spaces), "numpy", fast=False)
    assert "bleu:partial" in signature(Settings(bleu_tokenizer=partial(by_spaces)), "numpy", fast=False)


def test_what_is_no_tokenizer_is_refused():
    with pytest.raises(ValueError, match="rouge_tokenizer is 7; allowed: char, jieba, jieba-without-sp"):
        Settings(rouge_tokenizer=7)
