"""What `soulchat corpus audit` found, as a page for the dataset card."""

from collections.abc import Mapping
from typing import Any

from .markdown import plain, table

HOW = ("exact", "near")
PARTS = {"opening": "first message", "question": "all that the user says", "dialogue": "whole dialogue"}
FINDINGS = {
    "speaker_inside": "another speaker's line inside a message",
    "note": "a rewriting's note",
    "end_mark": "an end mark",
    "control_token": "a control token or a thought's tag",
    "json_punctuation": "JSON punctuation",
}


def render_audit(found: Mapping[str, Any], most_ids: int = 20) -> str:
    """A section in Markdown: what each corpus repeats and what was left in it, then what each pair shares.

    Args:
        found: what `soulchatcorpus.tools.audit.audit` returns.
        most_ids: so many ids are named of each kind.
    """
    head = [
        "corpus",
        "conversations",
        "records that could not be read",
        "with a system text",
        *(f"{what}, repeated" for what in PARTS.values()),
    ]
    rows = [
        [
            corpus["name"],
            f"{corpus['conversations']:,}",
            f"{corpus['rejected']:,}",
            f"{corpus['system_texts']['conversations']:,} ({corpus['system_texts']['different']:,} different)",
            *(f"{corpus['repeated'][part]:,}" for part in PARTS),
        ]
        for corpus in found["corpora"]
    ]
    sections = ["## Audit", table(head, rows, numeric=True)]
    left = [
        [corpus["name"], what, f"{corpus['findings'][kind]['conversations']:,}", _name_ids(corpus, kind, most_ids)]
        for corpus in found["corpora"]
        for kind, what in FINDINGS.items()
        if corpus["findings"][kind]["conversations"]
    ]
    if left:
        sections.append(table(["corpus", "found in messages", "conversations", "ids"], left))
    for pair in found["pairs"]:
        total = pair["conversations"]
        shared = [
            [what, *(f"{pair['shared'][part][how]:,} ({pair['shared'][part][how] / total:.1%})" for how in HOW)]
            for part, what in PARTS.items()
        ]
        of = f"Of the {total:,} conversations in {plain(pair['one'])}, {plain(pair['other'])} has:"
        sections += [of, table(["", *HOW], shared, numeric=True)]
    if found["pairs"]:
        sections.append(
            "Exact: the same characters, white space aside. Near: sketches of the runs of five characters agree in at "
            f"least {found['near']:.0%}."
        )
    return "\n\n".join(sections) + "\n"


def _name_ids(corpus: Mapping[str, Any], kind: str, most: int) -> str:
    ids = corpus["findings"][kind]["ids"]
    return ", ".join(ids[:most]) + (" …" if len(ids) > most else "")
