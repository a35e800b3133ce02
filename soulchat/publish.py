"""soulchat publish: corpus, metric and model on the Hugging Face Hub, with their cards."""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from hub_cards.publish import Plan, Target

app = typer.Typer(help="Put a corpus, the metric or a model on the Hub, with its card.", no_args_is_help=True)

RepoId = Annotated[str, typer.Argument(metavar="USER/NAME", help="Repository on the Hub.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show files, sizes and the card's changes; upload nothing.")]
Private = Annotated[bool, typer.Option("--private", help="Make the repository private.")]
Revision = Annotated[str, typer.Option(help="Branch; created if it does not exist.")]
CreatePr = Annotated[bool, typer.Option("--create-pr", help="Open a pull request instead of writing to the branch.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


@app.command()
def dataset(
    folder: Annotated[str, typer.Argument(help="Output of `corpus build`, or soulchatcorpus: the embedded sample.")],
    repo_id: RepoId,
    dry_run: DryRun = False,
    is_private: Private = False,
    revision: Revision = "main",
    create_pr: CreatePr = False,
    yes: Yes = False,
    has_right: Annotated[
        bool,
        typer.Option(
            "--i-have-the-right", help="With --private: you may store data whose terms forbid redistribution."
        ),
    ] = False,
    report: Annotated[
        list[Path] | None,
        typer.Option(help="Folder of a step before the build, for the card; by default its numbered neighbours."),
    ] = None,
    gated: Annotated[
        str | None, typer.Option(help="auto: readers accept the card's terms first. manual: you approve each reader.")
    ] = None,
) -> None:
    """Publish a corpus as Parquet, by config and split."""
    from hub_cards.dataset import OURS, stage_dataset
    from hub_cards.publish import Target, check_repo_id

    check_repo_id(repo_id)
    if gated not in (None, "auto", "manual"):
        raise ValueError(f"gated is {gated!r}; allowed: auto, manual")
    source = Path(folder)
    if folder == "soulchatcorpus" and not source.is_dir():
        source = _package_folder("soulchatcorpus")
    checked: Any = gated  # None, or one of the two words that a target allows
    target = Target(repo_id, "dataset", revision, is_private, create_pr, checked, OURS)
    with tempfile.TemporaryDirectory() as staged:
        stage_dataset(
            source,
            Path(staged),
            repo_id=repo_id,
            reports=report or [],
            is_private=is_private,
            has_right=has_right,
        )
        _publish(Path(staged), target, dry_run, yes)


@app.command()
def metric(
    repo_id: RepoId,
    dry_run: DryRun = False,
    private: Private = False,
    revision: Revision = "main",
    create_pr: CreatePr = False,
    yes: Yes = False,
) -> None:
    """Publish soulchat_metrics as a Space, where evaluate.load finds it."""
    from hub_cards.metric import OURS, stage_metric
    from hub_cards.publish import Target, check_repo_id

    check_repo_id(repo_id)
    with tempfile.TemporaryDirectory() as staged:
        stage_metric(_package_folder("soulchat_metrics"), Path(staged), repo_id=repo_id)
        _publish(Path(staged), Target(repo_id, "space", revision, private, create_pr, ours=OURS), dry_run, yes)


@app.command()
def model(
    folder: Annotated[Path, typer.Argument(help="Output folder of a training run, with its results.json.")],
    repo_id: RepoId,
    dry_run: DryRun = False,
    private: Private = False,
    revision: Revision = "main",
    create_pr: CreatePr = False,
    yes: Yes = False,
    base_model: Annotated[
        str | None, typer.Option(help="Hub id of the base model, where the run started from a local folder.")
    ] = None,
    licence: Annotated[
        str | None,
        typer.Option(help="Hub id of the licence of a base other than ChatGLM, or, with no base, of the data."),
    ] = None,
    dataset: Annotated[
        str | None, typer.Option(metavar="USER/NAME", help="Where the data of its results is published.")
    ] = None,
    benchmark: Annotated[
        bool, typer.Option("--benchmark", help="The Hub lists that data set as a benchmark: send it the scores.")
    ] = False,
    knows_of_falls: Annotated[
        bool,
        typer.Option("--i-know", help="Publish a model that became less safe in training; its card says so."),
    ] = False,
) -> None:
    """Publish a trained model, a LoRA adapter or a P-Tuning prefix."""
    from hub_cards.model import OURS, stage_model
    from hub_cards.publish import Target, check_repo_id, find_revision

    check_repo_id(repo_id)
    published = (dataset, find_revision(dataset, "dataset")) if dataset else None
    with tempfile.TemporaryDirectory() as staged:
        stage_model(
            folder,
            Path(staged),
            repo_id=repo_id,
            base_model=base_model,
            licence=licence,
            dataset=published,
            is_benchmark=benchmark,
            knows_of_falls=knows_of_falls,
        )
        _publish(Path(staged), Target(repo_id, "model", revision, private, create_pr, ours=OURS), dry_run, yes)


@app.command()
def check(folder: Annotated[Path, typer.Argument(help="A folder with a card.")]) -> None:
    """Check a card and its folder, offline; exit code 1 if there is a problem."""
    from hub_cards.check import check_folder

    findings = check_folder(folder)
    for finding in findings:
        typer.echo(str(finding))
    if findings:
        raise typer.Exit(1)
    typer.echo(f"{folder}: no problems found")


def _publish(staged: Path, target: "Target", dry_run: bool, yes: bool) -> None:
    from hub_cards.publish import publish_folder

    url = publish_folder(
        staged, target, dry_run=dry_run, is_rendered=True, confirm=_asker(target.repo_id, dry_run or yes)
    )
    typer.echo(url or "nothing was sent")


def _asker(repo_id: str, is_agreed: bool) -> "Callable[[Plan], bool]":
    """What is called with the plan: shows it, and asks unless the answer is known."""

    def confirm(plan: "Plan") -> bool:
        for change in plan.changes:
            typer.echo(f"{change.kind:>9}  {change.size:>13,}  {change.path}")
        if plan.card_diff:
            typer.echo(plan.card_diff)
        if not plan.is_compared:
            typer.echo("not compared with what is published: the Hub cannot be reached")
        size = sum(change.size for change in plan.todo if change.kind != "removed")
        typer.echo(f"{len(plan.todo)} of {len(plan.changes)} files change, {size:,} bytes, in one commit to {repo_id}")
        return is_agreed or typer.confirm("Publish?")

    return confirm


def _package_folder(name: str) -> Path:
    import importlib

    return Path(str(importlib.import_module(name).__file__)).parent
