"""The linter: a whole card passes, and each thing that can be wrong with it is found and named."""

from pathlib import Path

import pytest

from hub_cards.check import check_folder, read_metadata
from hub_cards.model import stage_model
from tests.hub_cards.samples import CARD, make_corpus_folder, make_model_folder


@pytest.fixture
def model(tmp_path: Path) -> Path:
    staged = tmp_path / "staged"
    staged.mkdir()
    stage_model(make_model_folder(tmp_path / "run"), staged, repo_id="user/name")
    return staged


def edit(folder: Path, old: str, new: str) -> None:
    card = folder / "README.md"
    text = card.read_text(encoding="utf-8")
    assert old in text
    card.write_text(text.replace(old, new), encoding="utf-8")


def findings(folder: Path) -> list[str]:
    return [str(finding) for finding in check_folder(folder)]


def test_private_details_stop_a_card(model: Path) -> None:
    """Wherever they stand, replies included; help lines are no private details."""
    text = (model / "README.md").read_text(encoding="utf-8")
    (model / "README.md").write_text(f"{text}\n> 打 13812345678\n\nme@example.com\n", encoding="utf-8")
    number = len(text.splitlines()) + 2
    assert findings(model) == [
        f"README.md:{number}: holds what looks like a private detail: phone",
        f"README.md:{number + 2}: holds what looks like a private detail: email",
    ]


@pytest.mark.parametrize(
    "written",
    [r"138\-1234\-5678", "138&#45;1234&#45;5678", "138&nbsp;1234&nbsp;5678", "&#49;&#51;812345678", "１３８12345678"],
)
def test_a_private_detail_is_seen_as_a_reader_of_the_card_sees_it(model, written):
    text = (model / "README.md").read_text(encoding="utf-8")
    (model / "README.md").write_text(f"{text}\n打 {written} 给我\n", encoding="utf-8")
    assert [finding.rpartition(": ")[2] for finding in findings(model)] == ["phone"]


def test_a_rendered_card_passes(model: Path) -> None:
    assert findings(model) == []


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("[More Information Needed]", "unfilled place: [More Information Needed]"),
        ("by {{ author }}", "unfilled place: {{ author }}"),
        ("{% if x %}", "unfilled place: {% if x %}"),
        ("TODO: describe", "unfilled place: TODO"),
        ("load <your-name>/x", "unfilled place: <your-name>"),
        ("| loss | None |", "unfilled place: None"),
        ("| loss | nan |", "unfilled place: nan"),
        ("![x](figures/lost.png)", "dead link: figures/lost.png"),
        ("<img src='lost.png'>", "dead link: lost.png"),
        ("[see](#nowhere)", "dead link: no heading for #nowhere"),
    ],
)
def test_places_that_nobody_filled_and_links_that_lead_nowhere(model: Path, line: str, found: str) -> None:
    edit(model, "## Licence\n", f"## Licence\n\n{line}\n")
    assert len(findings(model)) == 1
    assert findings(model)[0].endswith(found)


@pytest.mark.parametrize(
    "line",
    ["[a](https://x.y/z)", "[a](mailto:x@y.z)", "[a](loss.png)", "[a](#out-of-scope)", "> TODO", "```\nTODO\n```"],
)
def test_what_is_no_fault(model: Path, line: str) -> None:
    edit(model, "## Licence\n", f"## Licence\n\n{line}\n")
    assert findings(model) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("# no head\n", "the card's first line is '# no head'; allowed: ---"),
        ("---\na: [1\n---\n", "the YAML is not valid"),
        ("---\n- a\n---\n", "the YAML is a list; allowed: keys with values"),
    ],
)
def test_a_head_that_is_none(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_metadata(text)
    (tmp_path / "README.md").write_text(text)
    [found] = findings(tmp_path)
    assert message in found
    assert "\n" not in found


def test_no_card_and_no_folder(tmp_path: Path) -> None:
    assert findings(tmp_path) == ["README.md: there is no card"]
    with pytest.raises(FileNotFoundError, match="is no folder; allowed: "):
        check_folder(tmp_path / "nothing")


def test_an_access_token_in_any_text_file(model: Path) -> None:
    (model / "notes.txt").write_text("my token is hf_abcdefghijklmnopqrstuvwxyz")
    assert findings(model) == ["notes.txt: holds what looks like an access token"]


def test_a_corpus_folder_as_it_lies(tmp_path: Path) -> None:
    folder = make_corpus_folder(tmp_path / "made", CARD)
    found = "\n".join(findings(folder))
    for key in ("language", "size_categories", "task_categories", "configs", "dataset_info", "extra_gated_prompt"):
        assert f"README.md:1: {key} is missing" in found
