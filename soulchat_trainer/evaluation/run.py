"""Systems answer the same test turns, and the paper's Table 1 comes out: `soulchat benchmark run`, and a run's end."""

import re
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

from accelerate import PartialState
from datasets import DatasetDict
from tqdm.auto import tqdm

from hub_cards.model_name import check_model_name
from hub_cards.predictions import PREDICTIONS_FILE, Prediction, write_predictions
from hub_cards.results import RESULTS_FILE, DataSet, Loss, Results, Sampling, System, read_results
from soulchatcorpus.files import working_in
from soulchatcorpus.turns import Turn, find_opening

from ..data import StoredTurns, describe_dataset, load_corpus, sample_test_turns, turns_fingerprint
from ..encoding.styles import prompt_name, renderer
from ..environment import describe_environment
from ..generation.engine import Reply
from ..generation.sampling import Decoding
from ..loading import choose_device
from .groups import check_by, group_turns, write_groups
from .journal import Journal
from .perplexity import HeldOutLoss
from .seen import has_seen
from .systems import (
    ENDPOINT,
    RETRIEVAL,
    UNTRAINED,
    Answering,
    EndpointSystem,
    ModelSystem,
    RetrievalSystem,
)
from .table1 import describe_references, system_row

BATCH_SIZE = 32


class Processes(Protocol):
    """Those that share the work; what `accelerate.PartialState` tells of them."""

    process_index: int
    num_processes: int

    def wait_for_everyone(self) -> None: ...


class Alone:
    """One process, whatever else is running."""

    process_index, num_processes = 0, 1

    def wait_for_everyone(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Benchmark:
    """What systems are asked, and how: systems of one benchmark can be compared.

    Attributes:
        dataset: as results.json tells of it; its fingerprint is that of the turns.
        turns: to be answered.
        decoding: how replies are drawn.
        prompt: soulchat, chatglm, mechat or a template file; None for the models' own.
        base_url: of endpoints.
        renew: replies of other settings that are in the way are deleted instead of refused.
    """

    dataset: DataSet
    turns: list[Turn]
    decoding: Decoding
    batch_size: int = BATCH_SIZE
    prompt: str | None = None
    base_url: str | None = None
    processes: Processes = field(default_factory=Alone)
    renew: bool = False

    @property
    def completions(self) -> list[str]:
        """The references."""
        return [turn.completion for turn in self.turns]

    def score(self, system: Answering, folder: Path, journal_folder: Path | None = None) -> System | None:
        """Get the replies that are still missing, in all processes; the first writes predictions and returns the row.

        Args:
            folder: of predictions.jsonl.
            journal_folder: of the replies as they come; the same by default.
        """
        replies, seconds = self.answer(system, journal_folder or folder)
        if self.processes.process_index:
            return None
        write_predictions(
            folder / PREDICTIONS_FILE,
            [
                Prediction(id=turn.id, messages=turn.context, reference=turn.completion, prediction=reply.text)
                for turn, reply in zip(self.turns, replies, strict=True)
            ],
        )
        row = system_row(system.name, system.kind, replies, self.completions, seconds)
        openings = {find_opening(turn.context) for turn in self.turns}
        loss = system.loss(self.turns)
        return row.model_copy(
            update={
                "revision": system.revision,
                "seen": system.openings_file is not None and has_seen(system.openings_file, openings),
                **(describe_loss(loss).model_dump() if loss is not None else {}),
                "prompt": prompt_name(self.prompt),
                "dtype": system.dtype,
                "batch_size": self.batch_size,
                "processes": self.processes.num_processes,
            }
        )

    def results(self, systems: Sequence[System], **more: Any) -> Results:
        """The content of results.json with these rows; `more` are further fields of it."""
        common = {
            **describe_environment(),
            "dataset": self.dataset,
            "decoding": Sampling(**asdict(self.decoding)),
            "references": describe_references(self.completions) if self.turns else None,
        }
        return Results(**common | {"systems": list(systems)} | more)

    def answer(self, system: Answering, folder: Path) -> tuple[list[Reply], float]:
        """Replies in the order of the turns, and the seconds that they took; kept in `folder` as they come."""
        settings = {
            "model": system.name,
            "revision": system.revision,
            "fingerprint": self.dataset.fingerprint,
            "decoding": asdict(self.decoding),
            "prompt": prompt_name(self.prompt),
            "dtype": system.dtype,
            "base_url": self.base_url if system.kind == "endpoint" else None,
        }
        index, number = self.processes.process_index, self.processes.num_processes
        if index:
            self.processes.wait_for_everyone()
        journal = Journal(folder, settings, index, self.renew)
        if not index:
            self.processes.wait_for_everyone()
        done = journal.read()
        missing = [turn for turn in self.turns if turn.id not in done]
        self.processes.wait_for_everyone()
        own = missing[index::number]
        replies = system.answer(own, self.decoding, self.batch_size) if own else ()
        with tqdm(total=len(own), desc=system.name, unit="reply", disable=bool(index)) as progress:
            for _ in journal.write(replies):
                progress.update()
        self.processes.wait_for_everyone()
        done = journal.read()
        return [done[turn.id] for turn in self.turns], journal.seconds()


def describe_loss(found: HeldOutLoss) -> Loss:
    """A loss as results.json has it."""
    return Loss(loss=found.loss, perplexity=found.perplexity, bits_per_character=found.bits_per_character)


def choose_turns(name: str, corpus: DatasetDict, samples: int | None, seed: int) -> tuple[DataSet, list[Turn]]:
    """The test turns of a benchmark, and what results.json tells of the data.

    Raises:
        ValueError: there is no test split, or not so many turns in it.
    """
    turns = sample_test_turns(name, corpus, samples, seed)
    return describe_dataset(name, corpus, turns_fingerprint(turns)), turns


@dataclass(frozen=True, slots=True)
class BenchmarkOptions:
    """What is scored on what, and how."""

    models: Sequence[str] = field(metadata={"help": "Systems, see `systems`."})
    output: Path = field(metadata={"help": "Folder of the results."})
    dataset: str = field(default="soulchatcorpus", metadata={"help": "A corpus by name, or a file."})
    samples: int | None = field(default=None, metadata={"help": "Test turns; all, at most 10,000, by default."})
    batch_size: int = field(default=BATCH_SIZE, metadata={"help": "Replies in one batch, or requests at once."})
    decoding: Decoding = field(default_factory=Decoding, metadata={"help": "How replies are drawn."})
    prompt: str | None = field(default=None, metadata={"help": "soulchat, chatglm, mechat, or a template file."})
    device: str = field(default="auto", metadata={"help": "auto, cpu, cuda, …"})
    dtype: str = field(default="auto", metadata={"help": "auto, float32, bfloat16, float16."})
    base_url: str | None = field(default=None, metadata={"help": "Address of the endpoint (OPENAI_BASE_URL)."})
    by: str | None = field(default=None, metadata={"help": "Also score groups of turns, see `groups`."})


def run_benchmark(options: BenchmarkOptions) -> Results | None:
    """Answer, score, write; returns the content of results.json (None in all processes but the first).

    Each system's predictions.jsonl and results.json stand in the output folder itself, or with several systems in a
    folder for each; results.json in the output folder tells of all. Started again, it goes on where it was stopped.

    Raises:
        ValueError, OSError: bad options or data; a model that is not there, or that produced nothing; another run at
            work in the output folder.
    """
    folders = [folder_name(spec) for spec in options.models]
    if len(set(folders)) < len(folders):
        raise ValueError(
            f"models {', '.join(options.models)} share a name; allowed: each once, with names of their own"
        )
    if options.batch_size < 1:
        raise ValueError(f"batch_size is {options.batch_size}; allowed: at least 1")
    for spec in options.models:
        check_spec(spec)
    if options.by is not None:
        check_by(options.by)
    if options.prompt:
        renderer(options.prompt)
    for folder in (options.output, *(options.output / name for name in folders)):
        check_no_training(folder)
    state = PartialState(cpu=choose_device(options.device).type == "cpu")
    with working_in(options.output, "soulchat benchmark run") if state.is_main_process else nullcontext():
        return _run(options, folders, state)


def _run(options: BenchmarkOptions, folders: Sequence[str], state: PartialState) -> Results | None:
    corpus = load_corpus(options.dataset)
    dataset, turns = choose_turns(options.dataset, corpus, options.samples, options.decoding.seed)
    if options.by is not None:
        group_turns(turns, options.by)
    state.print(f"{len(turns)} of {dataset.splits['test']} test turns of {dataset.name}")
    benchmark = Benchmark(
        dataset, turns, options.decoding, options.batch_size, options.prompt, options.base_url, processes=state
    )
    rows = []
    for spec, name in zip(options.models, folders, strict=True):
        folder = options.output if len(options.models) == 1 else options.output / name
        row = benchmark.score(open_system(spec, options, StoredTurns(corpus["train"])), folder)
        if row is not None:
            # New weights may well repeat a special token for ever, which reads as nothing; from others it is a fault.
            if row.generation.empty == row.samples and not row.name.startswith(UNTRAINED):
                raise ValueError(f"{row.name} produced nothing: all {row.samples} replies are empty")
            benchmark.results([row]).write(folder / RESULTS_FILE)
            if options.by is not None:
                write_groups(folder, turns, options.by, options.decoding.seed)
            rows.append(row.model_copy(update={"folder": str(folder.relative_to(options.output))}))
    if not state.is_main_process:
        return None
    results = benchmark.results(rows)
    results.write(options.output / RESULTS_FILE)
    return results


def check_no_training(folder: Path) -> None:
    """Raises ValueError for the folder of a trained model: a benchmark would replace its results, and so its card."""
    path = folder / RESULTS_FILE
    if path.is_file() and read_results(path).training is not None:
        raise ValueError(f"output is {folder}, which has the results of a training; allowed: another folder")


def check_spec(spec: str) -> None:
    """Raises OSError for a folder that holds no model: told before the first system has answered."""
    if spec != RETRIEVAL and not spec.startswith(ENDPOINT):
        check_model_name(spec.removeprefix(UNTRAINED))


def open_system(spec: str, options: BenchmarkOptions, train_turns: Iterable[Turn]) -> Answering:
    """The system that a `--model` names, see `systems`."""
    if spec == RETRIEVAL:
        return RetrievalSystem(train_turns)
    if spec.startswith(ENDPOINT):
        return EndpointSystem(spec, options.prompt, options.base_url)
    return ModelSystem(spec, options.prompt, options.device, options.dtype, options.decoding.seed)


def folder_name(spec: str) -> str:
    """A system's folder: the end of its path or name, without characters that a folder cannot have."""
    prefix, _, name = spec.rstrip("/").rpartition(":")
    parts = [part for part in (prefix, Path(name).resolve().name) if part]
    return re.sub(r"[^\w.-]+", "-", "-".join(parts))
