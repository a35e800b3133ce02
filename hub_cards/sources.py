"""Where counselling text comes from, and whether it may be passed on."""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa

from .licences import PUBLIC_LICENCES


@dataclass(frozen=True, slots=True)
class Source:
    """A corpus that records can come from.

    Attributes:
        name: as in the records' column `source`.
        names: a pattern that its other names hold in lower case, such as "thu-coai/PsyQA".
        title: for people.
        licence: as its publisher declares it: a Hub licence id, or words.
        may_be_passed_on: whether those terms allow publishing its text.
        terms: a sentence for the card.
        contact: whom to ask for the removal of a text.
    """

    name: str
    names: str
    title: str
    licence: str
    may_be_passed_on: bool
    terms: str
    contact: str


SOURCES = {
    source.name: source
    for source in (
        Source(
            "smilechat",
            "smilechat",
            "SMILECHAT (GitHub qiuhuachuan/smile)",
            "cc0-1.0",
            True,
            "Written by ChatGPT from posts of PsyQA. CC0-1.0 as its publisher declares; PsyQA itself is under a "
            "research agreement.",
            "https://github.com/qiuhuachuan/smile/issues",
        ),
        Source(
            "psyqa",
            "psyqa",
            "PsyQA (GitHub thu-coai/PsyQA)",
            "research agreement",
            False,
            "Given out under a research agreement that does not allow passing it on.",
            "https://github.com/thu-coai/PsyQA",
        ),
        Source(
            "efaqa",
            "efaqa",
            "efaqa-corpus-zh (GitHub chatopera/efaqa-corpus-zh)",
            "terms of its publisher",
            False,
            "Given out under its publisher's terms, which do not allow passing it on.",
            "https://github.com/chatopera/efaqa-corpus-zh",
        ),
        Source(
            "soulchat-release",
            r"^soulchat$|/soulchat\b|soulchat[-_ ]?(?:corpus|release)",  # not whatever was made with this toolkit
            "SoulChatCorpus, open release (ModelScope YIRONGCHEN/SoulChatCorpus)",
            "contradicting: Apache-2.0 and non-commercial research only",
            False,
            "Carries two contradicting licences: its card's header says Apache-2.0, its body says non-commercial "
            "research only. The stricter one is taken to hold.",
            "https://github.com/scutcyr/SoulChat/issues",
        ),
    )
}


@dataclass(frozen=True, slots=True)
class Origin:
    """How many records of a corpus come from one source, under which licence; `records` is None where not counted."""

    source: str
    licence: str | None
    records: int | None = None

    @property
    def known(self) -> Source | None:
        """What is known here of the source."""
        return SOURCES.get(self.source)

    @property
    def may_be_passed_on(self) -> bool:
        """Whether publishing is allowed: by what is known of the source, else by the licence of its records."""
        return self.known.may_be_passed_on if self.known else self.licence in PUBLIC_LICENCES


def find_origins(tables: Iterable[pa.Table]) -> list[Origin]:
    """Sources and licences of all records, from their columns `source` and `licence`.

    An empty list where a table has no source; a licence is None where it has no such column.
    """
    counts: Counter[tuple[str | None, str | None]] = Counter()
    for table in tables:
        if "source" not in table.column_names:
            return []
        has_licence = "licence" in table.column_names
        licences = table["licence"].to_pylist() if has_licence else [None] * len(table)
        counts.update(zip(table["source"].to_pylist(), licences, strict=True))
    named: Counter[tuple[str, str | None]] = Counter()
    for (source, licence), count in counts.items():
        named[_known_name(source), _hub_id(licence)] += count
    return [Origin(source, licence, count) for (source, licence), count in sorted(named.items(), key=str)]


def _known_name(written: str | None) -> str:
    """The name in `SOURCES` of a record's source, however it is written; the stricter one where it names two."""
    if not written:
        return "not named"
    named = [source for source in SOURCES.values() if re.search(source.names, written.lower())]
    return min(named, key=lambda source: source.may_be_passed_on).name if named else written


def _hub_id(licence: str | None) -> str | None:
    """The Hub's spelling of a licence that it knows; any other words as they are."""
    return licence.lower() if licence and licence.lower() in PUBLIC_LICENCES else licence


def terms_of(origins: list[Origin]) -> str:
    """The terms of all sources, for a LICENSE file."""
    lines = [
        f"{origin.known.title}: {origin.licence or origin.known.licence}. {origin.known.terms}"
        if origin.known
        else f"{origin.source}: {origin.licence or 'no licence stated'}."
        for origin in origins
    ]
    return "The records stand under the terms of their sources.\n\n" + "\n".join(lines) + "\n"


def check_terms(origins: list[Origin], *, is_private: bool, has_right: bool) -> None:
    """Refuse to publish what its source does not allow to be passed on.

    Raises:
        ValueError: one line that names the source and what is possible.
    """
    for origin in origins:
        if origin.may_be_passed_on or (is_private and has_right):
            continue
        name = origin.known.title if origin.known else origin.source
        terms = origin.known.terms if origin.known else f"Its licence is {origin.licence or 'not stated'}."
        if is_private:
            raise ValueError(f"{name}: {terms} If you have the right to store it there, say so: `has_right`")
        raise ValueError(f"{name}: {terms} It cannot be published; allowed: `is_private` with `has_right`")
