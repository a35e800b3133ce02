"""`soulchat care`: how well the checks find what people labelled."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="The checks of messages and replies.", no_args_is_help=True)

_COLUMNS = ("kind", "texts", "recall", "precision", "false alarms")


@app.callback()
def care() -> None:
    """Keeps `evaluate` a verb of its own."""


@app.command()
def evaluate(
    file: Annotated[
        Path, typer.Argument(help='JSON lines with "text" and "crisis" or "harm"; or PsySUICIDE\'s JSON array.')
    ],
    threshold: Annotated[float, typer.Option(help="Score from which a text is found, 0 to 1.")] = 0.5,
    crisis_model: Annotated[
        str | None, typer.Option(help="A text classifier (a folder or a repository of the Hub) beside the detector.")
    ] = None,
    device: Annotated[str, typer.Option(help="Of the classifier: auto, cpu, cuda, …")] = "auto",
) -> None:
    """Print recall, precision and false alarms, in all and by kind, of a labelled file."""
    from rich.cells import cell_len

    from hub_cards.printable import printable
    from soulchatcorpus.care.crisis import find_crisis
    from soulchatcorpus.care.evaluate import count, read_labelled
    from soulchatcorpus.care.replies import find_self_harm

    if not 0 <= threshold <= 1:
        raise ValueError(f"the threshold is {threshold}; allowed: 0 to 1")
    rows = read_labelled(file)
    model = None
    if crisis_model is not None:
        from .talk.crisis_model import CrisisModel

        model = CrisisModel(crisis_model, device)
    replies = rows[0].reply

    def find(text: str) -> object:
        found = find_self_harm(text, threshold) if replies else find_crisis(text, threshold)
        return found or (model(text) if model else None)

    counted = {printable(kind).replace("\n", " ") or "all": counts for kind, counts in count(rows, find).items()}
    width = max(map(cell_len, counted)) + 2
    typer.echo(f"{_COLUMNS[0]:{width}}{''.join(f'{column:>14}' for column in _COLUMNS[1:])}")
    for kind, counts in counted.items():
        shares = (counts.recall, counts.precision, counts.false_alarm_rate)
        cells = [f"{counts.positive + counts.negative:,}", *("" if s is None else f"{s:.1%}" for s in shares)]
        typer.echo(f"{kind}{' ' * (width - cell_len(kind))}{''.join(f'{cell:>14}' for cell in cells)}")
