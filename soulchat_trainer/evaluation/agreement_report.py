"""The agreement of judge and people in Markdown, JSON and a chart."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from hub_cards.markdown import plain
from hub_cards.markdown import table as markdown_table
from soulchatcorpus.files import replacing, working_in, write_json, write_text

from .agreement import Named, hash_answers, read_account
from .chart_text import chart_text
from .rubric import Aspect, Rubric

AGREEMENT_FILE, MARKDOWN_FILE, CHART_FILE = "agreement.json", "agreement.md", "agreement.png"

TITLES = {
    "bias": "Bias",
    "kappa": "Weighted kappa",
    "icc": "ICC(2,1)",
    "alpha_raters": "Alpha of raters",
    "alpha_with_judge": "Alpha with the judge",
    "sensitivity": "Zeros found",
    "specificity": "Ones found",
}
METHODS = {
    "prediction-powered": "prediction-powered inference with power tuning",
    "double-sampled": "maximum likelihood of both samples (Tenenbein)",
    "ratings-alone": "the ratings alone where the judge does not narrow their interval",
}


class _Estimate(BaseModel):
    mean: float
    interval: tuple[float, float]


class _Means(BaseModel):
    people: _Estimate | None
    corrected: _Estimate | None


class _Agreement(BaseModel):
    """What tables and cards use of an agreement.json."""

    judge: Named
    judged: int
    both: int
    raters: int
    judged_sha256: str
    systems: dict[str, dict[str, _Means]]


def render_agreement(report: dict[str, Any], rubric: Rubric) -> str:
    """The report in Markdown."""
    average = "talks, each the mean of its items" if report["average"] == "talks" else "items"
    parts = [
        f"**Judge and people: {plain(rubric.title.en)}**",
        f"{report['judged']} items are judged ({report['without_scores']} more have no scores), {report['rated']} are "
        f"rated by {report['raters']} {'person' if report['raters'] == 1 else 'people'}, {report['both']} are both. "
        f"Judge: {plain(report['judge']['model'])}. Means are over {average}.",
        _means_table(report, rubric),
        _differences_table(report, rubric),
        _agreement_table(report, rubric),
        *(_confusion_table(report["aspects"][aspect.name], aspect) for aspect in rubric.aspects),
        _itself(report),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _means_table(report: dict[str, Any], rubric: Rubric) -> str:
    rows = []
    for system, aspects in report["systems"].items():
        for aspect in rubric.aspects:
            told = aspects[aspect.name]
            missing = told.get("ratings_missing")
            rows.append(
                [
                    system,
                    aspect.heading,
                    f"{told['judge']:.2f}",
                    format_estimate(told["people"]),
                    format_estimate(told["corrected"]),
                    format_estimate(told.get("rogan_gladen")),
                    str(told["rated"]),
                    str(told["judged"]),
                    "" if missing is None else str(missing),
                ]
            )
    head = ["System", "Aspect", "Judge", "People", "Corrected", "Rogan-Gladen", "Rated", "Judged", "Missing"]
    note = (
        "Judge: its own mean, not validated by itself. People: the ratings alone. Corrected: both together, "
        f"{METHODS['prediction-powered']}; of scales of 0 and 1, {METHODS['double-sampled']}; "
        f"{METHODS['ratings-alone']}. Rogan-Gladen: from the judge's share and its errors; empty where the judge does "
        "not tell ones from zeros. All with 95 % intervals, for rated items that chance has drawn. Missing: about so "
        f"many more ratings for a width of {report['width']:g}."
    )
    return f"{markdown_table(head, rows, numeric=True)}\n\n{note}"


def _differences_table(report: dict[str, Any], rubric: Rubric) -> str:
    rows = [
        [
            f"{told['second']} - {told['first']}",
            *(format_estimate(told["aspects"][a.name]["difference"]) for a in rubric.aspects),
        ]
        for told in report["differences"]
    ]
    if not rows:
        return ""
    head = ["Difference", *(aspect.heading for aspect in rubric.aspects)]
    return f"**Differences between systems, corrected**\n\n{markdown_table(head, rows, numeric=True)}"


def _agreement_table(report: dict[str, Any], rubric: Rubric) -> str:
    rows, notes = [], []
    for aspect in rubric.aspects:
        told = report["aspects"][aspect.name]
        rows.append([aspect.heading, *(_number(told.get(name)) for name in TITLES), str(told["items"])])
        notes += [f"{plain(aspect.heading)} {note}." for note in told["notes"]]
    told_notes = "".join(f"\n- {note}" for note in notes)
    note = (
        "Over the items that are both; bootstrap intervals over items. Bias: judge less people. Zeros and ones found: "
        "the share of people's zeros (ones) that the judge calls so."
    )
    table = markdown_table(["Aspect", *TITLES.values(), "Items"], rows, numeric=True)
    return f"**Agreement**\n\n{table}\n\n{note}" + (f"\n{told_notes}" if told_notes else "")


def _confusion_table(told: dict[str, Any], aspect: Aspect) -> str:
    rows = [
        [f"people {point}", *map(str, counts)] for point, counts in zip(told["points"], told["confusion"], strict=True)
    ]
    head = [aspect.heading, *(f"judge {point}" for point in told["points"])]
    return markdown_table(head, rows, numeric=True)


def _itself(report: dict[str, Any]) -> str:
    lines = [
        f"- {plain(aspect)}: {told['follows_order']:.1%} of the judge's {told['pairs']} decisions follow the order."
        for aspect, told in report["orders"].items()
    ]
    lines += [
        f"- {plain(aspect)}: asked again, the judge gives the same score in {told['same']:.1%}."
        for aspect, told in report["repeats"].items()
    ]
    return "\n".join(["**The judge with itself**\n", *lines]) if lines else ""


def format_estimate(told: dict[str, Any] | None, digits: int = 2) -> str:
    """A mean with its interval in a table's cell; empty where there is none."""
    if told is None:
        return ""
    low, high = told["interval"]
    return f"{told['mean']:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def _number(told: dict[str, Any] | None) -> str:
    if told is None:
        return ""
    if told["value"] is None:
        return "not defined"
    interval = told["interval"]
    return f"{told['value']:.2f}" + (f" ({interval[0]:.2f} to {interval[1]:.2f})" if interval else "")


def draw_agreement(report: dict[str, Any], rubric: Rubric, path: Path) -> None:
    """The judge's, people's and the corrected means of every system, a panel for each aspect, as PNG."""
    from matplotlib.figure import Figure

    systems = list(report["systems"])
    figure = Figure(figsize=(3 * len(rubric.aspects), 1.2 + 0.9 * len(systems)), layout="constrained")
    panels = figure.subplots(1, len(rubric.aspects), squeeze=False, sharey=True)[0]
    draw: dict[str, Callable[[dict[str, Any]], dict[str, Any] | None]] = {
        "judge": lambda told: {"mean": told["judge"], "interval": [told["judge"]] * 2},
        "people": lambda told: told["people"],
        "corrected": lambda told: told["corrected"],
    }
    for panel, aspect in zip(panels, rubric.aspects, strict=True):
        for number, (name, choose) in enumerate(draw.items()):
            marks = [
                (place + 0.2 * (number - 1), found)
                for place, system in enumerate(systems)
                if (found := choose(report["systems"][system][aspect.name])) is not None
            ]
            panel.errorbar(
                [found["mean"] for _, found in marks],
                [place for place, _ in marks],
                xerr=[[abs(found["mean"] - found["interval"][side]) for _, found in marks] for side in (0, 1)],
                fmt="xos"[number],
                capsize=3,
                label=name,
            )
        panel.set_title(chart_text(aspect.heading), fontsize=9)
        panel.set_xlim(aspect.minimum - 0.05, aspect.maximum + 0.05)
        panel.set_yticks(range(len(systems)), list(map(chart_text, systems)))
        panel.margins(y=0.2)
    panels[0].legend(fontsize=8)
    with replacing(path) as file:
        figure.savefig(file, format="png", dpi=150)


def read_agreement(folder: Path, rubric: Rubric) -> dict[str, Any]:
    """The agreement.json of a judge's folder.

    Args:
        rubric: the judge's.

    Raises:
        OSError: there is none.
        ValueError: it is unreadable, or of other scores than those beside it.
    """
    path = folder / AGREEMENT_FILE
    report, agreement = read_account(path, _Agreement, "soulchat judge agree")
    if agreement.judged_sha256 != hash_answers(folder):
        raise ValueError(
            f"{path} is of other scores than those beside it; allowed: after `soulchat judge agree` again"
        )
    for system, told in agreement.systems.items():
        if missing := [aspect.name for aspect in rubric.aspects if aspect.name not in told]:
            raise ValueError(f"{path} lacks {', '.join(missing)} of {system}; allowed: all aspects of {rubric.name}")
    return report


def write_agreement(report: dict[str, Any], rubric: Rubric, folder: Path) -> str:
    """Write agreement.json, agreement.md and agreement.png; returns the Markdown.

    Raises:
        OSError: another run is at work in the folder, or it cannot be written.
    """
    text = render_agreement(report, rubric)
    with working_in(folder, "soulchat judge agree"):
        write_json(folder / AGREEMENT_FILE, report)
        write_text(folder / MARKDOWN_FILE, text)
        draw_agreement(report, rubric, folder / CHART_FILE)
    return text
