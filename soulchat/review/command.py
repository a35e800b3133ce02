"""`soulchat corpus review`: people proofread what the cleaning flagged, on a page of this machine."""

from pathlib import Path
from typing import Annotated

import typer

from soulchatcorpus.making.options import ReviewOptions

from ..corpus import Out, Source
from ..flags import taking


@taking(ReviewOptions)
def review(
    source: Source,
    out: Out,
    port: Annotated[int, typer.Option(help="Port of the page on this machine; 0 takes any free one.")] = 7860,
    export_only: Annotated[
        bool, typer.Option("--export", help="Only write the result of the decisions so far.")
    ] = False,
    import_from: Annotated[Path | None, typer.Option("--import", help="Take over a decisions.jsonl first.")] = None,
    *,
    options: ReviewOptions,
) -> None:
    """Let people proofread flagged and sampled records on a local web page."""
    from soulchatcorpus.making.records import find_file, result_file
    from soulchatcorpus.making.review import ReviewStore

    source = find_file(source)  # a wrong name leaves no empty store behind
    result_file(source, out)  # an impossible `out` is refused before people read
    store = ReviewStore(out / "review.sqlite")
    queued = store.fill(source, options)
    if import_from is not None:
        typer.echo(f"{store.import_decisions(import_from):,} decisions taken over")
    if not export_only:
        from ..web.launch import serve_page
        from .page import make_page

        typer.echo(f"{queued:,} records to read; the result is written when the page is ended")
        serve_page(make_page(store, source, out), port=port)
    report = store.export(source, out)
    typer.echo(
        f"{report['keep']:,} kept, {report['edit']:,} edited, {report['remove']:,} removed, "
        f"{report['not_reviewed']:,} not reviewed; shared: {report['shared']}"
    )
