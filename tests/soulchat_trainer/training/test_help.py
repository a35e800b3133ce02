"""The help of training: short enough to be read, and of every option that is ours."""

from dataclasses import fields

import pytest
from transformers import Seq2SeqTrainingArguments

from soulchat_trainer.training.arguments import CHANGED_DEFAULTS, RunArguments, SoulChatTrainingArguments
from soulchat_trainer.training.help import GROUPS, short_help
from soulchat_trainer.training.recipe_files import parse_arguments, recipe_names

FIXED = {"remove_unused_columns", "logging_nan_inf_filter", "ddp_find_unused_parameters"}  # nobody should change them


def test_it_fits_two_screens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "119")
    lines = short_help(recipe_names()).splitlines()
    assert len(lines) <= 92
    assert max(map(len, lines)) <= 119
    assert (
        "  --max_source_length 1536         Tokens of a context; longer ones lose oldest turns (paper, section 3.2)."
        in lines
    )
    assert "  --lr_scheduler_type linear       linear, cosine, constant_with_warmup, …" in lines


def test_it_has_every_option_of_ours() -> None:
    inherited = {field.name for field in fields(Seq2SeqTrainingArguments)}
    trainers = {field.name for field in fields(SoulChatTrainingArguments)}
    ours = {field.name for field in fields(RunArguments)} | (trainers - inherited) | set(CHANGED_DEFAULTS)
    shown = [name for names in GROUPS.values() for name in names]
    assert len(shown) == len(set(shown))
    assert ours - FIXED - set(shown) == set()


@pytest.mark.parametrize(
    ("words", "has_all"), [(["--help"], False), (["demo", "-h"], False), (["--help", "all"], True)]
)
def test_what_is_asked_is_printed(words: list[str], has_all: bool, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_arguments(words)
    printed = capsys.readouterr().out
    assert ("--dataloader_pin_memory" in printed) == has_all
    assert "lora_rank" in printed
