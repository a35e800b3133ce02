"""Two runs at once in one folder: every step of making says who is at work there, and changes nothing."""

import pytest

from soulchatcorpus.files import working_in, write_lines
from soulchatcorpus.making.build import build
from soulchatcorpus.making.clean import clean
from soulchatcorpus.making.figures import write_statistics
from soulchatcorpus.making.options import CleanOptions, ReviewOptions, RewriteOptions, StatsOptions
from soulchatcorpus.making.review import ReviewStore
from soulchatcorpus.making.rewrite import rewrite

MESSAGES = [
    {"role": "user", "content": "最近总是睡不好，怎么办才好呢？"},
    {"role": "assistant", "content": "听起来你很累。"},
]


def run(step, source, out, endpoint):
    if step == "clean":
        return clean(source, out, CleanOptions())
    if step == "build":
        return build(source, out)
    if step == "stats":
        return write_statistics(source, out, StatsOptions())
    if step == "review":
        return ReviewStore(out / "review.sqlite").fill(source, ReviewOptions())
    return rewrite(source, out, RewriteOptions(base_url=endpoint.base_url, model="stub"))


@pytest.mark.parametrize("step", ["clean", "build", "stats", "review", "rewrite"])
def test_the_second_is_told_who_is_at_work(tmp_path, endpoint, make_questions, step):
    write_lines(tmp_path / "conversations.jsonl", [{"id": "1", "messages": MESSAGES}])
    (tmp_path / "out").mkdir()
    source = make_questions(3) if step == "rewrite" else tmp_path / "conversations.jsonl"
    with (
        working_in(tmp_path / "out", "soulchat corpus clean"),
        pytest.raises(OSError, match=r"out is in use by soulchat corpus clean \(process \d+ on "),
    ):
        run(step, source, tmp_path / "out", endpoint)
    assert not endpoint.asked
    assert not [path for path in (tmp_path / "out").iterdir() if path.suffix in (".jsonl", ".json", ".parquet")]


def test_what_another_version_left_is_not_gone_on_with(tmp_path):
    write_lines(tmp_path / "conversations.jsonl", [{"id": "1", "messages": MESSAGES}])
    (tmp_path / "out" / ".clean" / "logs" / "rules" / "completions").mkdir(parents=True)
    (tmp_path / "out" / ".clean" / "state").write_bytes(b"[]")
    (tmp_path / "out" / ".clean" / "logs" / "rules" / "completions" / "00000").touch()
    assert clean(tmp_path / "conversations.jsonl", tmp_path / "out", CleanOptions())["kept"] == 1
