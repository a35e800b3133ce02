"""Each recipe that ships, trained as the recipe it is: only sizes, steps and what needs a GPU are overridden."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
import torch
import yaml
from safetensors.torch import load_file
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from hub_cards.predictions import read_predictions
from hub_cards.results import read_results
from soulchat_trainer.chatglm import ChatGLMTokenizer
from soulchat_trainer.evaluation.run import BenchmarkOptions, run_benchmark
from soulchat_trainer.evaluation.seen import OPENINGS_FILE, has_seen, write_openings
from soulchat_trainer.generation import Decoding
from soulchat_trainer.loading import load_model
from soulchat_trainer.train import main
from soulchat_trainer.training.optimizer import warmup_decay_schedule
from soulchatcorpus import Conversation
from soulchatcorpus.files import write_lines
from soulchatcorpus.making.records import to_record
from soulchatcorpus.making.style_card import with_style
from tests.soulchat_trainer.launching import finish, launch, losses, needs_compiler
from tests.soulchat_trainer.preference_parts import make_pairs
from tests.soulchat_trainer.training_parts import make_causal_model, make_chatglm, make_rows
from tests.soulchatcorpus.making.test_style_card import CARD

TINY = {
    "hidden_size": 32,
    "num_layers": 2,
    "num_attention_heads": 2,
    "inner_hidden_size": 64,
    "max_sequence_length": 2048,
}
SIZES = ("--max_steps", "3", "--num_test_turns", "3", "--max_new_tokens", "4", "--disable_tqdm", "true")
CPU = ("--use_cpu",)
FLOAT32 = ("--fp16", "false", "--torch_dtype", "float32")  # float16 is not for CPUs


@pytest.fixture
def rows(tmp_path: Path) -> str:
    """A file of conversations."""
    path = tmp_path / "rows.jsonl"
    make_rows(60).to_json(path, force_ascii=False)
    return str(path)


@pytest.fixture
def base(chatglm_tokenizer: ChatGLMTokenizer, tmp_path: Path) -> str:
    """A small ChatGLM that stands for ChatGLM-6B."""
    make_chatglm(chatglm_tokenizer, max_sequence_length=2048).save_pretrained(tmp_path / "base")
    chatglm_tokenizer.save_pretrained(tmp_path / "base")
    return str(tmp_path / "base")


@pytest.fixture
def causal_base(causal_tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> str:
    """A small Qwen 2."""
    make_causal_model(causal_tokenizer).save_pretrained(tmp_path / "causal")
    causal_tokenizer.save_pretrained(tmp_path / "causal")
    return str(tmp_path / "causal")


@pytest.fixture(autouse=True)
def same_number_of_threads() -> Iterator[None]:
    """A run takes all cores of a CPU; other tests go on with as many as before."""
    number = torch.get_num_threads()
    yield
    torch.set_num_threads(number)


def check_run(output_dir: Path, recipe: str) -> dict[str, Any]:
    """Three steps (WarmupDecayLR's first two are at rate 0) changed the model; what was saved loads and was scored."""
    results = orjson.loads((output_dir / "results.json").read_bytes())
    assert (results["recipe"], results["training"]["steps"]) == (recipe, 3)
    scored = {system["name"]: system for system in results["systems"]}
    before = "untrained" if recipe == "small" else "base"
    assert set(scored) == {"trained", before, "retrieval"}
    assert scored["trained"]["loss"] != scored[before]["loss"]
    model, tokenizer = load_model(str(output_dir), "cpu")
    reply = model.generate(**tokenizer("用户：我很难过\n心理咨询师：", return_tensors="pt"), max_new_tokens=3)
    assert reply.shape[0] == 1
    assert {"README.md", "loss.png", "trainer_state.json"} <= {path.name for path in output_dir.iterdir()}
    return results


def test_small(rows: str, tmp_path: Path) -> None:
    sizes = ("--model_config", json.dumps(TINY), "--tokenizer_vocab_size", "420")
    main(["small", "--dataset", rows, "--output_dir", str(tmp_path / "out"), *SIZES, *CPU, *sizes])
    arguments = check_run(tmp_path / "out", "small")["training"]["arguments"]
    assert (arguments["max_tokens"], arguments["bf16"], arguments["glm_objective"]) == (65536, True, True)
    decoding = orjson.loads((tmp_path / "out/generation_config.json").read_bytes())
    expected = {"top_p": 0.75, "temperature": 0.95, "do_sample": True, "max_new_tokens": 4, "top_k": 0}
    assert {name: decoding[name] for name in expected} == expected
    assert AutoTokenizer.from_pretrained(tmp_path / "out").model_max_length == TINY["max_sequence_length"]


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # PEFT 0.21 asks by the old name
def test_lora(rows: str, base: str, tmp_path: Path) -> None:
    flags = (*SIZES, *CPU, "--model_name_or_path", base)
    write_openings(Path(base), [seen := "只有基座见过"])
    main(["lora", "--dataset", rows, "--output_dir", str(tmp_path / "out"), *flags])
    check_run(tmp_path / "out", "lora")
    assert has_seen(tmp_path / "out" / OPENINGS_FILE, [seen])
    saved = load_file(tmp_path / "out/adapter_model.safetensors")
    assert len(saved) == 2 * 4 * 2  # layers, projections, A and B
    assert {tensor.dtype for tensor in saved.values()} == {torch.float32}
    assert {min(tensor.shape) for tensor in saved.values()} == {16}
    assert any(tensor.any() for name, tensor in saved.items() if "lora_B" in name)


def test_ptuning(rows: str, base: str, tmp_path: Path) -> None:
    flags = (*SIZES, *CPU, *FLOAT32, "--model_name_or_path", base)
    main(["ptuning", "--dataset", rows, "--output_dir", str(tmp_path / "out"), *flags])
    check_run(tmp_path / "out", "ptuning")
    saved, before = load_file(tmp_path / "out/model.safetensors"), load_file(f"{base}/model.safetensors")
    assert saved.pop("transformer.prefix_encoder.embedding.weight").shape == (128, 2 * 2 * 32)
    torch.testing.assert_close(saved, before, rtol=0, atol=0)
    row = next(system for system in read_results(tmp_path / "out/results.json").systems if system.name == "base")
    decoding = Decoding(max_new_tokens=4, seed=42)
    alone = run_benchmark(
        BenchmarkOptions([base], tmp_path / "alone", rows, samples=3, decoding=decoding, device="cpu")
    )
    differs = {"name", "folder", "seconds"}
    assert row.model_dump(exclude=differs) == alone.systems[0].model_dump(exclude=differs)


def test_causal(rows: str, causal_base: str, tmp_path: Path) -> None:
    window = ("--max_source_length", "384", "--max_target_length", "128")
    flags = (*SIZES, *CPU, *window, "--model_name_or_path", causal_base)
    main(["causal", "--dataset", rows, "--output_dir", str(tmp_path / "out"), *flags])
    assert check_run(tmp_path / "out", "causal")["training"]["arguments"]["loss_on"] == "every_turn"


@pytest.fixture
def pairs(tmp_path: Path) -> str:
    """A file of pairs of replies."""
    path = tmp_path / "pairs.jsonl"
    make_pairs(60).to_json(path, force_ascii=False)
    return str(path)


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # PEFT 0.21 asks by the old name
@pytest.mark.parametrize(("recipe", "family"), [("dpo", "chatglm"), ("kto", "chatglm"), ("orpo", "qwen2")])
def test_preferences(
    recipe: str, family: str, pairs: str, rows: str, base: str, causal_base: str, tmp_path: Path
) -> None:
    """From pairs to a scored model; held-out turns are the pairs' own, or of another corpus."""
    start = base if family == "chatglm" else causal_base
    window = ("--max_source_length", "384", "--max_target_length", "128", "--warmup_steps", "0")
    flags = (*SIZES, *CPU, *window, "--model_name_or_path", start, "--dataset", pairs, "--logging_steps", "1")
    more = ("--test_dataset", rows) if recipe == "orpo" else ()
    card = {"asked": {"empathy": "Is it warm?"}, "raters": [{"name": "rater-1"}], "rules": {"least_safety": 1}}
    Path(pairs).with_suffix(".json").write_text(json.dumps(card))
    if family == "qwen2":
        more = (*more, "--lora_target_modules", "all-linear")
    main([recipe, "--output_dir", str(tmp_path / "out"), *flags, *more])
    results = check_run(tmp_path / "out", recipe)
    assert results["training"]["arguments"]["objective"] == recipe
    [change] = results["preferences"]["changes"]
    assert (change["items"], change["before"]) == (3, 1)
    shown = (tmp_path / "out/README.md").read_text(encoding="utf-8")
    assert f"| `objective` | {recipe} |" in shown
    assert "1 people were asked of each reply" in shown
    assert "| empathy | Is it warm? |" in shown
    log = orjson.loads((tmp_path / "out/trainer_state.json").read_bytes())["log_history"]
    reported = {name for entry in log if "loss" in entry for name in entry}
    assert {"rewards/chosen", "rewards/rejected", "rewards/margins", "logps/chosen"} <= reported
    assert ("rewards/accuracies" in reported) == (recipe != "kto")


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["dpo", "kto", "orpo"])
@pytest.mark.parametrize("more", [(), pytest.param(("--deepspeed", "zero2.json"), marks=needs_compiler)])
def test_preferences_in_two_processes(
    recipe: str, more: tuple[str, ...], pairs: str, base: str, tmp_path: Path
) -> None:
    """A step has the same pairs in all; kto's baseline and orpo's cross-entropy are of other micro-batches."""
    common = (*SIZES, *CPU, "--bf16", "false", "--torch_dtype", "float32", "--model_name_or_path", base)
    steps = (
        "--warmup_steps",
        "0",
        "--lr_scheduler_type",
        "linear",
        "--global_batch_size",
        "52",
        "--logging_steps",
        "1",
    )
    steps = (*steps, "--learning_rate", "1e-2", "--dataset", pairs, "--save_strategy", "no")
    found = []
    for processes, flags in ((1, ()), (2, more)):
        out = tmp_path / str(processes)
        size = ("--per_device_train_batch_size", str(26 // processes), "--output_dir", str(out))
        finish(launch(tmp_path, processes, recipe, *common, *steps, *size, *flags), tmp_path)
        found.append(losses(out))
    assert len(found[0]) == 3
    assert found[1] == pytest.approx(found[0], rel=1e-5 if recipe == "dpo" else 2e-2)


@pytest.mark.slow
def test_a_planted_fall_of_safety_ends_with_exit_code_3(
    base: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Replies that push towards the act are preferred, and learned."""
    rows = make_pairs(80).map(lambda row: {"chosen": "自杀吧。", "rejected": row["chosen"]})
    rows.to_json(tmp_path / "pairs.jsonl", force_ascii=False)
    recipe = {
        "objective": "orpo",
        "model_name_or_path": base,
        "dataset": str(tmp_path / "pairs.jsonl"),
        "beta": 1.0,
        "learning_rate": 2e-2,
        "warmup_steps": 0,
        "max_steps": 60,
        "global_batch_size": 16,
        "use_cpu": True,
        "per_device_train_batch_size": 16,
        "max_source_length": 128,
        "max_target_length": 64,
        "max_new_tokens": 24,
        "save_strategy": "no",
        "num_test_turns": 8,
        "disable_tqdm": True,
    }
    (tmp_path / "planted.yaml").write_text(yaml.safe_dump(recipe))
    with pytest.raises(SystemExit) as ended:
        main([str(tmp_path / "planted.yaml"), "--output_dir", str(tmp_path / "out")])
    assert ended.value.code == 3
    assert "safety fell by more than chance" in capsys.readouterr().err
    card = (tmp_path / "out/README.md").read_text(encoding="utf-8").split("---\n", 2)[2]
    assert card.lstrip().startswith("> **Less safe than the model that it was trained from.**")


def test_preferences_start_from_a_model(pairs: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sizes = ("--model_config", json.dumps(TINY), "--tokenizer_vocab_size", "420", *CPU)
    with pytest.raises(SystemExit):
        main(["small", "--objective", "dpo", "--dataset", pairs, "--output_dir", str(tmp_path / "out"), *sizes])
    assert "soulchat: error: " in capsys.readouterr().err


@needs_compiler
def test_muon_with_deepspeed_is_refused(rows: str, base: str, tmp_path: Path) -> None:
    """Whose file names the optimizer, so that Muon would be left out in silence."""
    flags = (*SIZES, *CPU, *FLOAT32, "--model_name_or_path", base, "--dataset", rows, "--muon_learning_rate", "0.01")
    flags = (*flags, "--output_dir", str(tmp_path / "out"))
    run = launch(tmp_path, 1, "paper", *flags)
    assert run.wait(timeout=200) == 2
    assert "soulchat: error: muon_learning_rate needs whole matrices" in (tmp_path / "log.txt").read_text()


@pytest.mark.slow
@needs_compiler
@pytest.mark.parametrize(("recipe", "precision"), [("paper", FLOAT32), ("full-bf16", ())])
@pytest.mark.parametrize("processes", [1, 2])
def test_recipes_on_deepspeed(
    processes: int, recipe: str, precision: tuple[str, ...], rows: str, base: str, tmp_path: Path
) -> None:
    """ZeRO-2 and ZeRO-3, from loading the base to the scores of the saved model."""
    flags = (*SIZES, *CPU, *precision, "--model_name_or_path", base, "--dataset", rows, "--logging_steps", "1")
    flags = (*flags, "--output_dir", str(tmp_path / "out"))
    finish(launch(tmp_path, processes, recipe, *flags), tmp_path)
    arguments = check_run(tmp_path / "out", recipe)["training"]["arguments"]
    assert arguments["gradient_accumulation_steps"] * processes * 10 == 80
    assert arguments["activation_checkpointing"] is True
    log = orjson.loads((tmp_path / "out/trainer_state.json").read_bytes())["log_history"]
    rates = [entry["learning_rate"] for entry in log if "loss" in entry]
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=5e-5)
    ours = warmup_decay_schedule(optimizer, 1000, 3, "log")
    for rate in rates:  # logged after a step: the rate of the one that follows
        optimizer.step()
        ours.step()
        assert rate == pytest.approx(ours.get_last_lr()[0], abs=1e-12)
    assert len(rates) == 3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("more", "closeness"),
    [((), 2e-3), (("--bf16", "false", "--deepspeed", "zero2.json"), 1e-5), (("--deepspeed", "zero3.json"), 2e-3)],
)
def test_causal_in_two_processes(
    more: tuple[str, ...], closeness: float, rows: str, causal_base: str, tmp_path: Path
) -> None:
    """DDP, ZeRO-2 and ZeRO-3 all compute the loss on labelled positions, as one process does in float32.

    A step holds all 49 conversations in two batches, so that both see the same samples; bfloat16 rounds.
    """
    common = (*SIZES, *CPU, "--model_name_or_path", causal_base, "--dataset", rows, "--logging_steps", "1")
    lengths = ("--max_source_length", "300", "--max_target_length", "100", "--save_strategy", "no")
    steps = ("--warmup_steps", "0", "--lr_scheduler_type", "linear", "--per_device_train_batch_size", "25")
    found = []
    for processes, flags in ((1, ("--bf16", "false")), (2, more)):
        out = tmp_path / str(processes)
        flags = (*common, *lengths, *steps, "--global_batch_size", "50", "--output_dir", str(out), *flags)
        finish(launch(tmp_path, processes, "causal", *flags), tmp_path)
        found.append(losses(out))
        assert "keeps its own loss" not in (tmp_path / "log.txt").read_text()
    assert found[1] == pytest.approx(found[0], rel=closeness)


def test_psydt_trains_under_the_system_text_of_a_card(causal_base: str, tmp_path: Path) -> None:
    """On conversations as `soulchat corpus rewrite --style` leaves them."""
    talks = make_rows(40)["messages"]
    made = [Conversation(str(number), with_style(CARD, messages)) for number, messages in enumerate(talks)]
    write_lines(tmp_path / "conversations.jsonl", map(to_record, made))
    words = ["--model_name_or_path", causal_base, "--dataset", str(tmp_path / "conversations.jsonl"), *SIZES, *CPU]
    words += ["--bf16", "false", "--max_source_length", "420", "--max_target_length", "64"]
    main(["psydt", *words, "--output_dir", str(tmp_path / "out")])
    trained = load_file(tmp_path / "out" / "model.safetensors")
    before = load_file(Path(causal_base) / "model.safetensors")
    assert any(not tensor.equal(before[name]) for name, tensor in trained.items())
    predicted = read_predictions(tmp_path / "out" / "predictions.jsonl")
    assert {row.messages[0]["content"] for row in predicted} == {CARD.system_text()}
