"""What a run leaves behind: held-out replies and their scores beside baselines, results.json, loss curve, card."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from datasets import DatasetDict
from transformers import AutoModelForCausalLM, PreTrainedTokenizerBase, TrainerState

from hub_cards.model import write_model_card
from hub_cards.results import RESULTS_FILE
from soulchatcorpus.files import replacing
from soulchatcorpus.turns import Turn

from .data import draw_turns, list_turns
from .evaluation.perplexity import unigram_loss
from .evaluation.results import PREDICTIONS_FILE, write_predictions, write_results
from .evaluation.seen import find_openings, write_openings
from .evaluation.table1 import describe_references, evaluate_model, evaluate_retrieval
from .generation.sampling import Decoding
from .training.arguments import RunArguments, SoulChatTrainingArguments
from .training.models import make_model
from .training.run_info import describe_training

EVALUATION_BATCH = 64


@dataclass
class FinishedRun:
    """A run after training: what was asked for, and what the folder `args.output_dir` was trained on."""

    run_info: dict[str, Any]
    run: RunArguments
    args: SoulChatTrainingArguments
    corpus: DatasetDict
    tokenizer: PreTrainedTokenizerBase
    state: TrainerState
    parameters: int

    @property
    def folder(self) -> Path:
        return Path(self.args.output_dir)


def report_run(finished: FinishedRun) -> dict[str, Any]:
    """Evaluate the saved model on held-out turns and write everything that describes the run; returns the results."""
    plot_loss(finished.state.log_history, finished.folder / "loss.png")
    train_turns = list_turns(finished.corpus["train"])
    base = finished.run.model_name_or_path
    openings = find_openings(base) if base else None
    write_openings(finished.folder, (turn.prompt for turn in train_turns), openings)
    turns = draw_turns(finished.corpus.get("test"), finished.run.num_test_turns)
    decoding = finished.args.decoding()
    systems = evaluate_systems(finished, train_turns, turns, decoding) if turns else []
    references = [turn.completion for turn in turns]
    results = write_results(
        finished.folder / RESULTS_FILE,
        dataset=finished.run_info["dataset"],
        decoding=decoding,
        systems=systems,
        references=describe_references(references) if turns else {},
        recipe=finished.run_info["recipe"],
        training=describe_training(
            finished.state, {**asdict(finished.run), **finished.args.to_dict()}, finished.parameters
        ),
        unigram=describe_unigram(finished, train_turns, references) if turns else None,
    )
    write_model_card(finished.folder)
    return results


def evaluate_systems(
    finished: FinishedRun,
    train_turns: Sequence[Turn],
    turns: Sequence[Turn],
    decoding: Decoding,
) -> list[dict[str, Any]]:
    """Score the saved model, the one that training started from, and retrieval on the same turns."""
    systems = []
    for name in ("trained", "base" if finished.run.model_name_or_path else "untrained"):
        if name == "trained":
            model = AutoModelForCausalLM.from_pretrained(finished.folder)
        else:
            model = make_model(finished.run, finished.tokenizer, finished.args.seed)
        model = model.to(finished.args.device)
        row, predictions = evaluate_model(name, model, finished.tokenizer, turns, decoding, EVALUATION_BATCH)
        if name == "trained":
            write_predictions(finished.folder / PREDICTIONS_FILE, turns, predictions)
        systems.append(row)
    return [*systems, evaluate_retrieval(train_turns, turns)[0]]


def describe_unigram(
    finished: FinishedRun, train_turns: Sequence[Turn], references: Sequence[str]
) -> dict[str, float]:
    """Loss and perplexity of a unigram model over the same tokens."""
    unigram = unigram_loss(finished.tokenizer, [turn.completion for turn in train_turns], references)
    return {"loss": unigram.loss, "perplexity": unigram.perplexity}


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


def format_table(results: dict[str, Any]) -> str:
    """The systems side by side, as plain text; nothing where none was scored."""
    if not results["systems"]:
        return ""
    lines = [f"{'':<12}{'loss':>8}{'perpl.':>9}{'BLEU-1':>8}{'BLEU-4':>8}{'ROUGE-L':>9}{'distinct':>10}{'ended':>7}"]
    for system in results["systems"]:
        metrics, generation = system["metrics"], system["generation"]
        lines.append(
            f"{system['name']:<12}{_format_loss(system)}"
            f"{metrics['bleu-1']:8.2f}{metrics['bleu-4']:8.2f}{metrics['rouge-l']:9.2f}"
            f"{generation['share_distinct']:10.0%}{generation['share_finished']:7.0%}"
        )
    if results["unigram"]:
        lines.append(f"{'unigram':<12}{_format_loss(results['unigram'])}")
    return "\n".join(lines)


def _format_loss(row: dict[str, Any]) -> str:
    return f"{'–':>8}{'–':>9}" if row["loss"] is None else f"{row['loss']:8.3f}{row['perplexity']:9.1f}"
