"""Whole rendered cards, against the ones in tests/fixtures/hub (see its README for how to renew them)."""

import ast
import os
import re
from pathlib import Path

import pytest
from datasets import DatasetInfo, SplitDict, SplitInfo
from markdown_it import MarkdownIt

from hub_cards.build_report import collect_build
from hub_cards.cards import last_user_message, model_card_of, render_dataset_card, render_model_card
from hub_cards.licences import BaseModel
from hub_cards.predictions import Prediction
from hub_cards.results import check_results
from soulchatcorpus.features import FEATURES
from tests.hub_cards.samples import make_model_folder, make_reports, make_results
from tests.hub_cards.test_markdown import NAMES
from tests.paths import FIXTURES

CARDS = FIXTURES / "hub"


def matches(card: str, name: str) -> bool:
    """Whether the card is the stored one; SOULCHAT_RENEW_CARDS=1 stores it instead."""
    path = CARDS / name
    if os.environ.get("SOULCHAT_RENEW_CARDS"):
        path.write_text(card, encoding="utf-8")
    return card == path.read_text(encoding="utf-8")


def test_model_trained_from_nothing(tmp_path: Path) -> None:
    folder = make_model_folder(tmp_path)
    assert matches(model_card_of(folder, "user/soulchat-demo"), "model_demo.md")


def test_model_of_which_nothing_was_measured() -> None:
    results = {"schema_version": 1, "dataset": {"name": "smilechat-1k"}, "systems": []}
    card = render_model_card(check_results(results))
    assert matches(card, "model_nothing_measured.md")
    assert "None" not in card
    assert "0.75" not in card, "the paper's decoding is no default for what was not recorded"


def test_fine_tuned_chatglm_carries_its_licence_and_data_terms() -> None:
    data = {"name": "SoulChatCorpus", "hub_id": "user/soulchat", "revision": "abc", "licence": "non-commercial"}
    results = make_results(dataset=data)
    messages = [{"role": "user", "content": "别人的话"}]
    rows = [Prediction(id="1-1", messages=messages, reference="", prediction="嗯。")]
    card = render_model_card(
        check_results(results),
        repo_id="user/x",
        base_model=BaseModel("THUDM/chatglm-6b"),
        predictions=rows,
        loss_figure="loss.png",
    )
    assert matches(card, "model_chatglm.md")
    assert "别人的话" not in card, "text that may not be passed on does not stand in a card either"


@pytest.mark.parametrize("part", ["adapter", "prefix"])
def test_parts_name_their_base_and_how_to_put_them_together(part: str) -> None:
    base = BaseModel("THUDM/chatglm-6b", part)
    assert matches(
        render_model_card(check_results(make_results()), repo_id="user/part", base_model=base), f"model_{part}.md"
    )


def test_a_causal_model_needs_none_of_our_code() -> None:
    base = BaseModel("Qwen/Qwen2.5-0.5B-Instruct", licence="apache-2.0")
    card = render_model_card(check_results(make_results()), repo_id="user/q", model_type="qwen2", base_model=base)
    assert "import soulchat_trainer" not in card
    assert "No package of ours is needed." in card
    assert "license: apache-2.0" in card


def test_a_seen_system_is_marked() -> None:
    results = make_results()
    results["systems"][0]["seen"] = True
    card = render_model_card(check_results(results))
    assert "| trained (seen) | 560 |" in card
    assert "is no held-out result" in card


def test_settings_without_folders_and_tokens() -> None:
    results = make_results()
    results["training"]["arguments"] = {"hub_token": "hf_x", "output_dir": "/runs/x", "seed": 7, "bf16": True}
    card = render_model_card(check_results(results))
    assert "| `bf16` | True |\n| `seed` | 7 |\n" in card
    assert "hf_x" not in card
    assert "/runs" not in card


def test_settings_that_others_overrule_are_not_shown() -> None:
    results = make_results()
    sizes = {"global_batch_size": 80, "per_device_train_batch_size": 10, "num_train_epochs": 3.0, "max_steps": -1}
    results["training"]["arguments"] = sizes
    card = render_model_card(check_results(results))
    assert all(f"| `{name}` | {value} |" in card for name, value in sizes.items())
    results["training"]["arguments"] = {**sizes, "max_tokens": 1300, "max_steps": 520}
    card = render_model_card(check_results(results))
    assert "| `max_tokens` | 1300 |\n| `max_steps` | 520 |" in card
    assert "batch_size" not in card
    assert "num_train_epochs" not in card


def test_replies_cannot_break_the_card() -> None:
    messages, reply = (
        [{"role": "user", "content": "a"}],
        "<script>x</script>\n# b\n\n| c |\n![p](p.png)",
    )
    rows = [Prediction(id="1", messages=messages, reference="", prediction=reply)]
    card = render_model_card(check_results(make_results()), predictions=rows)
    told = "> \\<script\\>x\\</script\\>\n> # b\n> \n> \\| c \\|\n> !\\[p\\](p.png)\n"
    assert told in card


def test_a_bar_in_a_value_stays_in_its_cell() -> None:
    assert r"| signature | `bleu:corpus\|jieba:0.42.1` |" in render_model_card(check_results(make_results()))


def test_the_last_words_of_the_user() -> None:
    roles = ("system", "user", "assistant", "user")
    messages = [
        {"role": role, "content": text} for role, text in zip(roles, ("零", "一", "嗯", "二\n三"), strict=True)
    ]
    assert last_user_message(messages) == "二\n三"


def test_broken_files_are_named(tmp_path: Path) -> None:
    folder = make_model_folder(tmp_path)
    (folder / "predictions.jsonl").write_text("{\n")
    with pytest.raises(ValueError, match=r"predictions.jsonl, line 1: the whole is .*; allowed: JSON"):
        model_card_of(folder)
    (folder / "predictions.jsonl").write_text('{"id": "1-1"}\n')
    with pytest.raises(ValueError, match=r"predictions.jsonl, line 1: messages is missing"):
        model_card_of(folder)


def dataset_infos() -> dict[str, DatasetInfo]:
    sizes = {"train": (1200, 240_000), "validation": (100, 20_000), "test": (150, 30_000)}
    return {
        config: DatasetInfo(
            features=features,
            config_name=config,
            splits=SplitDict({name: SplitInfo(name, size, rows) for name, (rows, size) in sizes.items()}),
        )
        for config, features in FEATURES.items()
    }


PATTERNS = {config: {split: f"{config}/{split}-*.parquet" for split in ("train", "test")} for config in FEATURES}


def test_a_build_of_which_nothing_is_known() -> None:
    card = render_dataset_card({}, repo_id="user/c", infos=dataset_infos(), patterns=PATTERNS, figures={})
    assert matches(card, "dataset_nothing_known.md")
    assert "None" not in card


def test_a_source_s_name_does_not_break_the_table() -> None:
    build = {"origins": [{"source": "our | own\nhotline", "licence": "mit|x", "records": 2}]}
    card = render_dataset_card(build, repo_id="user/c", infos=dataset_infos(), patterns=PATTERNS, figures={})
    assert "| our \\| own hotline | 2 | mit\\|x |" in card


@pytest.mark.parametrize("name", NAMES)
def test_no_name_breaks_a_model_card(name: str) -> None:
    tags, reader, pages = re.compile(r"<[^>]*>"), MarkdownIt().enable("table"), []
    for used in ("plain", name):
        values = make_results(recipe=used)
        values["systems"][0]["name"] = values["dataset"]["name"] = values["dataset"]["licence"] = used
        values["dataset"]["revision"] = used
        card = render_model_card(check_results(values))
        pages.append(reader.render(card.split("---\n", 2)[2]))
    assert tags.findall(pages[1]) == tags.findall(pages[0])


def test_a_build_with_all_its_numbers(tmp_path: Path) -> None:
    build = collect_build(make_reports(tmp_path))
    build["origins"] = [
        {"source": "smilechat", "licence": "cc0-1.0", "records": 1000},
        {"source": "our own hotline", "licence": "cc-by-4.0", "records": 450},
    ]
    figures = {"topics.png": "Topics of the conversations", "words.png": "Words of the counsellors"}
    card = render_dataset_card(build, repo_id="user/corpus", infos=dataset_infos(), patterns=PATTERNS, figures=figures)
    assert matches(card, "dataset_built.md")
    assert "not measured" not in card


def test_replies_are_shown_without_private_details() -> None:
    messages = [{"role": "user", "content": "我的电话是13812345678"}]
    row = Prediction(id="1", messages=messages, reference="好", prediction="打13987654321找我")
    results = make_results()
    results["dataset"]["licence"] = "cc0-1.0"
    card = render_model_card(check_results(results), predictions=[row])
    assert "13812345678" not in card
    assert "13987654321" not in card
    assert r"\[phone\]" in card


def test_what_nobody_measures_is_not_called_measured() -> None:
    results = make_results()
    results["dataset"]["licence"] = None
    card = render_model_card(check_results(results))
    assert "| licence | not stated |" in card


def test_no_name_leaves_its_place_in_a_models_card() -> None:
    name = 'x")\n```\n<img src=x> `|'
    content = make_results()
    content["preferences"] = {"objective": "dpo", "judged_by": name, "asked": {name: name}, "changes": []}
    message = [{"role": "user", "content": "a"}]
    card = render_model_card(
        check_results(content),
        base_model=BaseModel(name, "adapter", "mit"),
        predictions=[Prediction(id=name, messages=message, reference="", prediction="b")],
    )
    body = card.split("---\n", 2)[2]
    page = MarkdownIt("commonmark", {"html": True}).enable("table").render(body)
    assert "<img" not in page
    source = re.search(r"```python\n(.*?)\n```\n", body, re.DOTALL)[1]
    compile(source, "card", "exec")
    assert repr(name) in ast.dump(ast.parse(source))
