"""Recipes and flags: what ships can be read, what is wrong is told in one line."""

import json
from pathlib import Path

import pytest
import yaml

from soulchat_trainer.train import main
from soulchat_trainer.training.recipe_files import (
    RECIPES,
    find_deepspeed_file,
    parse_arguments,
    read_recipe,
    recipe_names,
)

NAMES = [
    *(
        "causal",
        "demo",
        "dpo",
        "full-bf16",
        "kto",
        "lora",
        "orpo",
        "paper",
        "psydt",
        "ptuning",
        "qlora",
        "qlora-chatglm",
    ),
    "small",
]


def test_the_recipes_that_ship() -> None:
    assert recipe_names() == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_recipe_is_read_and_short(name: str) -> None:
    assert read_recipe(name)
    assert len((RECIPES / f"{name}.yaml").read_text().splitlines()) <= 30


@pytest.mark.parametrize("name", ["demo", "ptuning"])
def test_recipes_become_arguments(name: str, tmp_path: Path) -> None:
    recipe, run, args = parse_arguments([name, "--output_dir", str(tmp_path), "--use_cpu"])
    assert recipe == name
    assert (run.model_config is None) == (name == "ptuning")
    assert args.output_dir == str(tmp_path)


def test_the_papers_numbers(tmp_path: Path) -> None:
    """Section 3.2: 30,000 steps of 80, WarmupDecayLR with 1,000 steps to 5e-5, 1,536 and 512 tokens, 0.75 and 0.95."""
    _, _, args = parse_arguments(["paper", "--output_dir", str(tmp_path)])
    assert (args.max_steps, args.warmup_steps, args.learning_rate, args.fp16) == (30_000, 1000, 5e-5, True)
    assert (args.max_source_length, args.max_target_length) == (1536, 512)
    assert (args.top_p, args.temperature) == (0.75, 0.95)
    assert args.per_device_train_batch_size * args.gradient_accumulation_steps == 80
    config = json.loads(Path(args.deepspeed).read_text())
    assert config["scheduler"]["type"] == "WarmupDecayLR"
    assert config["zero_optimization"]["stage"] == 2


def test_the_numbers_of_psydt(tmp_path: Path) -> None:
    """PsyDT: learning rate 1e-5, batches of 16, 3 epochs, cosine after 3 % of warm-up."""
    _, _, args = parse_arguments(["psydt", "--output_dir", str(tmp_path), "--use_cpu"])
    assert (args.learning_rate, args.lr_scheduler_type, args.warmup_steps) == (1e-5, "cosine", 0.03)
    assert (args.max_steps, args.num_train_epochs, args.global_batch_size) == (-1, 3, 16)


@pytest.mark.parametrize("name", ["zero2.json", "zero3.json", "zero3-offload.json"])
@pytest.mark.parametrize("warmup_type", ["log", "linear"])
def test_deepspeed_warms_up_as_asked(warmup_type: str, name: str, tmp_path: Path) -> None:
    flags = ["--output_dir", str(tmp_path), "--deepspeed", name, "--warmup_type", warmup_type]
    _, _, args = parse_arguments(["demo", *flags])
    assert args.deepspeed_plugin.deepspeed_config["scheduler"]["params"]["warmup_type"] == warmup_type


def test_another_warm_up_than_the_deepspeed_files_is_refused(tmp_path: Path) -> None:
    config = json.loads((RECIPES / "deepspeed" / "zero2.json").read_text())
    config["scheduler"]["params"]["warmup_type"] = "linear"
    (tmp_path / "own.json").write_text(json.dumps(config))
    flags = ["--output_dir", str(tmp_path), "--deepspeed", str(tmp_path / "own.json")]
    assert parse_arguments(["demo", *flags, "--warmup_type", "linear"])
    with pytest.raises(ValueError, match="warmup_type is log; allowed beside the DeepSpeed file: linear"):
        parse_arguments(["demo", *flags, "--warmup_type", "log"])


def test_flags_override_the_recipe(tmp_path: Path) -> None:
    flags = ["--max_steps", "4", "--save_steps", "2", "--resume_from_checkpoint", "true", "--learning_rate", "1e-4"]
    _, _, args = parse_arguments(["demo", "--output_dir", str(tmp_path), *flags])
    assert (args.max_steps, args.save_steps, args.learning_rate) == (4, 2, 1e-4)
    assert args.resume_from_checkpoint == "true"


def test_a_bare_off_is_the_word(tmp_path: Path) -> None:
    """YAML reads it as false."""
    recipe = tmp_path / "own.yaml"
    shipped = read_recipe("causal")
    for written, expected in (("off", "off"), ("'off'", "off"), ("keep", "keep")):
        recipe.write_text(f"model_name_or_path: {shipped['model_name_or_path']}\nthinking: {written}\n")
        assert parse_arguments([str(recipe), "--output_dir", str(tmp_path / "out")])[2].thinking == expected


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ([], "the recipe is missing; allowed first: a YAML file"),
        (["nothing"], "recipe is 'nothing'; allowed: a YAML file, or one that ships: causal, demo"),
        (["demo", "--max_stepz", "3"], "unknown arguments --max_stepz 3"),
        (["demo", "--max_steps", "three"], "invalid int value: 'three'"),
        (["demo", "--dataset", "nowhere.jsonl"], "dataset nowhere.jsonl: no such file; allowed: a file, a folder"),
        (["demo", "--dataset", "nowhere.json.gz"], "dataset nowhere.json.gz: no such file"),
        (["demo", "--dataset", "no/such/folder"], "dataset no/such/folder: no such file"),
        (
            ["demo", "--deepspeed", "zero9.json"],
            "deepspeed is 'zero9.json'; allowed: a file, or one that ships: zero",
        ),
        (["demo", "--model_name_or_path", "x"], "either model_name_or_path or model_config"),
        (["ptuning", "--use_cpu", "--fp16", "false", "--model_name_or_path", "EMPTY"], "has no config.json"),
        (["ptuning", "--use_cpu", "--fp16", "false", "--model_name_or_path", "./gone"], "./gone is no folder"),
        (["demo", "--lora_rank", "8"], "lora_rank and pre_seq_len need a loaded one"),
        (["lora", "--model_name_or_path", "x", "--tokenizer_vocab_size", "9"], "a loaded model has its tokenizer"),
        (["demo", "--max_eval_replies", "0"], "max_eval_replies is 0; allowed: 1 or more"),
        (["demo", "--global_batch_size", "0"], "global_batch_size is 0; allowed: 1 or more"),
        (["demo", "--global_batch_size", "-10"], "global_batch_size is -10; allowed: 1 or more"),
        (["demo", "--max_steps", "0"], "max_steps is 0; allowed: 1 or more, or -1 for num_train_epochs"),
        (["ptuning", "--pre_seq_len", "0"], "pre_seq_len is 0; allowed: 1 or more"),
        (["demo", "--deepspeed", "{"], "deepspeed { is not JSON: "),
        (
            ["demo", "--deepspeed", "zero2.json", "--lr_scheduler_type", "cosine"],
            "lr_scheduler_type is cosine, but the DeepSpeed file names a scheduler; allowed beside it: linear",
        ),
        (["demo", "--max_tokens", "0"], "max_tokens is 0; allowed: 1 or more"),
        (["demo", "--thinking", "maybe"], "--thinking: invalid choice: 'maybe' (choose from 'off', 'keep')"),
        (["demo", "--per_device_eval_batch_size", "0"], "per_device_eval_batch_size is 0; allowed: 1 or more"),
        (["demo", "--num_test_turns", "-1"], "num_test_turns is -1; allowed: 0 (none) or more"),
        (
            ["demo", "--streaming", "true", "--dataloader_prefetch_factor", "2"],
            "dataloader_prefetch_factor is 2; allowed with a stream: none",
        ),
        (
            ["demo", "--streaming", "true", "--dataloader_num_workers", "1", "--dataloader_prefetch_factor", "0"],
            "dataloader_num_workers is 1; allowed with a stream: none",
        ),
        (
            ["demo", "--dataloader_prefetch_factor", "3"],
            "dataloader_prefetch_factor is 3; allowed while dataloader_num_workers is 0: none",
        ),
        (["demo", "--top_p", "7"], "top_p is 7.0; allowed: 1e-37 to 1"),
        (["paper", "--per_device_train_batch_size", "0"], "per_device_train_batch_size is 0; allowed: 1 or more"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    arguments: list[str], line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "EMPTY").mkdir()
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == 2
    lines = [text for text in capsys.readouterr().err.splitlines() if text.startswith("soulchat: error: ")]
    assert len(lines) == 1
    assert line in lines[0]
    assert [path.name for path in tmp_path.iterdir()] == ["EMPTY"]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("learning_rat: 1", "unknown key 'learning_rat'; allowed near it: learning_rate"),
        ("- a list", "is a list; allowed: a mapping of keys to values"),
        ("a: [", "is not YAML"),
        ("report_to: &a [x]\nmodel_config: {a: *a}", "is not YAML: line 2 has the alias *a"),
        ("[" * 100_000, "is nested more than 50 deep"),
    ],
)
def test_recipes_that_cannot_be_read(content: str, line: str, tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(content)
    with pytest.raises(ValueError, match="recipe") as error:
        read_recipe(str(path))
    assert line in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("max_steps: three", "argument --max_steps/--max-steps: invalid int value: 'three'"),
        ("max_steps: 2.5", "invalid int value: '2.5'"),
        ("use_cpu: perhaps", "use_cpu"),
        ("max_steps: null", "max_steps is null; allowed: int"),
        ("learning_rate: [1]", "learning_rate is [1]; allowed: float"),
        ("max_steps: {a: 2026-01-01}", "invalid int value"),
        ("loss_on: first_turn", "invalid choice: 'first_turn' (choose from"),
        ("model_config: [256, 3]", "model_config is [256, 3]; allowed: dict | str | None"),
        ("model_config: '{256'", "model_config is '{256'; allowed: a mapping of ChatGLMConfig values"),
    ],
)
def test_values_of_a_recipe_are_checked_as_those_of_flags(
    content: str, line: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text(content)
    with pytest.raises(SystemExit):
        main([str(path)])
    told = [text for text in capsys.readouterr().err.splitlines() if text.startswith("soulchat: error: ")]
    assert len(told) == 1
    assert line in told[0]


def test_what_a_recipe_can_say(tmp_path: Path) -> None:
    """Numbers that YAML takes for words, words of both kinds, lists, mappings, and nothing."""
    path = tmp_path / "recipe.yaml"
    path.write_text(
        "model_name_or_path: -base\nlearning_rate: 1e-4\nglobal_batch_size: null\nuse_cpu: yes\n"
        "lora_target_modules: [a, b]\nreport_to: [tensorboard, wandb]\nlr_scheduler_type: polynomial\n"
        "lr_scheduler_kwargs: {power: 2}\n"
        f"output_dir: {tmp_path}\n"
    )
    name, run, args = parse_arguments([str(path), "--lora_rank", "4"])
    assert name == "recipe"
    assert (run.model_name_or_path, run.lora_target_modules, run.lora_rank) == ("-base", ["a", "b"], 4)
    assert (args.learning_rate, args.global_batch_size, args.use_cpu) == (1e-4, None, True)
    assert (args.report_to, args.lr_scheduler_kwargs) == (["tensorboard", "wandb"], {"power": 2})


@pytest.mark.parametrize("stage", ["zero2", "zero3", "zero3-offload"])
def test_deepspeed_files_ship_with_auto_values(stage: str) -> None:
    config = json.loads(Path(find_deepspeed_file(f"{stage}.json")).read_text())
    assert config["zero_optimization"]["stage"] == int(stage[4])
    assert config["scheduler"]["params"]["warmup_type"] == "auto"
    assert config["optimizer"]["params"]["betas"] == "auto"


@pytest.mark.parametrize("name", ["one-gpu", "8-gpus", "nodes"])
def test_accelerate_files_ship(name: str) -> None:
    config = yaml.safe_load((RECIPES / "accelerate" / f"{name}.yaml").read_text())
    assert config["num_processes"] == {"one-gpu": 1, "8-gpus": 8, "nodes": 16}[name]
