"""What is laid out of a corpus's folder, and what is refused."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from datasets import load_dataset

from hub_cards.check import check_folder, read_metadata
from hub_cards.dataset import stage_dataset
from soulchatcorpus.features import PEOPLE
from soulchatcorpus.files import write_lines
from soulchatcorpus.making.build import build
from soulchatcorpus.making.stats import describe
from tests.hub_cards.samples import CARD, make_corpus_folder, make_reports, make_turns, write_json


def stage(folder: Path, **options: object) -> Path:
    staged = folder.parent / "staged"
    staged.mkdir()
    stage_dataset(folder, staged, repo_id="user/made", **options)
    return staged


def test_a_card_that_somebody_wrote_keeps_its_text_and_gets_exact_sizes(tmp_path: Path) -> None:
    staged = stage(make_corpus_folder(tmp_path / "made", CARD))
    text = (staged / "README.md").read_text()
    assert text.endswith('\n# Made\n\n`load_dataset("user/made")`\n')
    metadata = read_metadata(text)
    assert metadata["configs"] == [
        {
            "config_name": "turns",
            "default": True,
            "data_files": [
                {"split": split, "path": f"turns/{split}-*.parquet"} for split in ("train", "validation", "test")
            ],
        }
    ]
    assert [split["num_examples"] for split in metadata["dataset_info"]["splits"]] == [3, 3, 3]
    assert metadata["size_categories"] == ["n<1K"]
    assert metadata["extra_gated_prompt"]
    assert check_folder(staged) == []


def test_a_built_corpus_gets_its_card_from_the_steps_beside_it(tmp_path: Path) -> None:
    folder = make_corpus_folder(tmp_path / "5-build", None, source="smilechat", licence="CC0-1.0")
    write_json(folder / "card.json", {})
    make_reports(tmp_path)
    staged = stage(folder)
    text = (staged / "README.md").read_text()
    assert read_metadata(text)["license"] == "cc0-1.0"
    assert read_metadata(text)["source_datasets"] == ["extended|other-smilechat"]
    assert "![Topics of the conversations](topics.png)" in text
    assert "| SMILECHAT (GitHub qiuhuachuan/smile) | 9 | cc0-1.0 |" in text
    assert "| 1-clean, length: too_short (drop) | 60 |" in text
    benchmark = yaml.safe_load((staged / "eval.yaml").read_text())
    assert benchmark["tasks"][0] == {"id": "bleu-1", "config": "turns", "split": "test"}
    own = {"README.md", "build.json", "eval.yaml"}
    assert {path.name for path in staged.iterdir()} == {*own, "topics.png", "turns", "words.png"}
    assert check_folder(staged) == []
    (staged / "README.md").write_text(text.replace("(drop) | 60 |", "(drop) | 6 |"))
    assert [finding.message for finding in check_folder(staged)] == [
        "1-clean, length: too_short (drop), records reads 6, in build.json 60"
    ]


def test_the_steps_may_be_named(tmp_path: Path) -> None:
    folder = make_corpus_folder(tmp_path / "built", None, source="own", licence="mit")
    write_json(folder / "card.json", {})
    (tmp_path / "steps").mkdir()
    steps = make_reports(tmp_path / "steps")
    staged = stage(folder, reports=steps[:1])
    text = (staged / "README.md").read_text()
    assert "(drop) | 60 |" in text
    assert "| prompt | not measured |" in text
    with pytest.raises(FileNotFoundError, match=r"no report\.json and no stats\.json"):
        stage_dataset(folder, tmp_path / "x", repo_id="user/made", reports=[tmp_path / "steps"])


def test_terms_that_the_hub_has_no_name_for_stand_in_a_file(tmp_path: Path) -> None:
    folder = make_corpus_folder(tmp_path / "built", None, source="our hotline", licence="with consent, for us alone")
    write_json(folder / "card.json", {})
    with pytest.raises(ValueError, match="our hotline: Its licence is with consent, for us alone"):
        stage(folder)
    staged = tmp_path / "private"
    staged.mkdir()
    stage_dataset(folder, staged, repo_id="user/made", is_private=True, has_right=True)
    assert "with consent, for us alone" in (staged / "LICENSE").read_text()
    assert read_metadata((staged / "README.md").read_text())["license_name"] == "terms-of-the-sources"
    assert check_folder(staged) == []


def test_what_may_not_be_passed_on_is_refused_before_anything_is_laid_out(tmp_path: Path) -> None:
    folder = make_corpus_folder(tmp_path / "made", CARD, source="psyqa", licence="cc0-1.0")
    with pytest.raises(ValueError, match="PsyQA"):
        stage(folder)
    assert list((tmp_path / "staged").iterdir()) == []


def test_no_config_hides_a_source_behind_another(tmp_path: Path) -> None:
    folder = make_corpus_folder(tmp_path / "made", CARD, source="psyqa", licence="mit")
    for split in ("train", "test"):
        made = make_turns(split, source="own", licence="mit")
        pq.write_table(made, folder / "data" / f"conversations-{split}.parquet")
    with pytest.raises(ValueError, match="PsyQA"):
        stage(folder)


def test_a_build_whose_terms_stand_in_a_card_alone(tmp_path: Path) -> None:
    folder = make_corpus_folder(tmp_path / "made", CARD)
    write_json(folder / "card.json", {})
    staged = stage(folder)
    card = (staged / "README.md").read_text()
    assert "| made | not measured | cc0-1.0 | as its licence says |" in card
    assert "Every record carries" not in card
    assert check_folder(staged) == []


@pytest.mark.parametrize("source", ["own", "thu-coai/PsyQA"])
def test_records_that_name_their_source_alone(source: str, tmp_path: Path) -> None:
    """What is known of it stands before the folder's card, which tells the licence of the others."""
    folder = make_corpus_folder(tmp_path / "made", CARD, source=source)
    if source == "own":
        assert read_metadata((stage(folder) / "README.md").read_text())["license"] == "cc0-1.0"
        return
    with pytest.raises(ValueError, match="PsyQA"):
        stage(folder)


def test_a_private_corpus_without_a_licence(tmp_path: Path) -> None:
    folder = make_corpus_folder(tmp_path / "made", None, source="own")
    for path in (folder / "data").glob("*.parquet"):
        table = pq.read_table(path)
        pq.write_table(table.append_column("licence", pa.nulls(table.num_rows, pa.string())), path)
    write_json(folder / "card.json", {})
    staged = stage(folder, is_private=True, has_right=True)
    assert "| own | 9 | not stated | not stated |" in (staged / "README.md").read_text()
    assert check_folder(staged) == []


def test_calls_that_do_not_read_the_published_files_stay(tmp_path: Path) -> None:
    calls = 'load_dataset("made", "turns") load_dataset("made", data_files="a.json") load_dataset("made", source="b")'
    staged = stage(make_corpus_folder(tmp_path / "made", CARD + calls))
    assert (staged / "README.md").read_text().endswith(calls.replace('"made", "turns"', '"user/made", "turns"'))


def test_a_folder_that_says_nothing_of_its_terms(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no columns source and licence"):
        stage(make_corpus_folder(tmp_path / "made", None))


def test_a_card_without_licence(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="made: Its licence is not stated"):
        stage(make_corpus_folder(tmp_path / "made", CARD.replace("license: cc0-1.0\n", "")))


def test_a_build_with_clients_is_published_with_its_nested_columns_and_counts(tmp_path: Path) -> None:
    talks = [
        {
            "id": str(n),
            "messages": [
                {"role": "user", "content": f"第{n}次失眠"},
                {"role": "assistant", "content": "听起来压力很大"},
            ],
            "provenance": {"source": "own", "licence": "mit"},
            **({"client": {"gender": "女", "age": 20}, "counsellor": "lin"} if n % 2 else {}),
        }
        for n in range(60)
    ]
    write_lines(tmp_path / "conversations.jsonl", talks)
    (tmp_path / "1-stats").mkdir()
    write_json(tmp_path / "1-stats" / "stats.json", describe(tmp_path / "conversations.jsonl"))
    build(tmp_path / "conversations.jsonl", tmp_path / "2-build")
    staged = stage(tmp_path / "2-build")
    text = (staged / "README.md").read_text()
    assert "| conversations with a client of gender female | 30 |" in text
    assert "| conversations in the style of lin | 30 |" in text
    assert check_folder(staged) == []
    loaded = load_dataset(str(staged), "conversations", cache_dir=str(tmp_path / "cache"))
    assert {name: loaded["train"].features[name] for name in PEOPLE} == PEOPLE
    rows = [row for split in loaded.values() for row in split]
    assert sum(row["client"] is not None and row["client"]["age_group"] == "18-25" for row in rows) == 30
    assert sum(row["counsellor"] == "lin" for row in rows) == 30
