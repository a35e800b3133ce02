import time

import pytest

from soulchatcorpus.reading.corpus import read_corpus
from soulchatcorpus.reading.json_stream import CorpusError
from soulchatcorpus.reading.roles import find_role
from soulchatcorpus.reading.transcripts import read_line, read_transcript


@pytest.mark.parametrize(
    ("line", "role"),
    [
        ("系统：你是咨询师", "system"),
        ("来访者2：我也是", "user"),
        ("来访者（王女士）：我也是", "user"),
        ("**心理咨询师**：怎么了？", "assistant"),
        ("**心理咨询师：** 怎么了？", "assistant"),
        ("　　心理咨询师：怎么了？", "assistant"),
        ("【咨询师】：怎么了？", "assistant"),
        ("【咨询师】怎么了？", "assistant"),
        ("[来访者] 好", "user"),
        ("<心理咨询师>: 嗯", "assistant"),
        ("[拥抱] 来访者", None),
        ("- Client: hello", "user"),
        ("求助者: 累", "user"),
        ("支持者 ：嗯", "assistant"),
        ("AI：嗯", "assistant"),
        ("1. 来访者：好", "user"),
        ("[20:03] 来访者：好", "user"),
        ("2024-05-01 20:03:11 咨询师：好", "assistant"),
        ("2024年5月1日 来访者：好", "user"),
        ("3个来访者：好", None),
        ("（来访者：哭）", None),
        ("建议：先睡觉", None),
        ("用户体验：很好", None),
        ("我是用户", None),
    ],
)
def test_a_speaker_s_line(line, role):
    found = read_line(line)
    assert (found["role"] if found else None) == role


@pytest.mark.parametrize(
    "line",
    [
        "旁白：她哭了",
        "母亲：别说了",
        "王女士：我也是",
        "督导：停一下",
        "Speaker 2: hm",
        "2. 旁白：嗯",
        "小王：嗯",
        "林夏：嗯",
        "Lily: hi",
    ],
)
def test_another_speaker_is_refused(tmp_path, line):
    (tmp_path / "a.txt").write_text(f"来访者：我很累\n{line}\n咨询师：怎么了？\n")
    with pytest.raises(CorpusError, match=r"a\.txt: record 1: line 2 is of another speaker, .*; allowed: 用户："):
        list(read_corpus(tmp_path / "a.txt"))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "gbk"])
def test_a_line_without_a_speaker_goes_on_with_the_message(tmp_path, encoding):
    text = "来访者：我很累\r\n建议：没有\r\n\r\n咨询师：怎么了？\r\n"
    (tmp_path / "a.txt").write_bytes(text.encode(encoding))
    (talk,) = read_corpus(tmp_path / "a.txt")
    assert [message["content"] for message in talk.messages] == ["我很累\n建议：没有", "怎么了？"]


@pytest.mark.parametrize("line", ["其实：我怕", "第一步：睡觉", "温馨提示：喝水", "常常：是的", "[1] 睡觉", "- AI"])
def test_a_word_before_a_colon_is_no_speaker(tmp_path, line):
    (tmp_path / "a.txt").write_text(f"来访者：我很累\n{line}\n咨询师：怎么了？\n")
    (talk,) = read_corpus(tmp_path / "a.txt")
    assert [message["content"] for message in talk.messages] == [f"我很累\n{line}", "怎么了？"]


@pytest.mark.parametrize(
    "text",
    [
        "来访者: 我很累\n咨询师： 怎么了？",
        "【来访者】我很累\n【咨询师】：怎么了？",
        "[20:03] 来访者：我很累\n[20:04] 咨询师：怎么了？",
        "来访者\n我很累\n\n咨询师\n怎么了？",
        "来访者 2024-05-01 20:03:11\n我很累\n咨询师 2024-05-01 20:04:02\n怎么了？",
        "**来访者（王女士）** 20:03\n我很累\n**咨询师** 20:04\n怎么了？",
        "2024-05-01 20:03:11 来访者\n我很累\n\n2024-05-01 20:04:02 咨询师\n怎么了？",
        "来访者 2024/5/1 20:03\n我很累\n咨询师 2024/5/1 20:04\n怎么了？",
        "来访者 2024年5月1日 晚上8:03\n我很累\n咨询师 2024年5月1日 晚上8:04\n怎么了？",
        "—————  2024-05-01  —————\n\n来访者  23:59\n\n我很累\n\n—————  2024-05-02  —————\n\n咨询师  00:01\n\n怎么了？",
    ],
)
def test_exports_of_chat_programs(tmp_path, text):
    (tmp_path / "a.txt").write_text(text)
    (talk,) = read_corpus(tmp_path / "a.txt")
    assert [tuple(message.values()) for message in talk.messages] == [("user", "我很累"), ("assistant", "怎么了？")]


@pytest.mark.parametrize(
    "head",
    [
        "2024-05-01 20:04:02 陈老师",
        "陈老师 2024/5/1 20:04",
        "陈老师  20:04",
        "Echo_Li  下午8:04",
        "阿 杰 2024年5月1日 20:04",
    ],
)
def test_a_name_above_a_message_is_refused(tmp_path, head):
    """Half of the names replaced: the counsellor's words would be the client's."""
    (tmp_path / "a.txt").write_text(f"来访者 2024/5/1 20:03\n我很累\n{head}\n怎么了？\n")
    with pytest.raises(CorpusError, match=r"line 3 is headed by '.*'; allowed in place of a name: 来访者 or 咨询师"):
        list(read_corpus(tmp_path / "a.txt"))


@pytest.mark.parametrize(
    "line",
    [
        "我们约 20:30",
        "明天下午 3:30 见",
        "2024-05-01 20:04",
        "从2024-05-01 20:04开始，每天如此",
        "—— 5月 ——",
        "7:30  20:30",
    ],
)
def test_a_line_with_a_time_is_part_of_its_message(tmp_path, line):
    (tmp_path / "a.txt").write_text(f"来访者：我很累\n{line}\n咨询师：怎么了？\n")
    (talk,) = read_corpus(tmp_path / "a.txt")
    assert [message["content"] for message in talk.messages] == [f"我很累\n{line}", "怎么了？"]


def test_a_text_that_is_no_dialogue_is_told_what_one_is(tmp_path):
    (tmp_path / "a.txt").write_text("今天下雨")
    with pytest.raises(CorpusError, match=r"a dialogue starts with one of 用户：, .*; found '今天下雨'"):
        list(read_corpus(tmp_path / "a.txt"))


def test_a_role_may_end_in_its_colon():
    assert [find_role(name) for name in ("咨询师：", " Client: ", "：", "师：")] == ["assistant", "user", None, None]


@pytest.mark.parametrize("line", ["来访者{}嗯", "旁白{}嗯", "来访者 2{}（王{}嗯", "{}来访者嗯", "1 {}来访者嗯"])
def test_a_line_of_blanks_is_read_at_once(line):
    text = f"来访者：我很累\n{line.replace('{}', ' ' * 5_000)}\n咨询师：怎么了？"
    started = time.process_time()
    [talk] = read_transcript(text, "1")
    assert time.process_time() - started < 2
    assert len(talk.messages) == 2


def test_a_role_may_begin_as_a_time_ends():
    assert read_line("1 Therapist: hello") == {"role": "assistant", "content": "hello"}
