"""`soulchat simulate`: a counsellor in whole talks with clients that are played."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from soulchat_trainer.evaluation.simulate.talks import Progress, SimulateOptions
    from soulchatcorpus.making.options import RequestOptions

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
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only estimate tokens and cost.")]


def simulate(
    counsellor: Annotated[str, typer.Option(help=f"Who is tried: {PARTIES}.")],
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
    dry_run: DryRun = False,
) -> None:
    """Let a counsellor talk with clients that are played: conversations.jsonl, report.json, resumable."""
    from soulchat_trainer.evaluation.simulate.talks import SimulateOptions
    from soulchat_trainer.evaluation.simulate.talks import simulate as run

    options = SimulateOptions(
        counsellor=counsellor,
        client=client,
        output=output,
        profiles=profiles,
        protocol=protocol,
        turns=turns,
        repeats=repeats,
        seed=seed,
        system=system,
        talks_at_once=talks_at_once,
        device=device,
        dtype=dtype,
        base_url=base_url,
        counsellor_base_url=counsellor_base_url,
        price=price or [],
        requests_per_minute=requests_per_minute,
        timeout=timeout,
        max_cost=max_cost,
        retry=retry,
        send_unmasked=send_unmasked,
        yes=yes,
    )
    if dry_run:
        tell_estimate([options])
        return
    [options] = ask_for_consent([options])
    with Bar() as bar:
        report = run(options, bar.show)
    stops = ", ".join(f"{reason} {number:,}" for reason, number in report["stops"].items())
    score = f"; emotion at the end {report['emotion']:.1f}" if report["emotion"] is not None else ""
    typer.echo(f"{report['talks']:,} talks of {report['turns']:,} messages ({stops}){score}; ${report['cost']:.4f}")
    if report["open"]:
        typer.echo(f"{report['open']:,} open: stopped for --max-cost; run again with more to go on")


def tell_estimate(runs: "list[SimulateOptions]") -> None:
    """Say what runs would take of their endpoints."""
    from soulchat_trainer.evaluation.simulate.talks import estimate

    found = [estimate(options) for options in runs]
    typer.echo(
        f"{sum(part.talks for part in found):,} talks, {sum(part.prompt_tokens for part in found):,} tokens out and "
        f"{sum(part.completion_tokens for part in found):,} back, about ${sum(part.cost for part in found):,.2f}"
    )


def ask_for_consent(runs: "list[SimulateOptions]") -> "list[SimulateOptions]":
    """Say once what will leave this machine, where anything will; the options with a yes to it."""
    from dataclasses import replace

    from soulchatcorpus.making.options import is_loopback

    from .consent import ask_before_sending

    asked: dict[str, RequestOptions] = {}
    for options in runs:
        for requests in options.endpoints(options.load_protocol()):
            if not is_loopback(requests.base_url) and requests.base_url not in asked:
                masked = "AS THEY ARE" if options.send_unmasked else "masked"
                what = f"Profiles and what both say in {len(runs)} run(s), private details {masked},"
                asked[requests.base_url] = ask_before_sending(what, requests)
    return [replace(options, yes=True) for options in runs] if asked else runs


class Bar:
    """A bar of talks, with the turns and the cost."""

    def __enter__(self) -> "Bar":
        from tqdm.auto import tqdm

        # Not before everything is loaded: tqdm shows nothing until its first update.
        self._bar = tqdm(unit="talk", delay=0.001)
        return self

    def __exit__(self, *error: object) -> None:
        self._bar.close()

    def show(self, progress: "Progress") -> None:
        """Bring the bar to where a run stands."""
        self._bar.total = progress.total
        self._bar.set_postfix_str(f"{progress.turns:,} messages, ${progress.cost:.4f}", refresh=False)
        self._bar.update(progress.done - self._bar.n)
