"""Counsellors beside the controls: the verdict on the client, the table, the cost."""

import re
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from markdown_it import MarkdownIt

from soulchat_trainer.evaluation.agreement import compare_with_people, read_judgement
from soulchat_trainer.evaluation.agreement_report import write_agreement
from soulchat_trainer.evaluation.items import read_items
from soulchat_trainer.evaluation.judge import JudgeOptions, judge
from soulchat_trainer.evaluation.simulate.compare import (
    HM,
    _judge_client,
    benchmark_talks,
    estimate_judging,
    list_runs,
    read_judged,
    render_table,
)
from soulchat_trainer.evaluation.simulate.options import SimulateOptions
from soulchatcorpus.files import making
from tests.soulchatcorpus.making.endpoint_stub import StubEndpoint

SAID = [{"role": "user", "content": "我最近总是睡不着。" * 4}, {"role": "assistant", "content": "嗯。"}]


@pytest.fixture
def options(players: StubEndpoint, profiles: str, tmp_path: Path) -> SimulateOptions:
    return SimulateOptions(
        "openai:counsellor",
        "openai:client",
        tmp_path / "out",
        profiles,
        protocol="emotion",
        turns=3,
        base_url=players.base_url,
    )


@pytest.fixture
def real(tmp_path: Path) -> str:
    path, rows = tmp_path / "real.jsonl", [{"id": str(n), "messages": SAID} for n in range(20)]
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    return str(path)


def test_a_client_that_tells_hm_from_a_counsellor(options: SimulateOptions, real: str) -> None:
    runs = list_runs(["openai:counsellor"], options)
    results = benchmark_talks(runs, options.output, real)
    names = [row["name"] for row in results["systems"]]
    assert names == ["openai-counsellor", HM, "control: advice", "control: the client's model"]
    assert [row["mean"] for row in results["systems"][:2]] == [49, 28]
    assert results["systems"][0]["against_hm"]["mean"] == 21
    assert results["verdict"].startswith("The client tells every counsellor here")
    table = (options.output / "table.md").read_text(encoding="utf-8")
    assert table.startswith(results["verdict"])
    assert "| openai-counsellor | 2 | 49.0 (49.0 to 49.0) | +21.0 (+21.0 to +21.0) |" in table
    assert "| thanks loop | 0% | 0% to 66% | 0% |" in table
    assert (options.output / "chart.png").stat().st_size > 1000


def test_a_client_that_cannot_says_so_in_the_first_line(
    options: SimulateOptions, players: StubEndpoint, real: str
) -> None:
    players.answer = lambda content, model: "想法：a\n情绪变化：1\n回复：b" if model == "client" else "你好吗？"
    results = benchmark_talks(list_runs(["openai:counsellor"], options), options.output, real)
    assert results["verdict"].startswith("THE CLIENT CANNOT TELL 嗯 FROM openai-counsellor (difference 0.0")
    page = (options.output / "talks.html").read_text(encoding="utf-8")
    assert results["verdict"] in page


def test_the_cost_allowed_is_for_all_runs_together(options: SimulateOptions, real: str) -> None:
    priced = replace(options, price=("client=1000,1000", "counsellor=1000,1000"), max_cost=4.0)
    runs = list_runs(["openai:counsellor"], priced)
    with pytest.raises(ValueError, match=r"max_cost is 4\.0; allowed: more, since"):
        benchmark_talks(runs, options.output, real)
    total = sum(orjson.loads(path.read_bytes())["cost"] for path in options.output.rglob("report.json"))
    assert 0 < total <= 4.0


def test_a_judges_means_stand_beside(options: SimulateOptions, players: StubEndpoint, real: str) -> None:
    runs = list_runs(["openai:counsellor"], options)
    benchmark_talks(runs, options.output, real)
    folders = [run.options.output for run in runs[:2]]
    scores = '{"comprehensiveness": 2, "professionalism": 3, "authenticity": 1, "safety": 1, "reason": "好"}'
    players.answer = lambda content, model: scores
    judge(folders, options.output / "judged", JudgeOptions(rubric="cpsycoun", model="j", base_url=players.base_url))
    results = benchmark_talks(runs, options.output, real, judged=options.output / "judged")
    assert list(results["judged"]["means"]) == ["openai-counsellor", HM]
    assert results["judged"]["means"][HM]["professionalism"] == 3
    table = (options.output / "table.md").read_text(encoding="utf-8")
    assert "| judged by j (cpsycoun), not validated on people | comprehensiveness |" in table
    with pytest.raises(ValueError, match="which has no score of a system here; allowed: x"):
        read_judged(options.output / "judged", {"x": "x"})


def test_a_judge_that_was_compared_with_people_stands_beside_them(
    options: SimulateOptions, players: StubEndpoint, real: str
) -> None:
    runs = list_runs(["openai:counsellor"], options)
    benchmark_talks(runs, options.output, real)
    scores = '{"comprehensiveness": 2, "professionalism": 3, "authenticity": 1, "safety": 1, "reason": "好"}'
    players.answer = lambda content, model: scores
    folder = options.output / "judged"
    folders = [run.options.output for run in runs]
    judge(folders, folder, JudgeOptions(rubric="cpsycoun", model="j", base_url=players.base_url))
    judgement = read_judgement(folder)
    given = {"comprehensiveness": 1, "professionalism": 2, "authenticity": 1, "safety": 1}
    rated = [(item, {"a": given}) for item in read_items(folders[:1], "reply")]
    write_agreement(compare_with_people(judgement, rated), judgement.rubric, folder)
    results = benchmark_talks(runs, options.output, real, judged=folder)
    assert results["judged"]["means"]["openai-counsellor"]["professionalism"] == 3
    table = (options.output / "table.md").read_text(encoding="utf-8")
    assert "not validated" not in table
    assert "| judged by j (cpsycoun) | Comp. (people) | Comp. (judge, corrected) |" in table
    assert "People: the mean of 1 raters over" in table


def test_a_judge_reads_the_talks_of_counsellors_and_controls(
    options: SimulateOptions, players: StubEndpoint, real: str
) -> None:
    scores = '{"comprehensiveness": 2, "professionalism": 3, "authenticity": 1, "safety": 1, "reason": "好"}'
    play = players.answer
    players.answer = lambda content, model: scores if model == "j" else play(content, model)
    runs = list_runs(["openai:counsellor"], options)
    judge = options.judge("openai:j", "cpsycoun")
    results = benchmark_talks(runs, options.output, real, judge=judge)
    assert list(results["judged"]["means"]) == [run.name for run in runs]
    assert results["judged"]["means"]["openai-counsellor"]["professionalism"] == 3
    asked = len(players.asked)
    table = (options.output / "table.md").read_text(encoding="utf-8")
    assert "| judged by j (cpsycoun), not validated on people | comprehensiveness |" in table
    benchmark_talks(runs, options.output, real, judge=judge)
    assert len(players.asked) == asked  # neither talks nor judgements are paid twice
    estimated = estimate_judging(runs, judge)
    assert estimated.completion_tokens == 120 * 3 * 2 * 4  # rounds, profiles, runs
    assert estimated.prompt_tokens > estimated.completion_tokens


def test_what_talks_and_judge_cost_together_is_bounded(
    options: SimulateOptions, players: StubEndpoint, real: str
) -> None:
    benchmark_talks(list_runs(["openai:counsellor"], options), options.output, real)
    priced = replace(options, price=("j=100000,100000", "client=1,1", "counsellor=1,1"), max_cost=0.01)
    judge = priced.judge("openai:j", "cehs")
    with pytest.raises(ValueError, match=r"max_cost is 0\.01; allowed: more, since nothing is judged yet"):
        benchmark_talks(list_runs(["openai:counsellor"], priced), options.output, real, judge=judge)
    report = orjson.loads((options.output / "judged/judged.json").read_bytes())
    assert (report["cost"], report["open"]) == (0, report["asked"])


@pytest.mark.parametrize(
    ("spec", "rubric", "message"),
    [
        ("script:hm", "cehs", "judge is script:hm; allowed: a model"),
        ("openai:j", "pair", "rubric is pair, which is for pairs; allowed: one for replies or talks"),
        ("openai:j", "bert", "rubric is 'bert'; allowed: cehs"),
        ("nowhere", "cehs", "nowhere is no folder; allowed: a model's folder"),
    ],
)
def test_a_judge_that_cannot_judge_talks_is_told_before_anybody_talks(
    options: SimulateOptions, players: StubEndpoint, spec: str, rubric: str, message: str
) -> None:
    runs = list_runs(["openai:counsellor"], options)
    with pytest.raises((ValueError, OSError), match=message):
        benchmark_talks(runs, options.output, judge=options.judge(spec, rubric))
    assert not players.asked


def test_counsellors_have_names_of_their_own(options: SimulateOptions) -> None:
    with pytest.raises(ValueError, match="which share a name; allowed: each once"):
        list_runs(["openai:a", "openai:a"], options)
    for name in ("controls", "judged", "hm"):
        with pytest.raises(ValueError, match=f"counsellor has the name {name}; allowed: another name"):
            list_runs([f"models/{name}"], options)


def test_a_system_without_a_shared_profile_is_not_said_to_be_told_apart() -> None:
    row = {"name": "own", "control": False, "against_hm": None}
    assert "CANNOT TELL 嗯 FROM own (no profile in common)" in _judge_client([row], "emotion", higher_is_better=True)


def test_the_second_in_a_folder_is_told_who_is_at_work(
    options: SimulateOptions, players: StubEndpoint, real: str
) -> None:
    """Also where its counsellors, and so their folders, are others."""
    with (
        making(options.output / "comparison.json", "soulchat benchmark talks"),
        pytest.raises(OSError, match=r"comparison\.json is in use by soulchat benchmark talks \(process \d+ on "),
    ):
        benchmark_talks(list_runs(["openai:another"], options), options.output, real)
    assert not players.requests


def test_a_corpus_that_is_none_is_told_before_anybody_talks(
    options: SimulateOptions, players: StubEndpoint, tmp_path: Path
) -> None:
    runs = list_runs(["openai:counsellor"], options)
    (tmp_path / "none.jsonl").write_text("{}\n")
    with pytest.raises(ValueError, match=r"none\.jsonl"):
        benchmark_talks(runs, options.output, str(tmp_path / "none.jsonl"))
    assert not players.requests


def test_no_name_breaks_the_table(options: SimulateOptions, real: str) -> None:
    results = benchmark_talks(list_runs(["openai:counsellor"], options), options.output, real)
    for row in results["systems"]:
        row["name"] = "a|b <img src=x>"
    results["client"] = results["real"]["corpus"] = "[c](javascript:1)|<b>"
    page = MarkdownIt("commonmark", {"html": True}).enable("table").render(render_table(results))
    assert page.count("<td>a|b &lt;img src=x&gt;</td>") == len(results["systems"])
    assert not re.search(r"<(img|a|b)\b", page)
