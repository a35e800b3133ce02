"""Tables of results: blocks that compare, marks, the paper's rows, LaTeX, the chart."""

import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson
import pytest
from markdown_it import MarkdownIt

from hub_cards.predictions import Prediction, write_predictions
from hub_cards.results import DataSet, Results, Sampling, read_results
from soulchat_trainer.evaluation.table1 import describe_references, system_row
from soulchat_trainer.evaluation.tables import (
    compare,
    draw_chart,
    published,
    read_tables,
    render_latex,
    render_markdown,
    write_tables,
)
from soulchat_trainer.generation.engine import Decoding, Reply
from tests.hub_cards.test_markdown import NAMES

REFERENCES = [f"听起来你最近很难过，可以告诉我{word}吗？" for word in "家工学友爱睡吃钱病梦哭笑"]
GOOD = [text.replace("最近", "这几天") for text in REFERENCES]
BAD = ["好的。"] * len(REFERENCES)


def make_folder(folder: Path, name: str, texts: list[str], **changes: Any) -> Path:
    """A result folder of one system, as a benchmark leaves it."""
    asked = [{"role": "user", "content": "a"}]
    rows = enumerate(zip(REFERENCES, texts, strict=True))
    write_predictions(
        folder / "predictions.jsonl",
        [Prediction(id=str(n), messages=asked, reference=pair[0], prediction=pair[1]) for n, pair in rows],
    )
    row = system_row(name, "model", [Reply(text, True, 1) for text in texts], REFERENCES, 1.0)
    results = Results(
        dataset=DataSet(name="smilechat-1k", fingerprint=changes.pop("fingerprint", "0")),
        decoding=Sampling(**asdict(Decoding())),
        systems=[row.model_copy(update=changes)],
        references=describe_references(REFERENCES),
    )
    results.write(folder / "results.json")
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_no_name_breaks_the_tables(name: str, tmp_path: Path) -> None:
    tags = re.compile(r"<[^>]*>")
    pages = []
    for number, used in enumerate(("plain", name)):
        folder = make_folder(tmp_path / str(number), used, GOOD)
        results = read_results(folder / "results.json")
        data = results.dataset.model_copy(update={"name": used})
        results.model_copy(update={"dataset": data}).write(folder / "results.json")
        pages.append(MarkdownIt().enable("table").render(render_markdown(read_tables([folder]))))
    assert tags.findall(pages[1]) == tags.findall(pages[0])


@pytest.mark.parametrize("name", ["[a]", "*a*", "a\n\nb", "\\input{x}", "$\\foo$", "_a", "%"])
def test_no_name_breaks_latex_or_the_chart(name: str, tmp_path: Path) -> None:
    """In LaTeX `[` and `*` after the end of a row belong to it, and an empty line ends an argument."""
    folder = make_folder(tmp_path / "1", name, GOOD)
    tables = read_tables([folder])
    latex = render_latex(tables)
    assert not re.search(r"\\\\\s*[\[*]|\n\n|\\input", latex)
    assert latex.count("\n") == render_latex(read_tables([make_folder(tmp_path / "2", "plain", GOOD)])).count("\n")
    draw_chart(tables, tmp_path / "chart.png")


def test_losses_of_two_models_come_with_what_compares_them(tmp_path: Path) -> None:
    losses = {"good": (4.5, 90.02, 3.25), "bad": (2.25, 9.49, None)}
    folders = []
    for name, (loss, perplexity, bits) in losses.items():
        measured = {"loss": loss, "perplexity": perplexity, "bits_per_character": bits}
        folders.append(make_folder(tmp_path / name, name, GOOD, **measured))
    text = render_markdown(read_tables(folders))
    assert "| Loss | Perplexity | Bits a character |" in text
    assert "| 4.50 | 90 | 3.25 |" in text
    assert "| 2.25 | 9 |  |" in text, "measured before there were bits"
    assert "compare between models of one tokenizer" in text
    assert "one tokenizer" not in render_markdown(read_tables(folders[:1]))


def test_better_systems_are_marked(tmp_path: Path) -> None:
    folders = [make_folder(tmp_path / name, name, texts) for name, texts in (("good", GOOD), ("bad", BAD))]
    [table] = read_tables(folders)
    assert table.marks[0] == dict.fromkeys(table.marks[0], "b")
    assert table.marks[1] == dict.fromkeys(table.marks[1], "")
    text = render_markdown([table])
    assert "| a good | " in text
    assert "<sup>b</sup>" in text
    how = "top-p 0.75, temperature 0.95, at most 512 new tokens, seed 0, thinking off"
    assert f"smilechat-1k: 12 test turns, {how}" in text
    assert r"good & " in render_latex([table])
    assert r"\textsuperscript{b}" in render_latex([table])


def test_equal_systems_are_not_marked() -> None:
    rows = {str(n): (text, text) for n, text in enumerate(REFERENCES)}
    assert not any(letters for marks in compare([rows, rows]) for letters in marks.values())


def test_what_cannot_be_compared_stands_apart(tmp_path: Path) -> None:
    folders = [make_folder(tmp_path / "one", "one", GOOD), make_folder(tmp_path / "two", "two", BAD, fingerprint="1")]
    assert [len(table.systems) for table in read_tables(folders)] == [1, 1]


def test_the_papers_rows_are_in_a_block_of_their_own() -> None:
    assert published()["heading"] == "published: the authors' own test samples, not comparable"
    text = render_markdown([])
    assert published()["heading"] in text
    # Table 1, SoulChat on its own test samples
    assert "| SoulChat | SoulChatCorpus | 33.78 | 20.07 | 12.86 | 8.52 | 31.47 | 8.92 | 26.57 | 1.95 | 1.84 |" in text
    assert len(published()["rows"]) == 8


def test_seen_models_and_missing_numbers(tmp_path: Path) -> None:
    folder = make_folder(tmp_path, "a_b|c", GOOD, seen=True, loss=4.5, perplexity=90.02)
    [table] = read_tables([folder])
    text = render_markdown([table])
    assert "| a_b\\|c (seen) |" in text
    assert "| 4.50 | 90 |" in text
    assert "Seen: the model was trained on openings of these turns." in text
    assert r"a\_b|c (seen)" in render_latex([table])


def test_predictions_with_missing_ids_are_refused(tmp_path: Path) -> None:
    folder = make_folder(tmp_path, "m", GOOD)
    path = folder / "predictions.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-1]))
    with pytest.raises(ValueError, match=r"has 11 rows, results.json says 12: ids are missing"):
        read_tables([folder])


def test_folders_without_results_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"results\.json is not there; allowed: "):
        read_tables([tmp_path])
    Results(dataset=DataSet(name="x")).write(tmp_path / "results.json")
    with pytest.raises(ValueError, match="no system in"):
        read_tables([tmp_path])


def test_results_that_are_not_whole_are_refused(tmp_path: Path) -> None:
    folder = make_folder(tmp_path, "m", GOOD, signature=None, metrics={"bleu-1": 1.0})
    with pytest.raises(
        ValueError, match=r"results\.json: m lacks signature, metrics\.bleu-2, .*; allowed: results of"
    ):
        read_tables([folder])
    results = {"schema_version": 1, "dataset": {"name": "x"}, "systems": [{"name": "m", "metrics": {"bleu-1": 1.0}}]}
    (folder / "results.json").write_bytes(orjson.dumps(results))
    with pytest.raises(ValueError, match=r"m lacks decoding, references, samples"):
        read_tables([folder])


def test_no_system_is_left_out_for_want_of_a_letter(tmp_path: Path) -> None:
    folder = make_folder(tmp_path, "m", GOOD)
    with pytest.raises(ValueError, match="27 systems are in one table; allowed: at most 26"):
        read_tables([folder] * 27)


def test_files(tmp_path: Path) -> None:
    folder = make_folder(tmp_path / "in", "m", GOOD)
    text = write_tables([folder], tmp_path / "out")
    assert (tmp_path / "out" / "table.md").read_text(encoding="utf-8") == text
    assert (tmp_path / "out" / "table.tex").read_text(encoding="utf-8").startswith(r"\begin{tabular}")
    assert (tmp_path / "out" / "table.png").read_bytes().startswith(b"\x89PNG")
    draw_chart(read_tables([folder]), tmp_path / "chart.png")
    assert (tmp_path / "chart.png").stat().st_size > 5000
    with pytest.raises(ValueError, match=r"chart is .*results\.json; allowed: a name that ends in \.png"):
        draw_chart(read_tables([folder]), tmp_path / "in" / "results.json")
    assert read_tables([folder])
