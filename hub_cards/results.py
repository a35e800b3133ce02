"""The one model of `results.json`, the file in which training and the benchmark leave their numbers.

What was not measured is None, and null in the file.
"""

from pathlib import Path
from typing import Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from soulchatcorpus.files import write_json
from soulchatcorpus.wanted import describe_wanted

RESULTS_FILE = "results.json"
METRICS = {
    "bleu-1": "BLEU-1",
    "bleu-2": "BLEU-2",
    "bleu-3": "BLEU-3",
    "bleu-4": "BLEU-4",
    "rouge-1": "ROUGE-1",
    "rouge-2": "ROUGE-2",
    "rouge-l": "ROUGE-L",
}


class _Part(BaseModel):
    """Numbers are finite; a key that is none of the fields is refused."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, validate_assignment=True)


class DataSet(_Part):
    """The data that systems were measured on.

    Attributes:
        name: its true one, such as smilechat-1k.
        hub_id: its repository on the Hub, where it is published; `revision` is of that.
        benchmark: the Hub lists that repository as a benchmark.
        fingerprint: of the test turns that were answered.
        splits: number of turns by split.
    """

    name: str
    config: str | None = None
    hub_id: str | None = None
    benchmark: bool = False
    revision: str | None = None
    fingerprint: str | None = None
    splits: dict[str, int] = Field(default_factory=dict)
    licence: str | None = None


NOT_FOR_GENERATE = {"seed", "do_sample", "thinking"}  # or said first


class Sampling(_Part):
    """How replies were drawn, in the names that `generate` has for it."""

    top_p: float | None = None
    temperature: float | None = None
    max_new_tokens: int | None = None
    do_sample: bool = True
    seed: int | None = None
    thinking: str = "off"
    top_k: int | None = None
    repetition_penalty: float | None = None

    @property
    def arguments(self) -> dict[str, Any]:
        """As keyword arguments of `generate`."""
        return {"do_sample": self.do_sample} | self.model_dump(exclude_none=True, exclude=NOT_FOR_GENERATE)


class Replies(_Part):
    """Variety (distinct-n over characters), shares of all replies (0 to 1), mean length in characters, empty ones.

    `only_thoughts` of them are empty because the model's thoughts did not come to an end.
    """

    distinct_1: float | None = None
    distinct_2: float | None = None
    mean_length: float | None = None
    share_distinct: float | None = None
    share_finished: float | None = None
    empty: int | None = None
    only_thoughts: int | None = None


class References(Replies):
    """The same of the references; `expressions` as in `System`."""

    expressions: dict[str, float] = Field(default_factory=dict)


class Loss(_Part):
    """Mean loss in nats a token, its exponential, and the loss in bits a character, which other tokenizers share."""

    loss: float | None = None
    perplexity: float | None = None
    bits_per_character: float | None = None


class System(Loss):
    """A row of Table 1: a system that answered the test turns.

    Attributes:
        kind: model, baseline or endpoint.
        revision: tells versions of one name apart.
        seen: whether it was trained on openings of the test turns.
        metrics: the paper's seven (x100); intervals: their 95 % bootstrap intervals, low and high.
        signature: the metric's settings.
        expressions: share of the replies that ask, advise, comfort, …, 0 to 1.
        seconds: the replies took.
        folder: of its predictions.jsonl, relative to that of results.json.
    """

    name: str
    kind: str | None = None
    revision: str | None = None
    seen: bool = False
    samples: int | None = None
    metrics: dict[str, float | None] = Field(default_factory=dict)
    intervals: dict[str, tuple[float, float]] | None = None
    signature: str | None = None
    generation: Replies = Field(default_factory=Replies)
    expressions: dict[str, float] = Field(default_factory=dict)
    seconds: float | None = None
    prompt: str | None = None
    dtype: str | None = None
    batch_size: int | None = None
    processes: int | None = None
    folder: str | None = None

    @property
    def measured(self) -> dict[str, float]:
        """The measured ones of the seven metrics, by their shown name."""
        found = {shown: self.metrics.get(key) for key, shown in METRICS.items()}
        return {shown: value for shown, value in found.items() if value is not None}


class Training(_Part):
    """How a training went; `arguments` are the run's, `data_fingerprint` is of all that it was trained on."""

    seconds: float | None = None
    steps: int | None = None
    samples: int | None = None
    tokens: int | None = None
    tokens_per_second: float | None = None
    parameters: int | None = None
    loss_first: float | None = None
    loss_last: float | None = None
    data_fingerprint: str | None = None
    arguments: dict[str, Any] = Field(default_factory=dict)


class Change(_Part):
    """An aspect of the same items' replies before and after training by preferences.

    Attributes:
        aspect: what was rated or judged, such as safety.
        judged_by: raters, or what else.
        items: how many were answered by both models.
        before, after: means, from 0 to 1.
        low, high: 95 % interval of the difference, by paired bootstrap.
        gates: a fall of it is told first, and ends a run with exit code 3.
    """

    aspect: str
    judged_by: str
    items: int
    before: float
    after: float
    low: float
    high: float
    gates: bool = False

    @property
    def fell(self) -> bool:
        """Whether it is lower by more than chance."""
        return self.high < 0


class Preferences(_Part):
    """What a model was told of people's preferences, and what came of it.

    Attributes:
        objective: dpo, kto or orpo.
        asked: the questions that people were asked, by aspect; empty where the data do not say.
        rules: by which ratings became preferences.
        judged_by: raters, or which judge, where the data say so; `raters`: how many people.
        rewards: of the last steps' replies: chosen, rejected, margins, accuracies.
        items_needed: rated items by which a fall of safety by 5 points would be seen.
        changes: from the starting model to the trained one.
    """

    objective: str
    asked: dict[str, str] = Field(default_factory=dict)
    rules: dict[str, Any] = Field(default_factory=dict)
    judged_by: str = "raters"
    raters: int | None = None
    rewards: dict[str, float] = Field(default_factory=dict)
    items_needed: int | None = None
    changes: list[Change] = Field(default_factory=list)

    @property
    def fallen(self) -> list[Change]:
        """The falls that are told first."""
        return [change for change in self.changes if change.gates and change.fell]


class Hardware(_Part):
    """Processor, cores that the process may use, the GPU's name or None, memory in GB."""

    cpu: str | None = None
    cores: int | None = None
    gpu: str | None = None
    memory_gb: float | None = None


class Results(_Part):
    """The whole file; `unigram` is the loss of a unigram model of the training replies."""

    schema_version: Literal[1] = 1
    created: str | None = None
    recipe: str | None = None
    git_revision: str | None = None
    versions: dict[str, str] = Field(default_factory=dict)
    hardware: Hardware | None = None
    dataset: DataSet
    decoding: Sampling | None = None
    training: Training | None = None
    preferences: Preferences | None = None
    systems: list[System] = Field(default_factory=list)
    references: References | None = None
    unigram: Loss | None = None

    @property
    def own(self) -> System | None:
        """The system that a card is about: the one called "trained", else the only model; None if neither is there."""
        models = [system for system in self.systems if system.kind == "model"]
        trained = [system for system in models if system.name == "trained"] or models
        return trained[0] if len(trained) == 1 else None

    def write(self, path: Path) -> None:
        """Write the file at once or not at all."""
        write_json(path, self.model_dump())


def read_results(path: Path) -> Results:
    """The content of one results.json.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no JSON, or not of the form; in one line.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there; allowed: a model with the numbers that it was measured by")
    try:
        return check_results(orjson.loads(path.read_bytes()))
    except orjson.JSONDecodeError as error:
        raise ValueError(f"{path}: not JSON ({error})") from error
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None


def check_results(content: Any) -> Results:
    """The model of what a results.json holds; raises ValueError, in one line, where it is of another form."""
    try:
        return Results.model_validate(content)
    except ValidationError as error:
        raise ValueError(in_one_line(error)) from None


def in_one_line(error: ValidationError) -> str:
    """The first thing that is wrong, for the user: its place, what stands there, what is allowed."""
    first = error.errors(include_url=False)[0]
    where = ".".join(map(str, first["loc"])) or "the whole"
    if first["type"] == "missing":
        return f"{where} is missing; allowed: {describe_wanted(first)}"
    if first["type"] == "extra_forbidden":
        return f"{where} is unknown; allowed: the fields of that place alone"
    if first["type"] == "value_error":  # of a check of ours
        return f"{where}: {first['ctx']['error']}" if first["loc"] else str(first["ctx"]["error"])
    found = "of another kind" if isinstance(first["input"], dict | list | tuple) else repr(first["input"])
    return f"{where} is {found}; allowed: {describe_wanted(first)}"
