"""What a run leaves behind: its benchmark beside baselines, results.json, loss curve, card."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from datasets import DatasetDict
from transformers import PreTrainedTokenizerBase, TrainerState

from hub_cards.model import write_model_card
from hub_cards.results import RESULTS_FILE, Loss, Preferences, Results, System, check_results
from soulchatcorpus.files import replacing
from soulchatcorpus.reading.pairs import read_card

from .data import StoredTurns
from .evaluation.gate import compare_replies, items_needed
from .evaluation.perplexity import unigram_loss
from .evaluation.run import Benchmark, choose_turns, describe_loss
from .evaluation.seen import find_openings, write_openings
from .evaluation.systems import RETRIEVAL, UNTRAINED, Answering, ModelSystem, RetrievalSystem
from .training.arguments import RunArguments, SoulChatTrainingArguments
from .training.run_info import describe_training

EVALUATION = "evaluation"  # folder, in that of the run, of replies as they come
TRAINED, BASE, NEW = "trained", "base", "untrained"


@dataclass
class FinishedRun:
    """A run after training: what was asked for, and what the folder `args.output_dir` was trained on.

    `benchmark` is what it is scored by, None where nothing is held out for that.
    """

    run_info: dict[str, Any]
    run: RunArguments
    args: SoulChatTrainingArguments
    corpus: DatasetDict
    tokenizer: PreTrainedTokenizerBase
    state: TrainerState
    parameters: int
    benchmark: Benchmark | None

    @property
    def folder(self) -> Path:
        return Path(self.args.output_dir)

    @property
    def train_turns(self) -> StoredTurns:
        return StoredTurns(self.corpus["train"])


def plan_benchmark(run: RunArguments, args: SoulChatTrainingArguments, corpus: DatasetDict) -> Benchmark | None:
    """That of `soulchat benchmark run --samples num_test_turns` with the run's decoding and seed.

    Raises:
        ValueError: the test turns cannot be read, or share ids; better told before training than after it.
    """
    samples = min(run.num_test_turns, StoredTurns(corpus["test"]).count()) if "test" in corpus else 0
    if not samples:
        return None
    dataset, turns = choose_turns(run.dataset, corpus, samples, args.seed)
    return Benchmark(dataset, turns, args.decoding(), renew=True)


def report_run(finished: FinishedRun) -> Results:
    """Evaluate the saved model on held-out turns and write everything that describes the run; returns the results."""
    plot_loss(finished.state.log_history, finished.folder / "loss.png")
    base = finished.run.model_name_or_path
    write_openings(finished.folder, finished.train_turns.openings(), find_openings(base) if base else None)
    arguments = {**asdict(finished.run), **finished.args.to_dict()}
    training = describe_training(finished.state, arguments, finished.parameters)
    training["data_fingerprint"] = finished.run_info["dataset"]["fingerprint"]
    if finished.benchmark is None:
        results = check_results({**finished.run_info, "training": training})
    else:
        results = finished.benchmark.results(
            score_systems(finished, finished.benchmark),
            recipe=finished.run_info["recipe"],
            training=training,
            unigram=describe_unigram(finished, finished.benchmark.completions),
        )
    if finished.args.objective != "sft":
        results.preferences = describe_preferences(finished)
    results.write(finished.folder / RESULTS_FILE)
    write_model_card(finished.folder)
    return results


def describe_preferences(finished: FinishedRun) -> Preferences:
    """What the data say of the ratings behind them, the rewards, and whether the trained model is less safe."""
    card = read_card(Path(finished.run.dataset))
    steps = [entry for entry in finished.state.log_history if any(name.startswith("rewards/") for name in entry)]
    rewards = {name: value for name, value in (steps[-1] if steps else {}).items() if name.startswith("rewards/")}
    changes = []
    if finished.benchmark is not None:
        changes = [compare_replies(finished.folder / EVALUATION / BASE, finished.folder)]
    return Preferences(
        objective=finished.args.objective,
        asked=card.get("asked", {}),
        rules=card.get("rules", {}),
        judged_by=card.get("judged_by", "raters"),
        raters=len(card["raters"]) if "raters" in card else None,
        rewards=rewards,
        items_needed=items_needed(),
        changes=changes,
    )


def score_systems(finished: FinishedRun, benchmark: Benchmark) -> list[System]:
    """The rows of the saved model, of the one that training started from, and of retrieval."""
    rows = []
    for name in (TRAINED, BASE if finished.run.model_name_or_path else NEW, RETRIEVAL):
        journal = finished.folder / EVALUATION / name
        folder = finished.folder if name == TRAINED else journal
        row = benchmark.score(_open_system(name, finished), folder, journal)
        where = {"name": name, "folder": str(folder.relative_to(finished.folder))}
        rows += [] if row is None else [row.model_copy(update=where)]
    return rows


def _open_system(name: str, finished: FinishedRun) -> Answering:
    if name == RETRIEVAL:
        return RetrievalSystem(finished.train_turns)
    folder = str(finished.folder)
    spec = {TRAINED: folder, BASE: finished.run.model_name_or_path, NEW: UNTRAINED + folder}[name]
    return ModelSystem(str(spec), None, str(finished.args.device), "auto", finished.args.seed, tokenizer=folder)


def describe_unigram(finished: FinishedRun, references: Sequence[str]) -> Loss:
    """The loss of a unigram model over the same tokens."""
    replies = (turn.completion for turn in finished.train_turns)
    return describe_loss(unigram_loss(finished.tokenizer, replies, references))


def plot_loss(log_history: Sequence[dict[str, Any]], path: Path) -> None:
    """Training loss, and held-out loss where it was measured, over the steps."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for key, label in (("loss", "training"), ("eval_loss", "validation")):
        points = [(entry["step"], entry[key]) for entry in log_history if key in entry]
        if points:
            axes.plot(*zip(*points, strict=True), label=label)
    axes.set(xlabel="step", ylabel="loss (nats a token)", title="Loss")
    axes.grid(alpha=0.3)
    axes.legend()
    with replacing(path) as file:
        figure.savefig(file, format="png", dpi=150)


def format_table(results: Results) -> str:
    """The systems side by side, as plain text; nothing where none was scored."""
    if not results.systems:
        return ""
    lines = [f"{'':<12}{'loss':>8}{'perpl.':>9}{'BLEU-1':>8}{'BLEU-4':>8}{'ROUGE-L':>9}{'distinct':>10}{'ended':>7}"]
    for system in results.systems:
        metrics, replies = system.metrics, system.generation
        lines.append(
            f"{system.name:<12}{_format_loss(system)}"
            f"{metrics['bleu-1']:8.2f}{metrics['bleu-4']:8.2f}{metrics['rouge-l']:9.2f}"
            f"{replies.share_distinct:10.0%}{replies.share_finished:7.0%}"
        )
    if results.unigram:
        lines.append(f"{'unigram':<12}{_format_loss(results.unigram)}")
    return "\n".join(lines)


def _format_loss(row: Loss) -> str:
    return f"{'–':>8}{'–':>9}" if row.loss is None else f"{row.loss:8.3f}{row.perplexity:9.1f}"
