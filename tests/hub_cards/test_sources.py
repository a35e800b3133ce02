"""What may be passed on, by what the records say of themselves."""

import pyarrow as pa
import pytest

from hub_cards.sources import SOURCES, Origin, check_terms, find_origins, terms_of
from tests.hub_cards.samples import make_turns


def test_records_are_counted_by_source_and_licence() -> None:
    tables = [
        make_turns("train", 2, source="smilechat", licence="cc0-1.0"),
        make_turns("test", 1, source="smilechat", licence="CC0-1.0"),
        make_turns("test", 4, source="own", licence="mit"),
    ]
    assert find_origins(tables) == [Origin("own", "mit", 4), Origin("smilechat", "cc0-1.0", 3)]


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("PsyQA", "psyqa"),
        ("thu-coai/PsyQA", "psyqa"),
        ("SMILECHAT", "smilechat"),
        ("SMILECHAT and PsyQA", "psyqa"),
        ("efaqa-corpus-zh", "efaqa"),
        ("SoulChatCorpus", "soulchat-release"),
        ("soulchat", "soulchat-release"),
        ("scutcyr/SoulChat", "soulchat-release"),
        ("soulchat-own-writing", "soulchat-own-writing"),
        ("our hotline", "our hotline"),
        (None, "not named"),
    ],
)
def test_a_source_is_known_in_any_spelling(written: str | None, name: str) -> None:
    table = make_turns("train", 2, licence="mit").append_column("source", pa.array([written] * 2, pa.string()))
    assert find_origins([table]) == [Origin(name, "mit", 2)]


def test_records_that_say_nothing() -> None:
    assert find_origins([make_turns("train", 2)]) == []
    assert find_origins([make_turns("train", 2, source="smilechat")]) == [Origin("smilechat", None, 2)]


@pytest.mark.parametrize(
    ("origin", "is_private", "has_right", "allowed"),
    [
        (Origin("smilechat", "cc0-1.0"), False, False, True),
        (Origin("own", "cc-by-4.0"), False, False, True),
        (Origin("own", "cc-by-sa-4.0"), False, False, True),
        (Origin("own", None), False, False, False),
        (Origin("own", "all rights reserved"), True, True, True),
        (Origin("psyqa", "research agreement"), False, False, False),
        (Origin("psyqa", "cc0-1.0"), False, False, False),
        (Origin("psyqa", "research agreement"), False, True, False),
        (Origin("psyqa", "research agreement"), True, False, False),
        (Origin("psyqa", "research agreement"), True, True, True),
        (Origin("efaqa", None), False, True, False),
        (Origin("soulchat-release", "apache-2.0"), False, True, False),
        (Origin("soulchat-release", "apache-2.0"), True, True, True),
    ],
)
def test_terms(origin: Origin, is_private: bool, has_right: bool, allowed: bool) -> None:
    if allowed:
        check_terms([origin], is_private=is_private, has_right=has_right)
        return
    with pytest.raises(ValueError, match="has_right") as error:
        check_terms([Origin("smilechat", "cc0-1.0"), origin], is_private=is_private, has_right=has_right)
    assert "\n" not in str(error.value)


def test_the_terms_of_all_sources_in_one_file() -> None:
    text = terms_of([Origin("psyqa", None, 3), Origin("own", "mit", 2)])
    assert "PsyQA (GitHub thu-coai/PsyQA): research agreement. Given out under a research agreement" in text
    assert "own: mit." in text


def test_every_known_source_says_whom_to_ask() -> None:
    assert all(source.contact.startswith("https://") and source.terms.endswith(".") for source in SOURCES.values())
