"""Conduct in a crisis: counsellors with clients in danger, with and without the product's care, on a flow chart."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from hub_cards.markdown import plain
from hub_cards.markdown import table as markdown_table
from soulchat_metrics.bootstrap import percentile_intervals, resample
from soulchatcorpus.files import making, write_json, write_lines, write_text
from soulchatcorpus.making.ledger import Entry, Ledger
from soulchatcorpus.making.requests import Question, hash_content
from soulchatcorpus.schema import Message
from soulchatcorpus.thoughts import split_thoughts

from .compare import CONFIDENCE, PAGE_FILE, RESAMPLES, TABLE_FILE, Run, hold_runs, spent_in
from .conduct import Chart, Step, Walk, answer_by_signs, ask_of_judge, read_answer, walk
from .measures import TalkRecord
from .options import Care, SimulateOptions
from .parties import Party, check_party
from .profiles import LEVELS, Profile
from .talks import ATTEMPTS, Progress, open_party
from .viewer import write_page

JUDGE_LEDGER, WALKS_FILE, CONDUCT_FILE = "judge.sqlite", "walks.jsonl", "conduct.json"
CARE_SUFFIX = " + care"
BY_SIGNS = "signs (words alone)"
LEFT_OUT = {"without_an_answer": "a question had no answer", "not_relevant": "by the chart nothing in it is relevant"}


def list_crisis_runs(runs: Sequence[Run], care: Care) -> list[Run]:
    """Each system without and with the care layer."""
    return [made for run in runs for made in (run, _with_care(run, care))]


def _with_care(run: Run, care: Care) -> Run:
    folder = run.options.output
    options = replace(run.options, care=care, output=folder.with_name(f"{folder.name}-care"))
    return Run(run.name + CARE_SUFFIX, options, run.is_control)


def benchmark_crisis(
    runs: Sequence[Run],
    output: Path,
    chart: Chart,
    judge: str | None = None,
    on_progress: Callable[[str, Progress], None] = lambda name, progress: None,
) -> dict[str, Any]:
    """Hold the talks, take each through the chart, and write conduct.json, walks.jsonl, table.md and talks.html.

    Args:
        runs: from `list_crisis_runs`, of clients in danger alone.
        judge: who answers the chart's questions: a local model or an endpoint; the words alone where there is none.

    Raises:
        ValueError: the chart needs a judge, and there is none.
        OSError: another run is at work in `output`.
    """
    options = runs[0].options
    if judge is not None:
        check_party(judge)
        for requests in replace(options, client=judge, counsellor="script:hm").endpoints(options.load_protocol()):
            requests.check_consent("talks")
    elif any(step.signs is None for step in chart.steps.values()):
        raise ValueError(
            f"judge is missing; allowed: a model, since the chart {chart.name} has questions without signs"
        )
    with making(output / CONDUCT_FILE, "soulchat benchmark crisis"):  # each run holds its own folder
        return _benchmark(runs, output, chart, judge, on_progress)


def _benchmark(
    runs: Sequence[Run], output: Path, chart: Chart, judge: str | None, on_progress: Callable[[str, Progress], None]
) -> dict[str, Any]:
    options = runs[0].options
    talks = hold_runs(runs, on_progress)
    if judge is None:
        walks = {name: [walk(chart, answer_by_signs(talk)) for talk in records] for name, records in talks.items()}
    else:
        asking = replace(options, client=judge)
        if options.max_cost is not None:
            spent = sum(spent_in(run.options.output) for run in runs)
            asking = replace(asking, max_cost=max(0.0, options.max_cost - spent))
        walks = asyncio.run(_ask_judge(talks, chart, asking, output))
    results = _describe(runs, talks, walks, chart, judge, options)
    write_json(output / CONDUCT_FILE, results)
    write_lines(output / WALKS_FILE, _list_walks(talks, walks, chart))
    write_text(output / TABLE_FILE, render_crisis(results) + "\n")
    write_page(output / PAGE_FILE, talks, results["verdict"])
    return results


async def _ask_judge(
    talks: dict[str, list[TalkRecord]], chart: Chart, options: SimulateOptions, output: Path
) -> dict[str, list[Walk]]:
    """Every talk through the chart, so many at once as talks are held; who spoke is hidden from the judge."""
    ledger = Ledger(output / JUDGE_LEDGER)
    places = asyncio.Semaphore(options.talks_at_once)
    try:
        async with open_party(options, ledger) as party:

            async def go(talk: TalkRecord) -> Walk:
                async with places:
                    return await _walk_with_judge(talk, chart, party, ledger)

            return {
                name: list(await asyncio.gather(*(go(talk) for talk in records))) for name, records in talks.items()
            }
    finally:
        ledger.close()


async def _walk_with_judge(talk: TalkRecord, chart: Chart, party: Party, ledger: Ledger) -> Walk:
    """Ask the questions on the way, one after the other."""
    known: dict[str, str | None] = {}
    while True:
        asked: list[Step] = []

        def answer(step: Step, asked: list[Step] = asked) -> str | None:
            if step.id not in known:
                asked.append(step)
            return known.get(step.id)

        found = walk(chart, answer)
        if not asked:
            return found
        [step] = asked
        known[step.id] = await _answer(step, talk, chart, party, ledger)


async def _answer(step: Step, talk: TalkRecord, chart: Chart, party: Party, ledger: Ledger) -> str | None:
    """The judge's answer to one question; None where it has given none in so many attempts."""
    content = ask_of_judge(step, talk)
    version = f"{chart.name}@{chart.hash[:12]}"
    asked = hash_content(version, content, party.name, party.revision or "")

    def judge_entry(entry: Entry) -> tuple[str, str | None]:
        is_read = read_answer(step, split_thoughts(entry.reply or "").reply or "") is not None
        return ("accepted", None) if is_read else ("rejected", "unreadable")

    for attempt in range(ATTEMPTS):
        name = f"{talk['id']}/{step.id}" + (f"/{attempt}" if attempt else "")
        question = Question(name, asked, version, [Message(role="user", content=content)], judge_entry)
        entry = ledger.find_final(name, question.content) or await party.ask(question, Profile(id=name, story="-"))
        if entry is None:
            return None
        if entry.status == "accepted":
            return read_answer(step, split_thoughts(entry.reply or "").reply or "")
    return None


def _describe(
    runs: Sequence[Run],
    talks: dict[str, list[TalkRecord]],
    walks: dict[str, list[Walk]],
    chart: Chart,
    judge: str | None,
    options: SimulateOptions,
) -> dict[str, Any]:
    rows = []
    for run in runs:
        both = list(zip(talks[run.name], walks[run.name], strict=True))
        whole = [(talk, found) for talk, found in both if found.is_scored]
        scores = np.array([found.score for _, found in whole], dtype=float)
        rows.append(
            {
                "name": run.name,
                "control": run.is_control,
                "talks": len(whole),
                "without_an_answer": sum(not found.is_whole for _, found in both),
                "not_relevant": sum(not found.is_relevant for _, found in both),
                "score": float(scores.mean()) if len(scores) else None,
                "interval": _interval(scores) if len(scores) else None,
                "by_level": {
                    level: float(np.mean(found))
                    for level in LEVELS
                    if (found := [w.score for talk, w in whole if talk["provenance"]["risk"] == level])
                },
                "findings": {
                    dimension: sum(_has_fault(chart, dimension, found) for _, found in whole) / max(1, len(whole))
                    for dimension in chart.dimensions
                },
                "care": _care_effect(run, talks, walks),
            }
        )
    return {
        "verdict": f"{chart.validation.upper()}: the chart {chart.name} tells systems apart, not safe from unsafe; "
        "people judge that.",
        "validation": chart.validation,
        "chart": chart.name,
        "chart_sha256": chart.hash,
        "answered_by": judge or BY_SIGNS,
        "client": options.client,
        "protocol": options.load_protocol().version,
        "systems": rows,
    }


def _has_fault(chart: Chart, dimension: str, found: Walk) -> bool:
    return any(chart.steps[step].dimension == dimension for step in found.severities)


def _interval(values: np.ndarray) -> list[float]:
    drawn = resample(lambda rows: values[rows].mean(keepdims=True), np.arange(len(values)), RESAMPLES, seed=0)
    return percentile_intervals(drawn, CONFIDENCE)[0].tolist()


def _care_effect(run: Run, talks: dict[str, list[TalkRecord]], walks: dict[str, list[Walk]]) -> dict[str, Any] | None:
    """What the care layer adds to a system's score, over the talks of the same id; None where it was not tried."""
    other = run.name + CARE_SUFFIX
    if other not in talks:
        return None
    without = {talk["id"]: found for talk, found in zip(talks[run.name], walks[run.name], strict=True)}
    pairs = [
        (without[talk["id"]], found)
        for talk, found in zip(talks[other], walks[other], strict=True)
        if talk["id"] in without and found.is_scored and without[talk["id"]].is_scored
    ]
    if not pairs:
        return None
    gains = np.array([found.score - before.score for before, found in pairs], dtype=float)
    return {"talks": len(gains), "mean": float(gains.mean()), "interval": _interval(gains)}


def _list_walks(
    talks: dict[str, list[TalkRecord]], walks: dict[str, list[Walk]], chart: Chart
) -> list[dict[str, Any]]:
    return [
        {
            "system": name,
            "id": talk["id"],
            "risk": talk["provenance"]["risk"],
            "score": found.score if found.is_scored else None,
            "path": found.path,
            "severities": found.severities,
            "chart_sha256": chart.hash,
            "validation": chart.validation,
        }
        for name, records in talks.items()
        for talk, found in zip(records, walks[name], strict=True)
    ]


def render_crisis(results: dict[str, Any]) -> str:
    """The results as Markdown; that nobody validated them stands first."""
    dimensions = list(results["systems"][0]["findings"])
    heads = ["system", "talks", "score, 0 to 100", "care adds", *(f"fault: {name}" for name in dimensions)]
    rows = []
    for row in results["systems"]:
        score = f"{row['score']:.0f} ({row['interval'][0]:.0f} to {row['interval'][1]:.0f})" if row["interval"] else ""
        care = row["care"]
        gain = f"{care['mean']:+.0f} ({care['interval'][0]:+.0f} to {care['interval'][1]:+.0f})" if care else ""
        shares = [f"{share:.0%}" for share in row["findings"].values()]
        rows.append([row["name"], str(row["talks"]), score, gain, *shares])
    lines = [results["verdict"], "", markdown_table(heads, rows)]
    for field, reason in LEFT_OUT.items():
        if left_out := [f"{row[field]} of {plain(row['name'])}" for row in results["systems"] if row[field]]:
            lines += ["", f"Left out, since {reason}: {', '.join(left_out)}."]
    lines += [
        "",
        f"Faults: share of talks with one. Answered by {plain(results['answered_by'])}. "
        f"Chart {plain(results['chart'])}, SHA-256 {results['chart_sha256'][:12]}, {results['validation']}.",
    ]
    return "\n".join(lines)
