"""Counsellors against the same clients, with the controls that show whether the client is worth anything.

Each system's talks lie in a folder of its own below the output; `comparison.json`, `table.md`, `chart.png` and
`talks.html` tell of all of them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from hub_cards.markdown import plain
from hub_cards.markdown import table as markdown_table
from hub_cards.model_name import check_model_name
from soulchat_metrics.bootstrap import paired_p_values, percentile_intervals, resample
from soulchatcorpus.files import making, replacing, write_json, write_text
from soulchatcorpus.making.costs import estimate_tokens
from soulchatcorpus.making.ledger import Ledger

from ...data import load_corpus
from ..agreement import read_judgement
from ..agreement_report import AGREEMENT_FILE
from ..chart_text import chart_text
from ..judge import EXPECTED_TOKENS, JudgeOptions
from ..judge import judge as judge_talks
from ..opinions import read_opinions
from ..rubric import PLACES, read_rubric
from ..run import folder_name
from .measures import TalkRecord, describe_client, describe_counsellor, describe_lines, reaction
from .options import SimulateOptions
from .parties import SCRIPT
from .profiles import Profile
from .protocol import Protocol
from .talks import EXPECTED_TURN_TOKENS, LEDGER_FILE, Estimate, Progress, read_talks, simulate
from .viewer import write_page

# Not results.json, by which ratings and judges know a folder of Table 1.
RESULTS_FILE, TABLE_FILE, CHART_FILE, PAGE_FILE = "comparison.json", "table.md", "chart.png", "talks.html"
JUDGED_FOLDER, CONTROLS = "judged", ("hm", "advice", "client")
HM = "control: 嗯"  # says nothing but that
COUNSELLOR_TEXT = "你是一位心理咨询师，正在和来访者谈话。每次只说几句话，认真听，让对方感到被理解。"
RESAMPLES, CONFIDENCE = 1000, 0.95
REAL_TALKS = 1000  # of the corpus that the client is compared with
MEASURES = {
    "asks": "asks",
    "advice_lists": "lists of advice",
    "reflection": "reflects",
    "comfort": "comforts",
    "repeated": "repeats itself",
    "characters": "characters",
    "share_of_words": "share of words",
}


@dataclass(frozen=True, slots=True)
class Run:
    """The talks of one system: its name in the table, and how they are held."""

    name: str
    options: SimulateOptions
    is_control: bool = False


def list_controls(options: SimulateOptions) -> list[Run]:
    """A counsellor that only says 嗯, one that only lists advice, and the client's model as counsellor."""
    folder = options.output / "controls"
    controls = [
        Run(HM, replace(options, counsellor="script:hm", output=folder / "hm", system=None, care=None), True),
        Run(
            "control: advice",
            replace(options, counsellor="script:advice", output=folder / "advice", system=None, care=None),
            True,
        ),
    ]
    if not options.client.startswith(SCRIPT):
        itself = replace(
            options,
            counsellor=options.client,
            output=folder / "client",
            system=COUNSELLOR_TEXT,
            care=None,
            counsellor_base_url=None,
        )
        controls.append(Run("control: the client's model", itself, True))
    return controls


def list_runs(counsellors: Sequence[str], options: SimulateOptions) -> list[Run]:
    """The runs of a benchmark: every counsellor, then the controls.

    Raises:
        ValueError: two counsellors would share a folder.
    """
    names = [folder_name(spec) for spec in counsellors]
    if len(set(names)) < len(names):
        raise ValueError(f"counsellor is {', '.join(counsellors)}, which share a name; allowed: each once")
    if taken := {"controls", JUDGED_FOLDER, *CONTROLS}.intersection(names):
        raise ValueError(f"counsellor has the name {min(taken)}; allowed: another name for its folder")
    runs = [
        Run(name, replace(options, counsellor=spec, output=options.output / name))
        for name, spec in zip(names, counsellors, strict=True)
    ]
    return runs + list_controls(options)


def hold_runs(
    runs: Sequence[Run], on_progress: Callable[[str, Progress], None] = lambda name, progress: None
) -> dict[str, list[TalkRecord]]:
    """Hold all talks; what `max_cost` allows is for all runs together. Returns each run's records by name.

    Raises:
        ValueError: a run has no talk, since the cost allowed was reached before.
    """
    talks = {}
    for run in runs:
        options = run.options
        if options.max_cost is not None:
            elsewhere = sum(spent_in(other.options.output) for other in runs if other is not run)
            options = replace(options, max_cost=max(0.0, options.max_cost - elsewhere))
        simulate(options, lambda progress, name=run.name: on_progress(name, progress))  # type: ignore[misc]
        talks[run.name] = read_talks(options.output)
        if not talks[run.name]:
            raise ValueError(
                f"max_cost is {run.options.max_cost}; allowed: more, since {run.name} has no talk yet (all are kept)"
            )
    return talks


def spent_in(folder: Path) -> float:
    """US dollars that a run in a folder has paid so far."""
    path = folder / LEDGER_FILE
    if not path.exists():
        return 0.0
    ledger = Ledger(path)
    try:
        return ledger.totals()["cost"]
    finally:
        ledger.close()


def benchmark_talks(
    runs: Sequence[Run],
    output: Path,
    real: str = "soulchatcorpus",
    on_progress: Callable[[str, Progress], None] = lambda name, progress: None,
    judged: Path | None = None,
    judge: JudgeOptions | None = None,
) -> dict[str, Any]:
    """Hold the talks of all runs, compare them, and write the four files; returns the content of comparison.json.

    Args:
        real: a corpus by name or file, with whose users' lines the client's are compared.
        judged: a folder of `soulchat judge run` on the runs' folders, whose means stand beside.
        judge: who judges all talks once they are held, into the folder `judged` of the output; its `max_cost` is for
            the talks, too.

    Raises:
        ValueError: the judge is a script, judges pairs, or may not be sent the talks.
        OSError: another run is at work in `output`.
    """
    if judge:
        check_judge(judge)
        if not judge.is_local:
            judge.check_consent("talks")
    with making(output / RESULTS_FILE, "soulchat benchmark talks"):  # each run holds its own folder
        return _benchmark(runs, output, real, on_progress, judged, judge)


def _benchmark(
    runs: Sequence[Run],
    output: Path,
    real: str,
    on_progress: Callable[[str, Progress], None],
    judged: Path | None,
    judge: JudgeOptions | None,
) -> dict[str, Any]:
    options = runs[0].options
    protocol, profiles = options.load_protocol(), options.read_profiles()
    real_talks = _real_talks(real)  # before anybody talks: a name of no corpus costs nothing
    talks = hold_runs(runs, on_progress)
    results = compare(runs, talks, protocol, profiles, real, real_talks)
    if judge:
        judged = output / JUDGED_FOLDER
        report = judge_talks([run.options.output for run in runs], judged, _with_what_is_left(judge, runs))
        if report["open"] == report["asked"]:
            raise ValueError(
                f"max_cost is {judge.max_cost}; allowed: more, since nothing is judged yet (all talks are kept)"
            )
    if judged:
        results["judged"] = read_judged(judged, {run.options.output.name: run.name for run in runs})
    write_json(output / RESULTS_FILE, results)
    write_text(output / TABLE_FILE, render_table(results) + "\n")
    draw_chart(results, output / CHART_FILE)
    write_page(output / PAGE_FILE, talks, str(results["verdict"]))
    return results


def check_judge(judge: JudgeOptions) -> None:
    """Raises ValueError for a judge that cannot judge talks, before anybody has talked."""
    if judge.model.startswith(SCRIPT):
        raise ValueError(f"judge is {judge.model}; allowed: a model, which answers a rubric")
    if judge.is_local:
        check_model_name(judge.model)
    if read_rubric(judge.rubric).judged == "pair":
        raise ValueError(f"rubric is {judge.rubric}, which is for pairs; allowed: one for replies or talks")


def estimate_judging(runs: Sequence[Run], judge: JudgeOptions) -> Estimate:
    """Tokens and cost of judging all talks of runs, were every talk to go all its rounds."""
    options = runs[0].options
    rubric, rounds = read_rubric(judge.rubric), options.load_protocol().turns
    talks = len(runs) * options.repeats * len(options.read_profiles())
    places = {place: "" for place in PLACES[rubric.judged] if place not in ("aspects", "form")}
    template = estimate_tokens(rubric.render_prompt(**places))
    if rubric.judged == "talk":
        asked, heard = 1, 2 * rounds * EXPECTED_TURN_TOKENS
    else:
        asked, heard = rounds, rounds * (rounds + 1) * EXPECTED_TURN_TOKENS
    prompt_tokens, completion_tokens = talks * (asked * template + heard), talks * asked * EXPECTED_TOKENS
    cost = 0.0 if judge.is_local else judge.models.cost(judge.model, prompt_tokens, completion_tokens)
    return Estimate(0, 0, prompt_tokens, completion_tokens, cost)


def _with_what_is_left(judge: JudgeOptions, runs: Sequence[Run]) -> JudgeOptions:
    if judge.max_cost is None:
        return judge
    left = max(0.0, judge.max_cost - sum(spent_in(run.options.output) for run in runs))
    return judge.model_copy(update={"max_cost": left})


def compare(
    runs: Sequence[Run],
    talks: dict[str, list[TalkRecord]],
    protocol: Protocol,
    profiles: Sequence[Profile],
    real: str,
    real_talks: list[list[str]],
) -> dict[str, Any]:
    """What the talks of all systems say, each beside the client that hears only 嗯."""
    scores = {name: _by_profile(records) for name, records in talks.items()}
    rows = [
        {
            "name": run.name,
            "control": run.is_control,
            "talks": len(talks[run.name]),
            **_mean_with_interval(scores[run.name]),
            "against_hm": None if run.name == HM else _difference(scores[run.name], scores[HM]),
            "counsellor": describe_counsellor(talks[run.name]),
        }
        for run in runs
    ]
    tested = [record for run in runs if not run.is_control for record in talks[run.name]]
    sheet = describe_client(tested, protocol, profiles, real_talks)
    score = "emotion at the end, 0 to 100" if protocol.emotion else "characters that the client said"
    return {
        "verdict": _judge_client(rows, score, higher_is_better=protocol.emotion is not None),
        "score": score,
        "protocol": protocol.version,
        "rounds": protocol.turns,
        "client": runs[0].options.client,
        "profiles": len(profiles),
        "systems": rows,
        "realism": {name: asdict(share) for name, share in sheet.items()},
        "real": {
            "corpus": real,
            "talks": len(real_talks),
            **{name: asdict(share) for name, share in describe_lines(real_talks).items()},
        },
    }


def read_judged(folder: Path, names: Mapping[str, str]) -> dict[str, Any]:
    """A judge's means by system: over the items of a talk, then over talks; where people rated, theirs beside.

    Args:
        names: of the systems, by their folder's.

    Raises:
        OSError, ValueError: the folder is no judge's, has pairs, has no score of these systems, or was judged anew
            since it was compared with people.
    """
    judgement = read_judgement(folder)
    rubric = judgement.rubric
    if rubric.judged == "pair":
        raise ValueError(f"judged is {folder}, which has pairs; allowed: scores of replies or talks")
    talks: dict[str, dict[str, list[dict[str, float]]]] = {}
    for key, scores in judgement.scores.items():
        [system] = key[0]
        if system in names:
            talks.setdefault(names[system], {}).setdefault(judgement.talks[key], []).append(scores)
    if not talks:
        raise ValueError(f"judged is {folder}, which has no score of a system here; allowed: {', '.join(names)}")
    people = read_opinions(folder) if (folder / AGREEMENT_FILE).is_file() else None
    return {
        "judge": judgement.report["judge"]["model"],
        "rubric": rubric.name,
        "note": people.note if people else judgement.report["note"],
        "people": people
        and {"columns": people.columns, "systems": {name: people.of(system) for system, name in names.items()}},
        "open": judgement.report["open"],
        "means": {
            system: {
                aspect.name: float(
                    np.mean([np.mean([item[aspect.name] for item in items]) for items in found.values()])
                )
                for aspect in rubric.aspects
            }
            for system, found in talks.items()
        },
    }


def _by_profile(records: Sequence[TalkRecord]) -> dict[str, float]:
    """The client's reaction by profile, the mean over its talks."""
    found: dict[str, list[float]] = {}
    for record in records:
        found.setdefault(record["provenance"]["profile"], []).append(reaction(record))
    return {name: sum(values) / len(values) for name, values in found.items()}


def _mean_with_interval(scores: dict[str, float]) -> dict[str, Any]:
    values = np.array(list(scores.values()))
    drawn = resample(lambda rows: values[rows].mean(keepdims=True), np.arange(len(values)), RESAMPLES, seed=0)
    return {"mean": float(values.mean()), "interval": percentile_intervals(drawn, CONFIDENCE)[0].tolist()}


def _difference(scores: dict[str, float], others: dict[str, float]) -> dict[str, Any] | None:
    """The mean difference over the profiles that both have, with a paired bootstrap; None where they share none."""
    shared = [name for name in scores if name in others]
    if not shared:
        return None
    values = np.array([scores[name] - others[name] for name in shared])
    drawn = resample(lambda rows: values[rows].mean(keepdims=True), np.arange(len(values)), RESAMPLES, seed=0)
    p_value = paired_p_values(values.mean(keepdims=True), drawn)[0]
    return {
        "profiles": len(shared),
        "mean": float(values.mean()),
        "interval": percentile_intervals(drawn, CONFIDENCE)[0].tolist(),
        "p_value": float(p_value),
    }


def _judge_client(rows: Sequence[dict[str, Any]], score: str, higher_is_better: bool) -> str:
    """The first line of every report: whether the client tells a counsellor from one that only says 嗯."""
    same = []
    for row in rows:
        found = row["against_hm"]
        if row["control"]:
            continue
        if found is None:
            same.append(f"{row['name']} (no profile in common)")
            continue
        low, high = found["interval"]
        is_apart = low > 0 if higher_is_better else low > 0 or high < 0
        if not is_apart:
            same.append(f"{row['name']} (difference {found['mean']:.1f}, 95 % interval {low:.1f} to {high:.1f})")
    if same:
        return f"THE CLIENT CANNOT TELL 嗯 FROM {', '.join(same)}, by {score}: its scores mean nothing here."
    return f"The client tells every counsellor here from one that only says 嗯, by {score}."


def _real_talks(name: str) -> list[list[str]]:
    """The users' lines of a corpus, by talk; the first so many."""
    found = []
    for split in load_corpus(name).values():
        for messages in split["messages"]:
            found.append([message["content"] for message in messages if message["role"] == "user"])
            if len(found) == REAL_TALKS:
                return found
    return found


def render_table(results: dict[str, Any]) -> str:
    """The results as Markdown, the verdict on the client first."""
    heads = ["system", "talks", results["score"], "against 嗯", "p", *MEASURES.values()]
    rows = []
    for row in results["systems"]:
        low, high = row["interval"]
        found = row["against_hm"]
        against = f"{found['mean']:+.1f} ({found['interval'][0]:+.1f} to {found['interval'][1]:+.1f})" if found else ""
        numbers = [row["counsellor"][name] for name in MEASURES]
        cells = [
            row["name"],
            str(row["talks"]),
            f"{row['mean']:.1f} ({low:.1f} to {high:.1f})",
            against,
            f"{found['p_value']:.3f}" if found else "",
            *(
                f"{number:.0f}" if name == "characters" else f"{number:.0%}"
                for name, number in zip(MEASURES, numbers, strict=True)
            ),
        ]
        rows.append(cells)
    lines = [
        results["verdict"],
        "",
        markdown_table(heads, rows),
        "",
        f"Intervals: 95 %, bootstrap over {results['profiles']} profiles. Client: {plain(results['client'])}, "
        f"protocol {plain(results['protocol'])}, {results['rounds']} rounds.",
        "",
    ]
    real = results["real"]
    head = f"in {real['talks']:,} talks of {real['corpus']}"
    shares = [
        [
            name.replace("_", " "),
            f"{share['value']:.0%}",
            f"{share['low']:.0%} to {share['high']:.0%}",
            f"{real[name]['value']:.0%}" if name in real else "",
        ]
        for name, share in results["realism"].items()
    ]
    lines.append(markdown_table(["how real the client is", "share of talks", "95 % interval", head], shares))
    if judged := results.get("judged"):
        lines += ["", *_render_judged(judged)]
        if judged["open"]:
            lines += ["", f"{judged['open']} questions to the judge are open: stopped for --max-cost."]
    return "\n".join(lines)


def _render_judged(judged: dict[str, Any]) -> list[str]:
    head = f"judged by {judged['judge']} ({judged['rubric']})"
    if people := judged["people"]:
        columns, systems, below = people["columns"], people["systems"], ["", judged["note"]]
    else:
        head, below = f"{head}, {judged['note']}", []
        columns = list(next(iter(judged["means"].values())))
        systems = {name: [f"{mean:.2f}" for mean in means.values()] for name, means in judged["means"].items()}
    return [markdown_table([head, *columns], [[name, *cells] for name, cells in systems.items()]), *below]


def draw_chart(results: dict[str, Any], path: Path) -> None:
    """A bar for each system with its interval, the controls in grey, as PNG."""
    from matplotlib.figure import Figure

    rows = results["systems"]
    figure = Figure(figsize=(8, 1.2 + 0.5 * len(rows)), layout="constrained")
    panel = figure.subplots()
    means = [row["mean"] for row in rows]
    errors = [[abs(row["mean"] - row["interval"][side]) for row in rows] for side in (0, 1)]
    # Fonts of every machine have these names' letters.
    names = [chart_text(row["name"].replace("嗯", "only says hm")) for row in rows]
    panel.barh(names, means, xerr=errors, capsize=3, color=["0.75" if row["control"] else "C0" for row in rows])
    panel.invert_yaxis()
    panel.set_xlabel(results["score"])
    with replacing(path) as file:
        figure.savefig(file, format="png", dpi=150)
