"""Where counselling text comes from, and whether it may be passed on."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Source:
    """A corpus that records can come from.

    Attributes:
        name: as in the records' column `source`.
        title: for people.
        licence: as its publisher declares it: a Hub licence id, or words.
        may_be_passed_on: whether those terms allow publishing its text.
        terms: a sentence for the card.
        contact: whom to ask for the removal of a text.
    """

    name: str
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
            "SMILECHAT (GitHub qiuhuachuan/smile)",
            "cc0-1.0",
            True,
            "Written by ChatGPT from posts of PsyQA. CC0-1.0 as its publisher declares; PsyQA itself is under a "
            "research agreement.",
            "https://github.com/qiuhuachuan/smile/issues",
        ),
        Source(
            "psyqa",
            "PsyQA (GitHub thu-coai/PsyQA)",
            "research agreement",
            False,
            "Given out under a research agreement that does not allow passing it on.",
            "https://github.com/thu-coai/PsyQA",
        ),
        Source(
            "efaqa",
            "efaqa-corpus-zh (GitHub chatopera/efaqa-corpus-zh)",
            "terms of its publisher",
            False,
            "Given out under its publisher's terms, which do not allow passing it on.",
            "https://github.com/chatopera/efaqa-corpus-zh",
        ),
        Source(
            "soulchat-release",
            "SoulChatCorpus, open release (ModelScope YIRONGCHEN/SoulChatCorpus)",
            "contradicting: Apache-2.0 and non-commercial research only",
            False,
            "Carries two contradicting licences: its card's header says Apache-2.0, its body says non-commercial "
            "research only. The stricter one is taken to hold.",
            "https://github.com/scutcyr/SoulChat/issues",
        ),
    )
}
