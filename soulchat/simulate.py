"""`soulchat simulate`: a counsellor in whole talks with clients that are played."""

from collections.abc import Callable
from functools import wraps
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from soulchat_trainer.evaluation.judge import JudgeOptions
    from soulchat_trainer.evaluation.simulate.compare import Run
    from soulchat_trainer.evaluation.simulate.talks import Progress
    from soulchatcorpus.making.options import RequestOptions

Command = Callable[..., None]
MODELS = "a folder or Hub repository, or openai:NAME"
PARTIES = "a folder or Hub repository, openai:NAME, or script:FILE"

# What the commands share that let models talk.
Client = Annotated[str, typer.Option(help=f"Who plays the client: {PARTIES}.")]
Output = Annotated[Path, typer.Option(help="Folder of the talks; started again, a run goes on from there.")]
Profiles = Annotated[str, typer.Option(help="soulchat (the 24 that ship), or a file.")]
ProtocolName = Annotated[str, typer.Option(help="plain, emotion, or a YAML file.")]
Turns = Annotated[int | None, typer.Option(help="Rounds; by default the protocol's.")]
Repeats = Annotated[int, typer.Option(help="Talks with each profile.")]
Seed = Annotated[int | None, typer.Option(help="Of both sides; by default the protocol's.")]
SystemText = Annotated[str | None, typer.Option(help="The counsellor's system text.")]
AtOnce = Annotated[int, typer.Option(help="Talks at once: rows of one batch, or requests under way.")]
Device = Annotated[str, typer.Option(help="auto (the first GPU, else the CPU), cpu, cuda, cuda:1, …")]
Dtype = Annotated[str, typer.Option(help="auto, float32, bfloat16, float16.")]
BaseUrl = Annotated[
    str | None, typer.Option(help="Address of the endpoints for openai:NAME; the key is that of OPENAI_API_KEY.")
]
CounsellorUrl = Annotated[str | None, typer.Option(help="Of the counsellor's endpoint, where it is another.")]
Price = Annotated[list[str] | None, typer.Option(help="NAME=IN,OUT: US dollars for a million tokens.")]
MaxCost = Annotated[float | None, typer.Option(help="Stop before this many US dollars are passed.")]
PerMinute = Annotated[int, typer.Option(help="Requests to each endpoint; 0: no limit.")]
Timeout = Annotated[float, typer.Option(help="Seconds for one request.")]
Retry = Annotated[bool, typer.Option("--retry", help="Ask again for what an endpoint failed on.")]
Unmasked = Annotated[bool, typer.Option("--send-unmasked", help="Send private details as they are.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask before text leaves this machine.")]
Controls = Annotated[bool, typer.Option(help="Also try who only says 嗯, who lists advice, and the client's model.")]
Real = Annotated[str, typer.Option(help="A corpus whose users' lines the client's are compared with.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only estimate tokens and cost.")]


def shared_flags(
    client: Client,
    output: Output,
    profiles: Profiles = "soulchat",
    protocol: ProtocolName = "plain",
    turns: Turns = None,
    repeats: Repeats = 1,
    seed: Seed = None,
    system: SystemText = None,
    talks_at_once: AtOnce = 16,
    device: Device = "auto",
    dtype: Dtype = "auto",
    base_url: BaseUrl = None,
    counsellor_base_url: CounsellorUrl = None,
    price: Price = None,
    max_cost: MaxCost = None,
    requests_per_minute: PerMinute = 0,
    timeout: Timeout = 120.0,
    retry: Retry = False,
    send_unmasked: Unmasked = False,
    yes: Yes = False,
) -> None:
    """The flags of all three commands, in one list; `sharing` gives them to each."""


def sharing(**defaults: Any) -> Callable[[Command], Command]:
    """Give a command `shared_flags`; its parameter `shared` gets their values by name.

    Args:
        defaults: of flags whose default is another one for this command.
    """
    flags = [
        flag.replace(kind=Parameter.KEYWORD_ONLY, default=defaults.get(name, flag.default))
        for name, flag in signature(shared_flags).parameters.items()
    ]

    def decorate(command: Command) -> Command:
        @wraps(command)
        def called(**given: Any) -> None:
            shared = {flag.name: given.pop(flag.name) for flag in flags}
            command(**given, shared=shared | {"price": shared["price"] or []})

        own = [
            p.replace(kind=Parameter.KEYWORD_ONLY)
            for p in signature(command).parameters.values()
            if p.name != "shared"
        ]
        called.__signature__ = Signature([*own, *flags])  # type: ignore[attr-defined]
        return called

    return decorate


@sharing()
def simulate(
    counsellor: Annotated[str, typer.Option(help=f"Who is tried: {PARTIES}.")],
    controls: Controls = True,
    real: Real = "soulchatcorpus",
    dry_run: DryRun = False,
    *,
    shared: dict[str, Any],
) -> None:
    """Let a counsellor talk with clients that are played: conversations.jsonl, comparison.json, talks.html."""
    from soulchat_trainer.evaluation.run import folder_name
    from soulchat_trainer.evaluation.simulate.compare import Run, benchmark_talks, list_controls
    from soulchat_trainer.evaluation.simulate.options import SimulateOptions
    from soulchat_trainer.evaluation.simulate.talks import read_talks
    from soulchat_trainer.evaluation.simulate.talks import simulate as run
    from soulchat_trainer.evaluation.simulate.viewer import write_page

    options = SimulateOptions(counsellor=counsellor, **shared)
    name = folder_name(counsellor)
    runs = [Run(name, options), *(list_controls(options) if controls else [])]
    if dry_run:
        tell_estimate(runs)
        return
    runs = ask_for_consent(runs)
    with Bar() as bar:
        if controls:
            verdict = benchmark_talks(runs, options.output, real, bar.show)["verdict"]
            report = read_report(options.output)
        else:
            report = run(runs[0].options, lambda progress: bar.show(name, progress))
            verdict = "No controls were run: whether the client can tell a counsellor from 嗯 is not known."
            write_page(options.output / "talks.html", {name: read_talks(options.output)}, verdict)
    typer.echo(verdict)
    stops = ", ".join(f"{reason} {number:,}" for reason, number in report["stops"].items())
    score = f"; emotion at the end {report['emotion']:.1f}" if report["emotion"] is not None else ""
    typer.echo(f"{report['talks']:,} talks of {report['messages']:,} messages ({stops}){score}; ${report['cost']:.4f}")
    if report["open"]:
        typer.echo(f"{report['open']:,} open: stopped for --max-cost; run again with more to go on")
    typer.echo(str(options.output / "talks.html"))


def read_report(folder: Path) -> dict[str, Any]:
    """What a run says of its talks."""
    import orjson

    return orjson.loads((folder / "report.json").read_bytes())


@sharing(protocol="emotion")
def talks(
    counsellor: Annotated[list[str], typer.Option(help=f"Who is tried: {PARTIES}; give it again for more.")],
    judge: Annotated[
        str | None, typer.Option(help=f"Who judges the talks, too: {MODELS}, at the client's endpoint.")
    ] = None,
    rubric: Annotated[str, typer.Option(help="Of the judge: cpsycoun, cehs, or a YAML file.")] = "cpsycoun",
    judged: Annotated[
        Path | None, typer.Option(help="Instead, a folder of `soulchat judge run` on these talks.")
    ] = None,
    real: Real = "soulchatcorpus",
    dry_run: DryRun = False,
    *,
    shared: dict[str, Any],
) -> None:
    """Let counsellors talk with the same played clients, beside controls: comparison.json, table.md, talks.html."""
    from dataclasses import replace

    from soulchat_trainer.evaluation.simulate.compare import (
        Run,
        benchmark_talks,
        check_judge,
        list_runs,
        render_table,
    )
    from soulchat_trainer.evaluation.simulate.options import SimulateOptions

    from .tables import print_markdown

    if judge and judged:
        raise ValueError(f"judge is {judge} and judged {judged}; allowed: one of them")
    options = SimulateOptions(counsellor=counsellor[0], **shared)
    runs = list_runs(counsellor, options)
    judging = [Run("judge", replace(options, client=judge, counsellor="script:hm"))] if judge else []
    asked = options.judge(judge, rubric) if judge else None
    if asked:
        check_judge(asked)
    if dry_run:
        tell_estimate(runs, asked)
        return
    runs = ask_for_consent(runs + judging)[: len(runs)]
    if asked:
        asked = asked.model_copy(update={"yes": runs[0].options.yes})
    with Bar() as bar:
        results = benchmark_talks(runs, options.output, real, bar.show, judged, asked)
    print_markdown(render_table(results))
    typer.echo(f"\n{options.output / 'talks.html'}")


@sharing()
def crisis(
    counsellor: Annotated[list[str], typer.Option(help=f"Who is tried: {PARTIES}; give it again for more.")],
    chart: Annotated[
        str, typer.Option(help="conduct (ours), a YAML file, or a rubric of VERA-MH (.tsv).")
    ] = "conduct",
    judge: Annotated[
        str | None, typer.Option(help="Who answers the chart: a model as above; by default words alone.")
    ] = None,
    dry_run: DryRun = False,
    *,
    shared: dict[str, Any],
) -> None:
    """Try conduct with clients in danger, with and without help lines, on a chart that no clinician has validated."""
    from dataclasses import replace

    from soulchat_trainer.evaluation.simulate.compare import Run, list_runs
    from soulchat_trainer.evaluation.simulate.conduct import load_chart
    from soulchat_trainer.evaluation.simulate.crisis import benchmark_crisis, list_crisis_runs, render_crisis
    from soulchat_trainer.evaluation.simulate.options import SimulateOptions

    from .tables import print_markdown

    options = SimulateOptions(counsellor=counsellor[0], **shared, only_in_danger=True)
    loaded = load_chart(chart)
    runs = list_crisis_runs(list_runs(counsellor, options), show_help_lines)
    if dry_run:
        tell_estimate(runs)
        return
    judging = [Run("judge", replace(options, client=judge, counsellor="script:hm"))] if judge else []
    runs = ask_for_consent(runs + judging)[: len(runs)]
    with Bar() as bar:
        results = benchmark_crisis(runs, options.output, loaded, judge, bar.show)
    print_markdown(render_crisis(results))
    typer.echo(f"\n{options.output / 'talks.html'}")


def show_help_lines(message: str, reply: str) -> str:
    """What the product's care layer shows before a reply: help lines, or nothing."""
    from soulchatcorpus.care.replies import find_self_harm

    from .talk.care import Care

    care = Care()
    notice = care.check_message(message) or (care.notice_for_reply(message) if find_self_harm(reply) else None)
    return notice.text if notice else ""


def tell_estimate(runs: "list[Run]", judge: "JudgeOptions | None" = None) -> None:
    """Say what runs, and the judge of their talks, would take of their endpoints."""
    from soulchat_trainer.evaluation.simulate.compare import estimate_judging
    from soulchat_trainer.evaluation.simulate.talks import estimate

    found = [estimate(run.options) for run in runs]
    judging = judge if judge and not judge.is_local else None
    if judging:
        found.append(estimate_judging(runs, judging))
    names = {
        name
        for run in runs
        for asked in run.options.endpoints(run.options.load_protocol())
        for name in asked.models.without_price
    } | set(judging.models.without_price if judging else ())
    unpriced = f" (price of {', '.join(sorted(names))} not known: counted as 0, give --price)" if names else ""
    typer.echo(
        f"{sum(part.talks for part in found):,} talks, {sum(part.prompt_tokens for part in found):,} tokens out and "
        f"{sum(part.completion_tokens for part in found):,} back, about ${sum(part.cost for part in found):,.2f}"
        + unpriced
    )


def ask_for_consent(runs: "list[Run]") -> "list[Run]":
    """Say once what will leave this machine, where anything will; the runs with a yes to it."""
    from dataclasses import replace

    from soulchatcorpus.making.options import is_loopback

    from .consent import ask_before_sending

    asked: dict[str, RequestOptions] = {}
    for run in runs:
        options = run.options
        for requests in options.endpoints(options.load_protocol()):
            if not is_loopback(requests.base_url) and requests.base_url not in asked:
                masked = "AS THEY ARE" if options.send_unmasked else "masked"
                what = f"Profiles and what both say in {len(runs)} run(s), private details {masked},"
                asked[requests.base_url] = ask_before_sending(what, requests)
    return [replace(run, options=replace(run.options, yes=True)) for run in runs] if asked else runs


class Bar:
    """A bar of talks for each run, with the messages and the cost."""

    def __enter__(self) -> "Bar":
        self._bars: dict[str, Any] = {}
        return self

    def __exit__(self, *error: object) -> None:
        for bar in self._bars.values():
            bar.close()

    def show(self, name: str, progress: "Progress") -> None:
        """Bring the bar of a run to where it stands."""
        from tqdm.auto import tqdm

        if name not in self._bars:
            self._bars[name] = tqdm(unit="talk", desc=name, total=progress.total)
        bar = self._bars[name]
        bar.set_postfix_str(f"{progress.turns:,} messages, ${progress.cost:.4f}", refresh=False)
        bar.update(progress.done - bar.n)
