"""`soulchat benchmark run`: systems answer the same test turns, and the paper's Table 1 comes out."""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from accelerate import PartialState
from tqdm.auto import tqdm

from hub_cards.results import RESULTS_FILE
from soulchatcorpus.turns import Turn

from ..data import DATASET_NAMES, list_turns, load_corpus, sample_turns
from ..encoding.styles import prompt_name, renderer
from ..generation.sampling import Decoding
from ..loading import check_model_folder, choose_device
from .journal import Journal
from .perplexity import HeldOutLoss
from .results import PREDICTIONS_FILE, fingerprint, write_predictions, write_results
from .seen import count_seen
from .systems import ENDPOINT, RETRIEVAL, UNTRAINED, EndpointSystem, ModelSystem, RetrievalSystem, System
from .table1 import describe_references, system_row


@dataclass(frozen=True, slots=True)
class BenchmarkOptions:
    """What is scored on what, and how."""

    models: Sequence[str] = field(metadata={"help": "Systems, see `systems`."})
    output: Path = field(metadata={"help": "Folder of the results."})
    dataset: str = field(default="soulchatcorpus", metadata={"help": "A corpus by name, or a file."})
    samples: int | None = field(default=None, metadata={"help": "Test turns; all, at most 10,000, by default."})
    batch_size: int = field(default=32, metadata={"help": "Replies in one batch, or requests at once."})
    decoding: Decoding = field(default_factory=Decoding, metadata={"help": "How replies are drawn."})
    prompt: str | None = field(default=None, metadata={"help": "soulchat, chatglm, mechat, or a template file."})
    device: str = field(default="auto", metadata={"help": "auto, cpu, cuda, …"})
    dtype: str = field(default="auto", metadata={"help": "auto, float32, bfloat16, float16."})
    base_url: str | None = field(default=None, metadata={"help": "Address of the endpoint (OPENAI_BASE_URL)."})


def run_benchmark(options: BenchmarkOptions) -> dict[str, Any] | None:
    """Answer, score, write; returns the content of results.json (None in all processes but the first).

    Each system's predictions.jsonl and results.json stand in the output folder itself, or with several systems in a
    folder for each; results.json in the output folder tells of all. Started again, it goes on where it was stopped.

    Raises:
        ValueError, OSError: bad options or data; a model that is not there, or that produced nothing.
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
    if options.prompt:
        renderer(options.prompt)
    state = PartialState(cpu=choose_device(options.device).type == "cpu")
    corpus = load_corpus(options.dataset)
    if "test" not in corpus:
        raise ValueError(f"dataset {options.dataset} has no test split; found {', '.join(corpus)}")
    splits = {split: list_turns(rows) for split, rows in corpus.items()}
    turns = sample_turns(splits["test"], options.samples, options.decoding.seed)
    known = DATASET_NAMES.get(options.dataset, {"name": Path(options.dataset).name, "licence": None})
    state.print(f"{len(turns)} of {len(splits['test'])} test turns of {known['name']}")
    dataset: dict[str, Any] = {
        **known,
        "config": "turns",
        "revision": None,
        "fingerprint": fingerprint(turns),
        "splits": {split: len(rows) for split, rows in splits.items()},
    }
    references = describe_references([turn.completion for turn in turns])
    common: dict[str, Any] = {"dataset": dataset, "decoding": options.decoding, "references": references}
    rows = []
    for spec, name in zip(options.models, folders, strict=True):
        folder = options.output if len(options.models) == 1 else options.output / name
        system = open_system(spec, options, splits["train"])
        row = benchmark_system(system, turns, folder, options, dataset["fingerprint"], state)
        if row is not None:
            write_results(folder / RESULTS_FILE, systems=[row], **common)
            rows.append(row | {"folder": str(folder.relative_to(options.output))})
    return write_results(options.output / RESULTS_FILE, systems=rows, **common) if state.is_main_process else None


def check_spec(spec: str) -> None:
    """Raises OSError for a folder that holds no model: told before the first system has answered."""
    if spec != RETRIEVAL and not spec.startswith(ENDPOINT):
        check_model_folder(spec.removeprefix(UNTRAINED))


def open_system(spec: str, options: BenchmarkOptions, train_turns: Sequence[Turn]) -> System:
    """The system that a `--model` names, see `systems`."""
    if spec == RETRIEVAL:
        return RetrievalSystem(train_turns)
    if spec.startswith(ENDPOINT):
        return EndpointSystem(spec, options.prompt, options.base_url)
    return ModelSystem(spec, options.prompt, options.device, options.dtype, options.decoding.seed)


def benchmark_system(
    system: System,
    turns: Sequence[Turn],
    folder: Path,
    options: BenchmarkOptions,
    data_fingerprint: str,
    state: PartialState,
) -> dict[str, Any] | None:
    """Get the replies that are still missing, in all processes; the first one scores them and returns the row."""
    settings = {
        "model": system.name,
        "revision": system.revision,
        "fingerprint": data_fingerprint,
        "decoding": asdict(options.decoding),
        "prompt": prompt_name(options.prompt),
        "dtype": system.dtype,
        "base_url": options.base_url if system.kind == "endpoint" else None,
    }
    with state.main_process_first():
        journal = Journal(folder, settings, state.process_index)
    done = journal.read()
    missing = [turn for turn in turns if turn.id not in done]
    state.wait_for_everyone()
    own = missing[state.process_index :: state.num_processes]
    replies = system.answer(own, options.decoding, options.batch_size) if own else ()
    with tqdm(total=len(own), desc=system.name, unit="reply", disable=not state.is_main_process) as progress:
        for _ in journal.write(replies):
            progress.update()
    state.wait_for_everyone()
    if not state.is_main_process:
        return None
    done = journal.read()
    texts = [done[turn.id] for turn in turns]
    # New weights may well repeat a special token for ever, which reads as nothing; from others that is a fault.
    if not system.name.startswith(UNTRAINED) and not any(reply.text.strip() for reply in texts):
        raise ValueError(f"{system.name} produced nothing: all {len(texts)} replies are empty")
    row = system_row(system.name, system.kind, texts, [turn.completion for turn in turns], journal.seconds())
    write_predictions(folder / PREDICTIONS_FILE, turns, [reply.text for reply in texts])
    prompts = [turn.prompt for turn in turns]
    loss = system.loss(turns)
    return row | {
        "revision": system.revision,
        "seen": system.openings_file is not None and count_seen(system.openings_file, prompts) > 0,
        "loss": loss,
        "perplexity": HeldOutLoss(loss, 0).perplexity if loss is not None else None,
        "prompt": prompt_name(options.prompt),
        "dtype": system.dtype,
        "batch_size": options.batch_size,
        "processes": state.num_processes,
    }


def folder_name(spec: str) -> str:
    """A system's folder: the end of its path or name, without characters that a folder cannot have."""
    prefix, _, name = spec.rstrip("/").rpartition(":")
    parts = [part for part in (prefix, Path(name).resolve().name) if part]
    return re.sub(r"[^\w.-]+", "-", "-".join(parts))
