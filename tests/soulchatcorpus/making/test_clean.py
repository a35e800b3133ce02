"""The cleaning: every step's reasons, what is kept beside the output, duplicates, and the same result in parts."""

import orjson
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from soulchat.cli import app
from soulchatcorpus.files import write_lines
from soulchatcorpus.making.clean import clean
from soulchatcorpus.making.options import ACTIONS, CleanOptions
from tests.paths import ROOT

LONG = "我最近和家里人吵架，心里很难受，想找人说说话。"


def question(text: str = LONG, answer: str = "先别急，慢慢说给我听。", id_: object = 1, **more) -> dict:
    return {"id": id_, "question": text, "answer": answer, **more}


def conversation(*contents: str, id_: object = 1) -> dict:
    roles = ("user", "assistant")
    return {"id": id_, "messages": [{"role": roles[n % 2], "content": text} for n, text in enumerate(contents)]}


@pytest.fixture
def run(tmp_path):
    """Clean some records; returns the report, the kept and the dropped."""

    def run(*records: dict, **options):
        write_lines(tmp_path / "in.jsonl", records)
        out = tmp_path / "out"
        options = {"topics": "none"} | options
        report = clean(tmp_path / "in.jsonl", out, CleanOptions(**options))
        kept, dropped = (
            [orjson.loads(line) for line in (out / name).read_bytes().splitlines()]
            for name in (f"{report['kind']}.jsonl", "dropped.jsonl")
        )
        assert not (out / ".clean").exists()
        return report, kept, dropped

    return run


NO_NEAR = {"near_duplicate": "off"}


@pytest.mark.parametrize(
    ("record", "step", "reason", "options"),
    [
        (question("短", "短"), "length", "too_short", {}),
        (question("长" * 300), "length", "too_long", {"max_characters": 200}),
        (question("I feel very sad and lonely these days."), "language", "not_zh", {"language": "zh"}),
        (question(), "language", "not_en", {"language": "en"}),
        (question("私は最近とても悲しいです。毎日泣いています。"), "language", "not_zh", {"language": "zh"}),
        (conversation(*["你好，请说。"] * 8), "repetition", "same_messages", {}),
        (question("我很烦。" * 200), "repetition", "same_phrases", {}),
        (question(answer="作为一个人工智能语言模型，我没有感情，请见谅。"), "refusal", "作为一个人工智能", {}),
        (question(answer="I’m sorry, but I can’t help you there."), "refusal", "I’m sorry, but I can", {}),
    ],
)
def test_dropped_with_a_reason(run, record, step, reason, options):
    report, kept, dropped = run(record, actions=NO_NEAR, **options)
    assert kept == []
    assert [(row["id"], row["step"], row["reason"]) for row in dropped] == [("1", step, reason)]
    assert dropped[0]["record"]["id"] == "1"
    assert report["steps"][step]["drop"][reason] == 1
    assert (report["read"], report["kept"], report["dropped"]) == (1, 0, 1)


def test_special_strings_flag_with_their_place_by_default(run):
    record = conversation(LONG, "你好。\n我是咨询师，你说过想跳楼吗？")
    report, kept, _ = run(record, actions=NO_NEAR)
    special = [flag for flag in kept[0]["flags"] if flag["step"] == "special"]
    assert special == [
        {"step": "special", "reason": "我是", "passage": 1, "start": 4, "end": 6},
        {"step": "special", "reason": "跳楼", "passage": 1, "start": 14, "end": 16},
    ]
    assert report["steps"]["special"]["flag"] == {"我是": 1, "跳楼": 1}


def test_a_step_does_what_it_is_told(run):
    _, kept, dropped = run(question("我是一个学生，" + LONG), actions={"special": "drop", **NO_NEAR})
    assert (len(kept), dropped[0]["reason"]) == (0, "我是")
    _, kept, dropped = run(question("我是一个学生，" + LONG), actions={"special": "off", **NO_NEAR})
    assert "flags" not in kept[0]


def test_a_refusal_is_the_counsellor_s_only(run):
    _, kept, _ = run(question("作为一个人工智能专业的学生，我无法回答这个问题，很难过。"), actions=NO_NEAR)
    assert len(kept) == 1


def test_private_details_are_masked_passage_by_passage(run):
    record = conversation("我的电话是13812345678\n请回电。", "好的", "邮箱a.b@example.com，" + LONG, "收到\n\n谢谢")
    report, kept, _ = run(record, actions=NO_NEAR)
    assert [m["content"] for m in kept[0]["messages"]] == [
        "我的电话是[phone]\n请回电。",
        "好的",
        "邮箱[email]，" + LONG,
        "收到\n\n谢谢",
    ]
    assert report["steps"]["privacy"]["mask"] == {"phone": 1, "email": 1}


def test_masking_leaves_every_word_with_who_said_it(run):
    """A number at the end of a message and one at the start of the next are two."""
    texts = ["我的QQ：123456789", "1. 首先，" + LONG, "我的卡是6222021234567894", "2. 然后，" + LONG]
    _, kept, _ = run(conversation(*texts), actions=NO_NEAR)
    assert [m["content"] for m in kept[0]["messages"]] == [
        "我的QQ：[handle]",
        texts[1],
        "我的卡是[bank_card]",
        texts[3],
    ]


def test_private_details_flagged_for_a_person(run):
    _, kept, _ = run(question("我的电话是13812345678，" + LONG), actions={"privacy": "flag", **NO_NEAR})
    assert kept[0]["question"].startswith("我的电话是13812345678")
    assert {"step": "privacy", "reason": "phone", "passage": 0, "start": 5, "end": 16} in kept[0]["flags"]


def test_crisis_is_a_label(run):
    _, kept, _ = run(
        question("我真的不想活了，" + LONG), question(id_=2), actions={"exact_duplicate": "off", **NO_NEAR}
    )
    assert kept[0]["labels"] == {"crisis": "suicide"}
    assert "labels" not in kept[1]
    _, kept, _ = run(question("我真的不想活了，" + LONG), actions={"crisis": "flag", **NO_NEAR})
    assert [flag["start"] for flag in kept[0]["flags"] if flag["step"] == "crisis"] == [3]


def test_topics_are_filled_and_kept(run):
    records = (
        question("婆婆总是和我吵架，" + LONG, id_=1),
        question(id_=2, topic="职场"),
        question("今天" * 20, id_=3),
    )
    _, kept, _ = run(*records, actions={"repetition": "off", **NO_NEAR}, topics="words")
    assert [record["topic"] for record in kept] == ["家庭", "职场", None]
    _, kept, _ = run(*records, actions={"repetition": "off", **NO_NEAR}, topics="none")
    assert "topic" not in kept[2]


def test_unknown_topics(run):
    with pytest.raises(ValueError, match="record 1: topic is 'depression'; allowed: 家庭"):
        run(question(topic="depression"))
    _, kept, _ = run(question(topic="depression"), unknown_topics="relabel", topics="words")
    assert (kept[0]["topic"], kept[0]["source_topic"]) == ("家庭", "depression")


def dialogues(count: int) -> list[dict]:

    path = ROOT / "soulchatcorpus" / "data" / "conversations-train.parquet"
    rows = pq.read_table(path).slice(0, count).to_pylist()
    return [{"id": row["id"], "messages": row["messages"]} for row in rows]


@pytest.mark.parametrize("tasks", [1, 3])
def test_exact_and_near_duplicates(run, tasks):
    originals = dialogues(40)
    same = [{**record, "id": f"same-{record['id']}"} for record in originals[:5]]
    near = []
    for record in originals[5:15]:
        messages = [dict(message) for message in record["messages"]]
        messages[-1]["content"] += "嗯。"
        near.append({"id": f"near-{record['id']}", "messages": messages})
    report, kept, dropped = run(*originals, *same, *near, tasks=tasks)
    found = {step: {row["id"].removeprefix("near-") for row in dropped if row["step"] == step} for step in ACTIONS}
    assert {row["id"] for row in dropped if row["step"] == "exact_duplicate"} == {record["id"] for record in same}
    assert found["near_duplicate"] == {str(record["id"]) for record in originals[5:15]}
    assert len(kept) == 40
    assert report["dropped"] == 15


def test_answers_to_one_long_question_are_no_near_duplicates(run):
    said = ["".join(message["content"] for message in record["messages"]) for record in dialogues(40)]
    asked = said[0][:400]
    answers = [question(asked, text[:100], id_=f"a{n}") for n, text in enumerate(said[1:])]
    near = [{**record, "id": f"near-{record['id']}", "answer": record["answer"] + "嗯。"} for record in answers[:10]]
    _, kept, dropped = run(*answers, *near)
    assert len(kept) == 39
    assert {row["id"].removeprefix("near-") for row in dropped} == {record["id"] for record in answers[:10]}


def test_a_stopped_run_goes_on(run, tmp_path, monkeypatch):
    from soulchatcorpus.making import clean as module

    write_lines(tmp_path / "in.jsonl", dialogues(10))
    finished: list[str] = []
    original = module.run_locally

    def stop_at_pairs(stage, work, workers=1):
        if stage[0] == "pairs" and not finished.count("stopped"):
            finished.append("stopped")
            raise KeyboardInterrupt
        finished.append(stage[0])
        original(stage, work, workers)

    monkeypatch.setattr(module, "run_locally", stop_at_pairs)
    options = CleanOptions()
    with pytest.raises(KeyboardInterrupt):
        clean(tmp_path / "in.jsonl", tmp_path / "out", options)
    assert not (tmp_path / "out" / "conversations.jsonl").exists()
    part = tmp_path / "out" / ".clean" / "rules" / "kept-00000.jsonl"
    before = part.stat().st_mtime_ns
    report = None
    monkeypatch.setattr(
        module, "_join", lambda parts, path, join=module._join: (check_untouched(part, before), join(parts, path))[1]
    )
    report = clean(tmp_path / "in.jsonl", tmp_path / "out", options)
    assert report["kept"] == 10


def check_untouched(part, before: int) -> None:
    assert part.stat().st_mtime_ns == before


def test_the_result_of_another_source_is_not_replaced(tmp_path):
    first, other, out = tmp_path / "a.jsonl", tmp_path / "b.jsonl", tmp_path / "out"
    write_lines(first, dialogues(3))
    write_lines(other, [question(id_=7)])
    clean(first, out, CleanOptions())
    before = {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()}
    with pytest.raises(
        FileExistsError, match=r"conversations\.jsonl already exists; allowed: another folder, or `over"
    ):
        clean(other, out, CleanOptions())
    assert {path.name: path.read_bytes() for path in out.iterdir() if path.is_file()} == before
    write_lines(first, dialogues(4))
    assert clean(first, out, CleanOptions(language="zh"))["read"] == 4, "the same source, changed, with other options"
    assert clean(other, out, CleanOptions(), overwrite=True)["kept"] == 1
    assert not (out / "conversations.jsonl").exists(), "the next step would read it"
    assert str(tmp_path) not in (out / "report.json").read_text()


def test_records_that_nobody_cleaned_are_not_replaced(tmp_path):
    write_lines(tmp_path / "a.jsonl", dialogues(3))
    write_lines(tmp_path / "conversations.jsonl", dialogues(2))
    with pytest.raises(FileExistsError, match=r"conversations\.jsonl already exists; allowed: another folder"):
        clean(tmp_path / "a.jsonl", tmp_path, CleanOptions())
    with pytest.raises(ValueError, match=r"the result would replace .* its source"):
        clean(tmp_path / "conversations.jsonl", tmp_path, CleanOptions(), overwrite=True)
    write_lines(tmp_path / "conversations.jsonl", [question()])
    with pytest.raises(ValueError, match=r"the result would replace .* its source"):
        clean(tmp_path / "conversations.jsonl", tmp_path, CleanOptions(), overwrite=True)


def test_killed_while_it_tidies_up_it_is_done_anew(run, tmp_path, monkeypatch):
    """What is left of the folder of parts then is not the work of a stopped run."""
    from soulchatcorpus.making import clean as module

    def killed(work, **_: object) -> None:
        if (work / "clean").exists():
            rmtree(work / "rules")
            rmtree(work / "clean")
            raise KeyboardInterrupt

    rmtree = module.shutil.rmtree
    write_lines(tmp_path / "in.jsonl", dialogues(10))
    monkeypatch.setattr(module.shutil, "rmtree", killed)
    with pytest.raises(KeyboardInterrupt):
        clean(tmp_path / "in.jsonl", tmp_path / "out", CleanOptions())
    monkeypatch.setattr(module.shutil, "rmtree", rmtree)
    assert clean(tmp_path / "in.jsonl", tmp_path / "out", CleanOptions())["kept"] == 10


def test_the_command(tmp_path):
    write_lines(tmp_path / "in.jsonl", [question(), question("短", "短", id_=2)])
    command = [
        "corpus",
        "clean",
        str(tmp_path / "in.jsonl"),
        "--out",
        str(tmp_path / "out"),
        "--action",
        "near_duplicate=off",
    ]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert "2 read, 1 kept, 1 dropped" in result.output
    assert "length (drop): too_short 1" in result.output
