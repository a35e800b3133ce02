"""A planted preference is learned:  python benchmarks/preferences_planted.py chatglm | causal [--model FOLDER]

A small model answers turns of the training split several times; of each turn the shortest reply that asks is
preferred to the longest one that does not. DPO trains the model on these pairs, and both answer held-out turns: how
often they ask, how long they are, and the perplexity of the corpus's own replies. The first replies of both are kept,
not picked. `chatglm` starts from the demo model (`make demo`), `causal` from a Qwen 2 of 1.4 million parameters
that is trained here first.
"""

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

import torch
import yaml
from datasets import load_dataset
from measuring import RESULTS, circumstances, write_results
from training import chat_tokenizer
from transformers import Qwen2Config, Qwen2ForCausalLM

import soulchatcorpus  # noqa: F401  # makes its name known to load_dataset
from hub_cards.cards import last_user_message
from hub_cards.predictions import PREDICTIONS_FILE, read_predictions
from hub_cards.results import RESULTS_FILE, read_results
from soulchat_trainer.data import list_turns, sample_turns
from soulchat_trainer.evaluation.empathy import find_expressions
from soulchat_trainer.generation.engine import Reply, generate_replies
from soulchat_trainer.generation.sampling import Decoding
from soulchat_trainer.loading import load_model
from soulchat_trainer.train import main as train
from soulchatcorpus.files import write_lines, write_text
from soulchatcorpus.reading.pairs import Pair
from soulchatcorpus.turns import Turn

CAUSAL = {
    "hidden_size": 128,
    "intermediate_size": 384,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "tie_word_embeddings": True,
}
SHOWN = 5
ROOM = {"max_source_length": 160, "max_target_length": 120, "max_new_tokens": 120}
# A model of so few parameters is trained whole, and faster than the recipes' large ones.
DPO = {
    "objective": "dpo",
    "beta": 0.3,
    "sft_weight": 0.5,
    "learning_rate": 8e-5,
    "warmup_steps": 5,
    "max_steps": 24,
    "global_batch_size": 32,
    "per_device_train_batch_size": 16,
    "save_strategy": "no",
    "eval_strategy": "no",
    "num_test_turns": 100,
    "test_dataset": "soulchatcorpus",
    "use_cpu": True,
    **ROOM,
}
# The causal model has learned less of the corpus and needs more pairs and steps to learn what they prefer.
OWN: dict[str, dict[str, Any]] = {
    "chatglm": {},
    "causal": {"sft_weight": 2.0, "learning_rate": 1.5e-4, "max_steps": 80},
}
SIZES = {"chatglm": (250, 6), "causal": (700, 8)}


def train_causal(folder: Path) -> str:
    """A small Qwen 2 that has learned the sample's replies."""
    corpus = load_dataset("soulchatcorpus", "conversations")["train"]
    tokenizer = chat_tokenizer(corpus)
    torch.manual_seed(0)
    ids = {"pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.eos_token_id}
    config = Qwen2Config(vocab_size=len(tokenizer), max_position_embeddings=1024, **ids, **CAUSAL)
    Qwen2ForCausalLM(config).save_pretrained(folder / "new")
    tokenizer.save_pretrained(folder / "new")
    recipe = {
        "model_name_or_path": str(folder / "new"),
        "loss_on": "every_turn",
        "num_test_turns": 0,
        "use_cpu": True,
        "max_source_length": 640,
        "max_target_length": 160,
        "global_batch_size": None,
        "max_tokens": 1300,
        "learning_rate": 4e-3,
        "muon_learning_rate": 0.02,
        "warmup_steps": 15,
        "warmup_type": "linear",
        "adam_beta2": 0.95,
        "max_steps": 700,
        "save_strategy": "no",
        "eval_strategy": "no",
    }
    return run(recipe, folder / "causal")


def run(recipe: dict[str, Any], output: Path) -> str:
    """Train as a recipe says; the folder of the model."""
    write_text(output.with_suffix(".yaml"), yaml.safe_dump(recipe))
    train([str(output.with_suffix(".yaml")), "--output_dir", str(output)])
    return str(output)


def plant(model_dir: str, number: int, tries: int, output: Path) -> dict[str, int]:
    """Pairs of a model's own replies, the short ones that ask preferred; writes them, returns how many of what.

    Pairs that lie there from an earlier run of the same sizes are taken as they are.
    """
    counts = {"turns": number, "replies_to_each": tries}
    if output.is_file():
        return {**counts, "pairs": len(output.read_bytes().splitlines())}
    model, tokenizer = load_model(model_dir, "cpu")
    turns = sample_turns(list_turns(load_dataset("soulchatcorpus", "conversations")["train"]), number, 0)
    asked = [turn for turn in turns for _ in range(tries)]
    keys = [f"{turn.id}/{place % tries}" for place, turn in enumerate(asked)]
    decoding = Decoding(max_new_tokens=ROOM["max_new_tokens"], seed=1)
    replies = generate_replies(model, tokenizer, [turn.context for turn in asked], keys, decoding, batch_size=64)
    pairs = [
        pair
        for place, turn in enumerate(turns)
        if (pair := choose(turn, replies[place * tries : (place + 1) * tries])) is not None
    ]
    write_lines(output, [pair.row() for pair in pairs])
    return {**counts, "pairs": len(pairs)}


def choose(turn: Turn, replies: list[Reply]) -> Pair | None:
    """The shortest reply that asks, and the longest that does not; None where there are not both."""
    texts = [reply.text for reply in replies if reply.finished and reply.text.strip()]
    asking = [text for text in texts if "asks" in find_expressions(text)]
    others = [text for text in texts if "asks" not in find_expressions(text)]
    if not asking or not others:
        return None
    return Pair(turn.context, min(asking, key=len), max(others, key=len))


def describe(folder: Path) -> dict[str, Any]:
    """What a finished run says of the model before and after, and the first replies of both."""
    results = read_results(folder / RESULTS_FILE)
    systems = {system.name: system for system in results.systems}
    sides = {"before": ("base", folder / "evaluation/base"), "after": ("trained", folder)}
    found: dict[str, Any] = {}
    for side, (name, _) in sides.items():
        system = systems[name]
        found[side] = {
            "asks": system.expressions["asks"],
            "mean_length": system.generation.mean_length,
            "perplexity": system.perplexity,
            "distinct_2": system.generation.distinct_2,
        }
    found["more_that_ask"] = found["after"]["asks"] - found["before"]["asks"]
    found["perplexity_worse_by"] = found["after"]["perplexity"] / found["before"]["perplexity"] - 1
    state = json.loads((folder / "trainer_state.json").read_text(encoding="utf-8"))
    steps = [entry for entry in state["log_history"] if "rewards/margins" in entry]
    found["training"] = {
        "seconds": results.training and results.training.seconds,
        "steps": results.training and results.training.steps,
        **{
            f"{name}_{when}": step[f"rewards/{name}"]
            for when, step in (("first", steps[0]), ("last", steps[-1]))
            for name in ("margins", "accuracies")
        },
    }
    rows = [read_predictions(path / PREDICTIONS_FILE, SHOWN) for _, path in sides.values()]
    found["replies"] = [
        {"id": old.id, "user": last_user_message(old.messages), "before": old.prediction, "after": new.prediction}
        for old, new in zip(*rows, strict=True)
    ]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("family", choices=["chatglm", "causal"])
    parser.add_argument("--model", help="by default outputs/demo, or one that is trained here")
    parser.add_argument("--output", type=Path, default=Path("outputs/preferences"))
    parser.add_argument("--set", nargs="*", default=[], help="fields of the recipe, such as max_steps=40")
    options = parser.parse_args()
    start = time.process_time()
    folder = options.output / options.family
    changes = {key: yaml.safe_load(value) for key, value in (each.split("=") for each in options.set)}
    model = options.model or (train_causal(folder) if options.family == "causal" else "outputs/demo")
    pairs = folder / "pairs.jsonl"
    counts = plant(model, *SIZES[options.family], pairs)
    print(counts, file=sys.stderr)
    recipe = {**DPO, **OWN[options.family], **changes, "model_name_or_path": model, "dataset": str(pairs)}
    run(recipe, folder / "dpo")
    path = RESULTS / "preferences-planted.json"
    known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    settings = {key: value for key, value in recipe.items() if key not in ("model_name_or_path", "dataset")}
    own = {**counts, "cpu_seconds": time.process_time() - start, "settings": settings, **describe(folder / "dpo")}
    write_results("preferences-planted", known | circumstances("torch", "transformers") | {options.family: own})


if __name__ == "__main__":
    main()
