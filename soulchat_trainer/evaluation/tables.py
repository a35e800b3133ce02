"""Table 1 out of result folders: Markdown, LaTeX and a bar chart, with the paper's rows in a block of their own."""

import itertools
import string
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

import soulchat_metrics
from hub_cards.markdown import Marked, code, plain
from hub_cards.markdown import table as markdown_table
from hub_cards.predictions import PREDICTIONS_FILE, read_predictions
from hub_cards.printable import printable
from hub_cards.results import METRICS, RESULTS_FILE, References, Replies, Results, Sampling, System, read_results
from soulchatcorpus.files import replacing, write_text

from .chart_text import chart_text
from .empathy import claims

if TYPE_CHECKING:  # it needs the extra `making`, these tables do not
    from .opinions import Opinions

SHORT_NAMES = dict(zip(METRICS, ("B-1", "B-2", "B-3", "B-4", "R-1", "R-2", "R-L"), strict=True))
P_VALUE = 0.05
LETTERS = string.ascii_lowercase
Predictions = dict[str, tuple[str, str]]  # prediction and reference by turn id


@dataclass(slots=True)
class Table:
    """Systems that answered the same turns under the same decoding and were scored with the same settings.

    Attributes:
        heading: data, number of turns, decoding.
        note: the metric's signature and what the marks mean.
        systems: rows of results.json.
        references: what is told of the references.
        marks: for each system and metric the letters of the systems that it is better than by more than chance.
        folders: names of the systems' folders, by which what people and judges say is found.
    """

    heading: str
    note: str
    systems: list[System]
    references: References
    marks: list[dict[str, str]] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)


def read_tables(folders: Sequence[Path]) -> list[Table]:
    """The systems of some result folders, in a table for each set that can be compared.

    Raises:
        OSError, ValueError: a folder has no results.json, or one that is broken or not whole; no system has metrics; a
            table has more systems than there are letters.
    """
    groups: dict[str, list[tuple[Path, Results, System]]] = {}
    for folder in folders:
        results = read_results(folder / RESULTS_FILE)
        for system in results.systems:
            if not system.metrics:
                continue
            _check_whole(folder, results, system)
            decoding = results.decoding and results.decoding.model_dump()
            key = orjson.dumps([results.dataset.fingerprint, decoding, system.samples, system.signature]).decode()
            groups.setdefault(key, []).append((folder, results, system))
    if not groups:
        raise ValueError(f"no system in {', '.join(map(str, folders))} has metrics; allowed: results of a benchmark")
    if (most := max(map(len, groups.values()))) > len(LETTERS):
        raise ValueError(f"{most} systems are in one table; allowed: at most {len(LETTERS)}, a letter for each")
    return [_table(group) for group in groups.values()]


def _check_whole(folder: Path, results: Results, system: System) -> None:
    needed = {
        "decoding": results.decoding,
        "references": results.references,
        "samples": system.samples,
        "signature": system.signature,
        **{f"metrics.{metric}": system.metrics.get(metric) for metric in METRICS},
    }
    if missing := [name for name, value in needed.items() if value is None]:
        raise ValueError(
            f"{folder / RESULTS_FILE}: {system.name} lacks {', '.join(missing)}; allowed: results of a benchmark"
        )


def _table(group: list[tuple[Path, Results, System]]) -> Table:
    _, results, first = group[0]
    decoding, references = results.decoding or Sampling(), results.references or References()
    how = f"top-p {decoding.top_p}, temperature {decoding.temperature}" if decoding.do_sample else "greedy"
    heading = (
        f"{results.dataset.name}: {first.samples} test turns, {how}, at most {decoding.max_new_tokens} new tokens, "
        f"seed {decoding.seed}, thinking {decoding.thinking}"
    )
    systems = [system for _, _, system in group]
    predictions = [_find_predictions(folder, results, system) for folder, results, system in group]
    folders = [(folder / (system.folder or ".")).resolve().name for folder, _, system in group]
    return Table(heading, first.signature or "", systems, references, compare(predictions), folders)


def _find_predictions(folder: Path, results: Results, system: System) -> Predictions | None:
    """A system's predictions in a result folder; None where they are not there."""
    path = folder / (system.folder or ".") / PREDICTIONS_FILE
    if not (system.folder or len(results.systems) == 1) or not path.is_file():
        return None
    rows = read_predictions(path)
    if len(rows) != system.samples:
        raise ValueError(f"{path} has {len(rows)} rows, results.json says {system.samples}: ids are missing")
    return {row.id: (row.prediction, row.reference) for row in rows}


def compare(predictions: Sequence[Predictions | None]) -> list[dict[str, str]]:
    """For each system and metric the letters (a, b, …) of the systems that it is better than.

    Better: the paired bootstrap gives p < 0.05 divided by the number of pairs (Bonferroni). Systems whose predictions
    are not at hand are not compared.
    """
    marks: list[dict[str, str]] = [dict.fromkeys(METRICS, "") for _ in predictions]
    at_hand = [(number, found) for number, found in enumerate(predictions) if found is not None]
    pairs = list(itertools.combinations(at_hand, 2))
    for (one, first), (other, second) in pairs:
        ids = list(first)
        if set(ids) != set(second):
            raise ValueError("two systems with the same fingerprint answered other turns; the ids do not fit")
        compared = soulchat_metrics.paired_bootstrap(
            [first[id_][0] for id_ in ids], [second[id_][0] for id_ in ids], [first[id_][1] for id_ in ids]
        )
        for metric, result in compared.items():
            if result["p_value"] < P_VALUE / len(pairs):
                better, worse = (one, other) if result["difference"] > 0 else (other, one)
                marks[better][metric] += LETTERS[worse]
    return [{metric: "".join(sorted(letters)) for metric, letters in system.items()} for system in marks]


@cache
def published() -> dict[str, Any]:
    """The paper's Table 1."""
    return orjson.loads(files(__package__).joinpath("published.json").read_bytes())


def _names(table: Table) -> list[str]:
    """Names of the systems with their letters, and 'seen' where a model was trained on openings of the test."""
    letters = LETTERS if len(table.systems) > 1 else [""]
    return [
        f"{letter} {system.name}{' (seen)' if system.seen else ''}".strip()
        for letter, system in zip(letters, table.systems, strict=False)
    ]


def _marks_note(table: Table) -> str:
    if not any(letters for marks in table.marks for letters in marks.values()):
        return ""
    return f"Raised letters: better than that system, paired bootstrap, p < {P_VALUE} over all pairs (Bonferroni)."


def _thoughts_note(table: Table) -> str:
    counts = {name: system.generation.only_thoughts for name, system in zip(_names(table), table.systems, strict=True)}
    failed = ", ".join(f"{plain(name)} {count}" for name, count in counts.items() if count)
    return f"Thoughts without an end, counted as empty replies: {failed}." if failed else ""


def _seen_note(table: Table) -> str:
    if not any(system.seen for system in table.systems):
        return ""
    return "Seen: the model was trained on openings of these turns."


def _loss_note(table: Table) -> str:
    if sum(system.loss is not None for system in table.systems) < 2:
        return ""
    return "Loss (nats a token) and perplexity compare between models of one tokenizer, bits a character between all."


def _loss_cells(system: System) -> list[str]:
    numbers = ((system.loss, ".2f"), (system.perplexity, ".0f"), (system.bits_per_character, ".2f"))
    return ["" if number is None else format(number, form) for number, form in numbers]


REPLY_COLUMNS = {
    "mean_length": "Length",
    "distinct_1": "Distinct-1",
    "distinct_2": "Distinct-2",
    "share_distinct": "Different",
    "share_finished": "Finished",
}


def _reply_row(name: str, replies: Replies, expressions: dict[str, float]) -> list[str]:
    values = replies.model_dump()
    numbers = [values[column] for column in REPLY_COLUMNS]
    cells = ["" if number is None else f"{number:.0f}" if number > 1 else f"{number:.2f}" for number in numbers]
    return [name, *cells, *(f"{100 * expressions[measure]:.0f}" if expressions else "" for measure in claims())]


def render_markdown(tables: Sequence[Table], opinions: "Opinions | None" = None) -> str:
    """The tables in Markdown: the seven metrics, what people and a judge say, what is told of the replies, the paper's
    block.
    """
    return "\n\n".join([*(_render_table(table, opinions) for table in tables), markdown_published()]) + "\n"


def _render_table(table: Table, opinions: "Opinions | None") -> str:
    head = [
        "Model",
        *SHORT_NAMES.values(),
        *_opinion_columns(opinions),
        "Loss",
        "Perplexity",
        "Bits a character",
    ]
    rows = []
    for name, folder, system, marks in zip(_names(table), table.folders, table.systems, table.marks, strict=True):
        cells = [
            Marked(f"{system.metrics[metric]:.2f}" + (f"<sup>{marks[metric]}</sup>" if marks[metric] else ""))
            for metric in SHORT_NAMES
        ]
        rows.append([name, *cells, *_opinion_cells(opinions, folder), *_loss_cells(system)])
    names = [measure.replace("_", " ").capitalize() for measure in claims()]
    replies = [
        _reply_row(name, system.generation, system.expressions)
        for name, system in zip(_names(table), table.systems, strict=True)
    ]
    replies.append(_reply_row("References", table.references, table.references.expressions))
    told = "\n".join(f"- {name}: {claim}" for name, claim in zip(names, claims().values(), strict=True))
    notes = [
        code(table.note),
        _marks_note(table),
        _thoughts_note(table),
        _seen_note(table),
        _loss_note(table),
        opinions.note if opinions else "",
    ]
    return "\n\n".join(
        [
            f"**{plain(table.heading)}**",
            markdown_table(head, rows, numeric=True),
            " ".join(note for note in notes if note),
            "Replies: mean length in characters, distinct-1 and -2 over characters, shares; then per cent of replies.",
            markdown_table(["Model", *REPLY_COLUMNS.values(), *names], replies, numeric=True),
            f"What each column of expressions tests in the paper:\n\n{told}",
        ]
    )


def _opinion_columns(opinions: "Opinions | None") -> Sequence[str]:
    return opinions.columns if opinions else []


def _opinion_cells(opinions: "Opinions | None", folder: str) -> Sequence[str]:
    return opinions.of(folder) if opinions else []


def markdown_published() -> str:
    """The paper's Table 1, under its heading."""
    head = ["Model", "Test set", *SHORT_NAMES.values(), "Con.", "Emp.", "Hel.", "Saf."]
    rows = [[row["name"], row["dataset"], *(f"{value:.2f}" for value in row["values"])] for row in published()["rows"]]
    return f"**{published()['heading']}** ({published()['source']})\n\n{markdown_table(head, rows, numeric=True)}"


def render_latex(tables: Sequence[Table], opinions: "Opinions | None" = None) -> str:
    """The seven metrics, and what people and a judge say, in LaTeX (booktabs), a block for each table; the paper's."""
    said = _opinion_columns(opinions)
    columns = len(SHORT_NAMES) + len(said)
    lines = [r"\begin{tabular}{l" + "r" * columns + "}", r"\toprule"]
    lines += [" & ".join(["Model", *SHORT_NAMES.values(), *map(_latex_text, said)]) + r" \\"]
    for table in tables:
        lines += [r"\midrule", _latex_heading(table.heading, columns)]
        for name, folder, system, marks in zip(_names(table), table.folders, table.systems, table.marks, strict=True):
            cells = [
                f"{system.metrics[metric]:.2f}" + (rf"\textsuperscript{{{marks[metric]}}}" if marks[metric] else "")
                for metric in SHORT_NAMES
            ]
            cells += map(_latex_text, _opinion_cells(opinions, folder))
            lines.append(" & ".join([_latex_text(name), *cells]) + r" \\")
    lines += [r"\midrule", _latex_heading(published()["heading"], columns)]
    for row in published()["rows"]:
        cells = [f"{value:.2f}" for value in row["values"][: len(SHORT_NAMES)]] + [""] * len(said)
        lines.append(" & ".join([_latex_text(f"{row['name']} ({row['dataset']})"), *cells]) + r" \\")
    note = [f"% {' '.join(opinions.note.split())}"] if opinions else []
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", *note]) + "\n"


def _latex_heading(text: str, columns: int) -> str:
    return rf"\multicolumn{{{columns + 1}}}{{l}}{{\emph{{{_latex_text(text)}}}}} \\"


def _latex_text(text: str) -> str:
    """A text that is only text, in one line; `[` and `*` would be read as part of the end of the row before."""
    escapes = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    escapes |= {"[": "{[}", "*": "{*}"}
    line = printable(" ".join(text.split()))
    return "".join(escapes.get(c, "\\" + c if c in "&%$#_{}" else c) for c in line)


FORMATS = {"markdown": render_markdown, "latex": render_latex}


def draw_chart(tables: Sequence[Table], path: Path) -> None:
    """Bars of the seven metrics with their 95 % bootstrap intervals, a panel for each table, as PNG.

    Raises:
        ValueError: the file has another ending.
    """
    if path.suffix != ".png":
        raise ValueError(f"chart is {path}; allowed: a name that ends in .png")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6 * len(tables)), layout="constrained")
    panels = figure.subplots(len(tables), squeeze=False)[:, 0]
    for panel, table in zip(panels, tables, strict=True):
        width, bars = 0.8 / len(table.systems), []
        for number, system in enumerate(table.systems):
            values = [system.metrics[metric] for metric in SHORT_NAMES]
            places = [place + width * (number - (len(table.systems) - 1) / 2) for place in range(len(values))]
            intervals = system.intervals
            errors = None
            if intervals:
                low, high = zip(*(intervals[metric] for metric in SHORT_NAMES), strict=True)
                errors = [
                    [max(0.0, value - bound) for value, bound in zip(values, low, strict=True)],
                    [max(0.0, bound - value) for value, bound in zip(values, high, strict=True)],
                ]
            bars.append(panel.bar(places, values, width, yerr=errors, capsize=2))
        panel.set_xticks(range(len(SHORT_NAMES)), SHORT_NAMES.values())
        panel.set_title(chart_text(table.heading), fontsize=9)
        # By hand, since a label that begins with an underscore is not shown.
        panel.legend(bars, list(map(chart_text, _names(table))), fontsize=8)
    with replacing(path) as file:
        figure.savefig(file, format="png", dpi=150)


def write_tables(folders: Sequence[Path], output: Path) -> str:
    """Write table.md, table.tex and table.png into a folder; returns the Markdown."""
    tables = read_tables(folders)
    for name, render in (("table.md", render_markdown), ("table.tex", render_latex)):
        write_text(output / name, render(tables))
    draw_chart(tables, output / "table.png")
    return render_markdown(tables)
