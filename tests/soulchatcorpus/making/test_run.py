"""The example pipeline, offline: question file to Parquet, against an endpoint that replays recorded replies.

The replies are the dialogues of the embedded SMILECHAT sample, which ChatGPT wrote, in SMILE's form.
"""

import os
import shlex
from importlib.resources import files
from pathlib import Path

import orjson
import pyarrow.parquet as pq
import pytest
from datasets import load_dataset
from typer.testing import CliRunner

import soulchatcorpus  # noqa: F401
from soulchat.cli import app
from soulchat.review.page import apply_edit
from soulchatcorpus.clients import CLIENT_FIELDS
from soulchatcorpus.features import PEOPLE
from soulchatcorpus.files import working_in, write_lines
from soulchatcorpus.making.figures import find_chinese_font
from soulchatcorpus.making.review import ReviewStore
from soulchatcorpus.making.run import run_pipeline
from soulchatcorpus.splits import SPLITS
from tests.paths import ROOT
from tests.soulchatcorpus.making.endpoint_stub import dialogue
from tests.soulchatcorpus.making.test_style import make_case
from tests.soulchatcorpus.making.test_style_card import PARTS

RECORDED = ROOT / "soulchatcorpus" / "data" / "conversations-test.parquet"
COUNT = 60


@pytest.fixture
def replayed(endpoint, tmp_path):
    """A folder with questions.jsonl and the example pipeline, and the endpoint that knows the replies."""
    dialogues = pq.read_table(RECORDED).to_pylist()[:COUNT]
    roles = {"user": "求助者：", "assistant": "支持者："}
    replies = {
        str(n): "\n".join(roles[m["role"]] + m["content"] for m in dialogue["messages"])
        for n, dialogue in enumerate(dialogues)
    }
    endpoint.answer = lambda content, model: replies[content.split("记录")[1].split("。")[0]]
    questions = [
        {
            "id": f"q{n}",
            "question": f"记录{n}。" + dialogue["messages"][0]["content"],
            "answer": " ".join(m["content"] for m in dialogue["messages"] if m["role"] == "assistant"),
            "licence": "CC0-1.0",
        }
        for n, dialogue in enumerate(dialogues)
    ]
    write_lines(tmp_path / "questions.jsonl", questions)
    example = files("soulchatcorpus.making").joinpath("pipeline.yaml").read_text(encoding="utf-8")
    (tmp_path / "pipeline.yaml").write_text(example.replace("http://127.0.0.1:8000/v1", endpoint.base_url))
    return tmp_path


def decide_all(source: Path, out: Path) -> None:
    """Two people who keep everything but the first."""
    store = ReviewStore(out / "review.sqlite")
    for name in ("r1", "r2"):
        while item := store.claim(name):
            first = store.standing().done == 0
            store.decide(name, item.id, "remove" if first else "keep", "harmful" if first else "")


def test_questions_to_parquet(replayed, endpoint):
    config, out = replayed / "pipeline.yaml", replayed / "corpus"
    for number, before in ((2, "1-clean"), (5, "4-clean")):
        with pytest.raises(ValueError, match="decisions wait for people"):
            run_pipeline(config)
        decide_all(out / before, out / f"{number}-review")
    reports = run_pipeline(config)
    assert list(reports) == ["1-clean", "2-review", "3-rewrite", "4-clean", "5-review", "6-stats", "7-build"]
    assert reports["1-clean"]["read"] == COUNT
    assert reports["2-review"]["remove"] == 1
    rewritten = reports["3-rewrite"]
    assert rewritten["accepted"] + rewritten["rejected"] == reports["1-clean"]["kept"] - 1
    assert rewritten["accepted"] > 25
    assert set(rewritten["reasons"]) <= {"wrong_end", "too_few_rounds", "role_confusion", "empty_message"}
    asked = dict(endpoint.asked)
    assert set(asked.values()) == {1}

    rows = [
        row
        for split in ("train", "validation", "test")
        for row in pq.read_table(out / "7-build" / "data" / f"turns-{split}.parquet").to_pylist()
    ]
    assert len(rows) == sum(found["rows"] for found in reports["7-build"]["configs"]["turns"].values()) > 100
    for row in rows:
        assert row["conversation_id"] == row["source_id"]
        assert row["id"] == f"{row['source_id']}-{row['turn']}"
        assert row["prompt_version"].startswith("soulchat@")
        assert row["model"] in ("gpt-3.5-turbo", "gpt-4")
        assert row["reviewer_decision"] in ("keep", None)
        assert row["prompt"].startswith("用户：")
        assert row["prompt"].endswith("心理咨询师：")
    conversation = orjson.loads((out / "5-review" / "conversations.jsonl").read_bytes().splitlines()[0])
    assert conversation["provenance"]["source"]["licence"] == "CC0-1.0"
    pictures = {".png", ".svg"} if find_chinese_font() else set()
    assert {path.suffix for path in (out / "6-stats").glob("words.*")} == pictures

    again = run_pipeline(config)
    assert again == reports
    assert endpoint.asked == asked


def test_openings_are_not_in_two_splits(replayed, endpoint, tmp_path):
    step = f"{{rewrite: {{base_url: '{endpoint.base_url}', model: m}}}}"
    plan = f"source: questions.jsonl\nout: corpus\nsteps: [{step}, build]"
    (replayed / "short.yaml").write_text(plan)
    run_pipeline(replayed / "short.yaml")
    tables = [pq.read_table(path).to_pylist() for path in (replayed / "corpus" / "2-build" / "data").glob("conv*")]
    openings = [{row["messages"][0]["content"] for row in table} for table in tables]
    assert sum(map(len, openings)) == len(set().union(*openings))
    assert sum(1 for split in openings if split) == 3


def test_a_changed_prompt_is_asked_again(replayed, endpoint):
    """The prompt is named as the plan names it: beside the plan."""
    (replayed / "my.txt").write_text("改写：{single_turn}")
    step = f"{{rewrite: {{base_url: '{endpoint.base_url}', model: stub, prompt: my.txt}}}}"
    (replayed / "p.yaml").write_text(f"source: questions.jsonl\nout: prompts\nsteps: [{step}]")
    first = run_pipeline(replayed / "p.yaml")["1-rewrite"]["prompt"]
    assert run_pipeline(replayed / "p.yaml")["1-rewrite"]["prompt"] == first
    (replayed / "my.txt").write_text("再改写：{single_turn}")
    assert run_pipeline(replayed / "p.yaml")["1-rewrite"]["prompt"] != first


def test_a_broken_plan_is_found_before_its_first_step_runs(replayed):
    (replayed / "p.yaml").write_text("source: questions.jsonl\nout: corpus\nsteps: [clean, {build: {x: 1}}]")
    with pytest.raises(ValueError, match="'x' is unknown"):
        run_pipeline(replayed / "p.yaml")
    assert not (replayed / "corpus").exists()


def test_people_read_again_what_another_prompt_has_made(replayed, endpoint):
    """Their decisions were on the old conversations, which have the same ids."""
    rewrite = "{rewrite: {base_url: '%s', model: m, prompt: %s}}"
    review = "{review: {flagged: false, sample: 1.0, shared: 0.0}}"
    plan = f"source: questions.jsonl\nout: corpus\nsteps: [{rewrite}, {review}]"
    folders = (replayed / "corpus" / "1-rewrite", replayed / "corpus" / "2-review")
    endpoint.answer = lambda content, model: dialogue(4)
    (replayed / "p.yaml").write_text(plan % (endpoint.base_url, "soulchat"))
    with pytest.raises(ValueError, match=f"{COUNT} decisions wait for people"):
        run_pipeline(replayed / "p.yaml")
    decide_all(*folders)
    assert run_pipeline(replayed / "p.yaml")["2-review"]["not_reviewed"] == 0
    endpoint.answer = lambda content, model: dialogue(5)
    (replayed / "p.yaml").write_text(plan % (endpoint.base_url, "soulchat-en"))
    with pytest.raises(ValueError, match=f"{COUNT} decisions wait for people"):
        run_pipeline(replayed / "p.yaml")


def test_the_command_named_to_people_queues_what_the_plan_says(replayed):
    plan = "source: questions.jsonl\nout: my corpus\nsteps: [{review: {flagged: false, sample: 0.5}}]"
    (replayed / "p.yaml").write_text(plan)
    with pytest.raises(ValueError, match="decisions wait") as first:
        run_pipeline(replayed / "p.yaml")
    program, *command = shlex.split(str(first.value).split("`")[1])
    assert program == "soulchat"
    assert CliRunner().invoke(app, [*command, "--export"]).exit_code == 0
    with pytest.raises(ValueError, match="decisions wait") as second:
        run_pipeline(replayed / "p.yaml")
    assert str(second.value) == str(first.value)


def test_a_review_without_options_is_the_command_s(replayed):
    (replayed / "p.yaml").write_text("source: questions.jsonl\nout: corpus\nsteps: [review]")
    with pytest.raises(ValueError, match=r"review \S+ --out \S+ --flagged --sample=0\.02 --shared=0\.1`"):
        run_pipeline(replayed / "p.yaml")


def test_a_record_of_what_is_done_is_whole_or_not_there(replayed, monkeypatch):
    """A run that is killed while it writes one goes on from the step before."""
    (replayed / "p.yaml").write_text("source: questions.jsonl\nout: corpus\nsteps: [clean]")
    done = replayed / "corpus" / "1-clean" / "done.json"
    monkeypatch.setattr("soulchatcorpus.files.os.replace", _killed_at(done, os.replace))
    with pytest.raises(KeyboardInterrupt):
        run_pipeline(replayed / "p.yaml")
    assert not done.exists()
    assert run_pipeline(replayed / "p.yaml")["1-clean"]["read"] == COUNT


def _killed_at(path: Path, replace):
    killed = []

    def replacing(source, target):
        if Path(target) == path and not killed:
            killed.append(path)
            raise KeyboardInterrupt
        replace(source, target)

    return replacing


def test_topics_by_the_endpoint_and_a_step_that_is_off(replayed, endpoint):
    """A bare off is false in YAML."""
    endpoint.answer = lambda content, model: "职场"
    clean = (
        f"{{topics: endpoint, base_url: '{endpoint.base_url}', model: m, actions: {{special: off, privacy: flag}}}}"
    )
    (replayed / "p.yaml").write_text(f"source: questions.jsonl\nout: corpus\nsteps: [{{clean: {clean}}}]")
    report = run_pipeline(replayed / "p.yaml")["1-clean"]
    assert report["steps"]["topic"] == {"model": {"职场": report["kept"]}}
    assert "special" not in report["steps"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("source: [", "expected the node content"),
        ("source: a\nout: b", "the keys are .*; allowed: source, out, steps"),
        ("source: a\nnull: b", "the keys are .*None.*; allowed: source, out, steps"),
        (
            "source: q.jsonl\nout: b\nsteps: [sweep]",
            "step is 'sweep'; allowed: clean, review, style, rewrite, stats, build",
        ),
        (
            "source: q.jsonl\nout: b\nsteps: [{clean: {langauge: zh}}]",
            "clean: option 'langauge' is unknown; allowed: actions",
        ),
        (
            "source: q.jsonl\nout: b\nsteps: [{clean: {language: fr}}]",
            "language is 'fr'; allowed: 'zh', 'en' or 'any'",
        ),
        ("source: q.jsonl\nout: b\nsteps: [{clean: {1: 2}}]", "clean: option '1' is unknown; allowed: actions"),
        (
            "source: q.jsonl\nout: b\nsteps: [{clean: {tasks: x}}]",
            "p.yaml: clean: tasks is 'x'; allowed: a valid integer",
        ),
        ("source: q.jsonl\nout: b\nsteps: [{clean: {tasks: true}}]", "tasks is True; allowed: a valid integer"),
        (
            "source: q.jsonl\nout: b\nsteps: [{clean: {actions: [special]}}]",
            "actions is .*; allowed: an object",
        ),
        (
            "source: q.jsonl\nout: b\nsteps: [{clean: {actions: {1: drop}}}]",
            "actions holds 1; allowed: a valid string",
        ),
        ("source: q.jsonl\nout: b\nsteps: [{clean: {asked_topics: {a: b}}}]", "option 'asked_topics' is unknown"),
        (
            "source: q.jsonl\nout: b\nsteps: [{clean: {topics: endpoint}}]",
            "topics is 'endpoint'; allowed: with `base_url` and `model`",
        ),
        (
            "source: q.jsonl\nout: b\nsteps: [{clean: {topics: endpoint, model: m, base_url: 'http://far.example/v1'}}]",
            "yes is False; allowed: true, since what users say would be sent to http://far.example/v1",
        ),
        ("source: q.jsonl\nout: b\nsteps: [{review: {sample: lots}}]", "sample is 'lots'; allowed: a valid number"),
        (
            "source: q.jsonl\nout: b\nsteps: [{rewrite: {model: 5, base_url: x}}]",
            "model is 5; allowed: a valid string",
        ),
        ("source: q.jsonl\nout: b\nsteps: [{rewrite: {price: 'm=1,2'}}]", "base_url is missing"),
        ("source: q.jsonl\nout: b\nsteps: [{rewrite: {max_cost: '5'}}]", "base_url is missing"),
        ("source: q.jsonl\nout: b\nsteps: [{rewrite: {models: m}}]", "base_url is missing"),
        ("source: q.jsonl\nout: b\nsteps: [{stats: {font: 5}}]", "font is 5; allowed: .* path"),
        (
            "source: q.jsonl\nout: b\nsteps: [clean, {build: {x: 1}}]",
            "p.yaml: build: option 'x' is unknown; allowed: none",
        ),
        ("source: q.jsonl\nout: b\nsteps: [rewrite]", "rewrite: base_url is missing"),
        ("source: q.jsonl\nout: b\nsteps: [{rewrite: {model: m}}]", "rewrite: base_url is missing"),
        (
            "source: q.jsonl\nout: b\nsteps: [{rewrite: {model: m, base_url: 'http://far.example/v1'}}]",
            "yes is False; allowed: true, since questions with answers would be sent to http://far.example/v1",
        ),
        ("source: q.jsonl\nout: b\nsteps:", "steps is a list"),
        ("source: 5\nout: b\nsteps: []", "source and out are paths"),
        ("source: none.jsonl\nout: b\nsteps: [clean]", "no such file"),
    ],
)
def test_broken_plans(tmp_path, text, message):
    write_lines(tmp_path / "q.jsonl", [{"id": 1, "question": "问", "answer": "答"}])
    (tmp_path / "p.yaml").write_text(text)
    with pytest.raises((ValueError, OSError), match=message):
        run_pipeline(tmp_path / "p.yaml")


def test_a_plan_of_another_encoding_is_named(tmp_path):
    (tmp_path / "p.yaml").write_text("source: 问答.jsonl", encoding="gbk")
    with pytest.raises(ValueError, match=r"p\.yaml: byte 8 is no UTF-8; allowed: YAML in UTF-8"):
        run_pipeline(tmp_path / "p.yaml")


def test_the_command_line_says_what_each_step_did(replayed, endpoint):
    (replayed / "short.yaml").write_text("source: questions.jsonl\nout: corpus\nsteps: [clean]")
    result = CliRunner().invoke(app, ["corpus", "run", str(replayed / "short.yaml")])
    assert result.exit_code == 0, result.output
    assert f"read {COUNT}" in result.output


def test_a_style_card_waits_for_a_person_and_is_used_by_the_rewriting_after_it(endpoint, make_questions, tmp_path):
    make_questions(3, client={"age": 20})
    write_lines(tmp_path / "cases.jsonl", [make_case("1")])
    endpoint.answer = lambda content, model: orjson.dumps(PARTS).decode() if "【案例 1】" in content else dialogue(4)
    models = f"base_url: '{endpoint.base_url}', model: m"
    style = f"{{style: {{cases: cases.jsonl, counsellor: lin, {models}}}}}"
    plan = f"source: questions.jsonl\nout: corpus\nsteps: [{style}, {{rewrite: {{prompt: psydt, {models}}}}}, build]"
    (tmp_path / "p.yaml").write_text(plan)
    folder = tmp_path / "corpus" / "1-style"
    for _ in range(2):
        with pytest.raises(ValueError, match=r"card waits for people: read .*draft\.yaml, .* as .*style\.yaml, then"):
            run_pipeline(tmp_path / "p.yaml")
    assert len(endpoint.contents) == 1
    edited = (folder / "draft.yaml").read_text().replace("认知行为疗法", "叙事")
    (folder / "style.yaml").write_text(edited)
    reports = run_pipeline(tmp_path / "p.yaml")
    assert reports["1-style"] == {"counsellor": "lin"}
    assert reports["2-rewrite"]["accepted"] == 3
    assert len(endpoint.contents) == 4
    assert "疗法：叙事" in endpoint.contents[1]
    assert "用户：我睡不着\n心理咨询师：嗯，我在听。" in endpoint.contents[1]  # of the case
    paths = (folder.parent / "3-build/data").glob("turns-*")
    rows = [row for path in paths for row in pq.read_table(path).to_pylist()]
    assert {(row["counsellor"], row["client"]["age_group"]) for row in rows} == {("lin", "18-25")}
    (folder / "style.yaml").write_text(edited.replace("叙事", "格式塔"))
    run_pipeline(tmp_path / "p.yaml")
    assert len(endpoint.contents) == 7  # an edited card is another style


def test_a_style_step_without_cases_or_with_a_broken_card(tmp_path):
    write_lines(tmp_path / "questions.jsonl", [{"id": 1, "question": "问", "answer": "答"}])
    models = "base_url: 'http://127.0.0.1:9', model: m"
    plan = "source: questions.jsonl\nout: corpus\nsteps: [{style: {%s}}]"
    (tmp_path / "p.yaml").write_text(plan % models)
    with pytest.raises(ValueError, match="style: cases is missing; allowed: a value"):
        run_pipeline(tmp_path / "p.yaml")
    (tmp_path / "p.yaml").write_text(plan % f"cases: cases.jsonl, {models}")
    with pytest.raises(FileNotFoundError, match="no such file"):
        run_pipeline(tmp_path / "p.yaml")
    write_lines(tmp_path / "cases.jsonl", [{"id": "1", "messages": [{"role": "user", "content": "一"}]}])
    with pytest.raises(ValueError, match="consent of case '1' is None; allowed: true"):
        run_pipeline(tmp_path / "p.yaml")
    (tmp_path / "corpus/1-style").mkdir(parents=True)
    (tmp_path / "corpus/1-style/style.yaml").write_text("counsellor: lin\n")
    with pytest.raises(ValueError, match=r"style .*style\.yaml: opens is missing"):
        run_pipeline(tmp_path / "p.yaml")


CLIENT = {"age": 20, "gender": "女", "about": "手机13912345678"}
KEPT = {"age_group": "18-25", "gender": "female", "about": "手机[phone]"}


def make_talk(number: int) -> dict:
    """Every other one states client and counsellor."""
    said = [
        ("system", "你是"),
        ("user", f"我很累，这是第{number * 7}天了，怎么办"),
        ("assistant", f"听起来第{number}天压力很大"),
    ]
    stated = {"client": CLIENT, "counsellor": "lin"} if number % 2 else {"client": None}
    return {"id": str(number), "messages": [{"role": role, "content": text} for role, text in said]} | stated


def test_client_and_counsellor_pass_every_step(tmp_path):
    """Cleaned, edited by a reviewer, described, built, and loaded as a whole and as a stream."""
    write_lines(tmp_path / "conversations.jsonl", map(make_talk, range(80)))
    clean, review = "{clean: {actions: {near_duplicate: off}}}", "{review: {flagged: false, sample: 1.0, shared: 0.0}}"
    plan = f"source: conversations.jsonl\nout: corpus\nsteps: [{clean}, {review}, stats, build]"
    (tmp_path / "p.yaml").write_text(plan)
    with pytest.raises(ValueError, match="decisions wait"):
        run_pipeline(tmp_path / "p.yaml")
    store = ReviewStore(tmp_path / "corpus/2-review/review.sqlite")
    while item := store.claim("r1"):
        edited = apply_edit(item.record, "用户：我改过\n心理咨询师：好的") if item.id == "1" else None
        store.decide("r1", item.id, "edit" if edited else "keep", "", edited)
    reports = run_pipeline(tmp_path / "p.yaml")
    assert reports["1-clean"]["steps"]["privacy"] == {"mask": {"phone": 40}}
    people = {"source": {"record": 40}, "age_group": {"18-25": 40}, "gender": {"female": 40}}
    assert reports["3-stats"]["clients"] == people
    assert reports["3-stats"]["counsellors"] == {"lin": 40}

    data = tmp_path / "corpus/4-build/data"
    paths = {split: str(data / f"conversations-{split}.parquet") for split in SPLITS}
    expected = {str(n): (dict.fromkeys(CLIENT_FIELDS) | KEPT, "lin") if n % 2 else (None, None) for n in range(80)}
    for streaming in (False, True):
        loaded = load_dataset(
            "soulchatcorpus", "conversations", data_files=paths, streaming=streaming, cache_dir=str(tmp_path / "cache")
        )
        rows = [row for split in SPLITS for row in loaded[split]]
        assert {row["id"]: (row["client"], row["counsellor"]) for row in rows} == expected
    assert next(row for row in rows if row["id"] == "1")["messages"][1]["content"] == "我改过"
    turns = load_dataset("parquet", data_files=str(data / "turns-train.parquet"), cache_dir=str(tmp_path / "cache"))
    assert {name: turns["train"].features[name] for name in PEOPLE} == PEOPLE
    for row in turns["train"]:
        assert (row["client"], row["counsellor"]) == expected[row["conversation_id"]]


def test_the_second_of_two_is_told_that_the_pipeline_is_at_work(replayed, endpoint):
    """Not only while both are at the same step."""
    with (
        working_in(replayed / "corpus", "soulchat corpus run"),
        pytest.raises(OSError, match=r"corpus is in use by soulchat corpus run \(process \d+ on "),
    ):
        run_pipeline(replayed / "pipeline.yaml")
    assert not endpoint.asked
    assert not (replayed / "corpus").exists()
