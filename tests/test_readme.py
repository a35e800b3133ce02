"""The READMEs tell the truth: measured blocks come from result files, links lead somewhere, the first lines run."""

import re

import pytest

from benchmarks import page, page_tables, page_training, readme
from tests.paths import ROOT

NAMES = ["README.md", "README_zh.md"]


@pytest.mark.parametrize("name", NAMES)
def test_measured_blocks_are_rendered_from_the_result_files(name: str) -> None:
    assert readme.updated(name) == (ROOT / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", NAMES)
def test_links_to_files_lead_somewhere(name: str) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / name).read_text(encoding="utf-8"))
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


@pytest.mark.parametrize("name", NAMES)
def test_commands_notice_and_help_lines_are_there(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    for needed in ("make demo", "make test", "accelerate launch train.py demo", "12356"):
        assert needed in text
    assert ("for reference only" in text) or ("仅供参考" in text)


def test_both_readmes_show_the_same_commands() -> None:
    def commands(name: str) -> set[str]:
        text = (ROOT / name).read_text(encoding="utf-8")
        return set(re.findall(r"`((?:soulchat|make|accelerate|pip|load_dataset)[^`]*)`", text))

    assert commands("README.md") == commands("README_zh.md")


@pytest.mark.parametrize("name", [*NAMES, "docs/cost.md"])
def test_the_hours_on_a_gpu_are_those_of_the_result_file(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    results = page_tables.results_of("training-gpu")
    full, masters = (results[way] for way in list(page_training.GPU_WAYS)[:2])
    assert re.search(rf"\b{full['hours_of_the_papers_run']:.1f}( hours| 小时)", text)
    if name == "docs/cost.md":
        assert f"{full['mfu']:.1%}".replace("%", " %") in text
        assert f"{masters['mfu']:.1%} and".replace("%", " %") in text
        assert f"{masters['hours_of_the_papers_run']:.1f} hours with float32 masters" in text


def test_the_benchmark_page_is_rendered_from_the_result_files() -> None:
    assert page.render() == page.PAGE.read_text(encoding="utf-8")
