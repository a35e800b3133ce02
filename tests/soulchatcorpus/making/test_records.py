"""Record files: what is read and refused."""

import pytest

from soulchatcorpus.files import write_lines
from soulchatcorpus.making.records import (
    find_file,
    passages,
    read_pipeline_records,
    set_passages,
    to_conversation,
    to_record,
)


def read(path, **more) -> list[dict]:
    return list(read_pipeline_records(path, **more))


def test_ids_are_strings_and_other_keys_stay(tmp_path):
    write_lines(tmp_path / "q.jsonl", [{"id": 7, "question": "问", "answer": "答", "question_id": 3, "topic": "成长"}])
    assert read(tmp_path / "q.jsonl") == [
        {"id": "7", "question": "问", "answer": "答", "question_id": 3, "topic": "成长发展"}
    ]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ('{"id": 1, "question": "问"}', "record 1 has .'id', 'question'.; allowed: id, question, answer"),
        ('{"id": 1, "question": "问", "answer": "答"}\n{"id": 2, "answer": "答"}', "record 2: no question"),
        (
            '{"id": 1, "question": "问", "answer": "答"}\n{"id": 2, "question": "问", "answer": ""}',
            "record 2: no answer",
        ),
        ('{"question": "问", "answer": "答"}', "record 1: no id"),
        ('{"id": 1, "question": "问", "answer": "答"}\n[1]', "record 2: no id"),
        (
            '{"id": 1, "question": "问", "answer": "答"}\n{"id": "1", "question": "问", "answer": "答"}',
            "'1' occurs twice",
        ),
        ('{"id": 1, "question": "问", "answer": "答", "topic": "天气"}', "topic is '天气'; allowed: 家庭"),
        ('{"id": 1, "question": "问", "answer": "答"}\n{"id": 2,', "record 2"),
        ("", "empty"),
        ('{"id": 1, "question": "问", "answer": 5}', "record 1: question and answer are not both text"),
        ('{"id": 1, "question": "问", "answer": "答", "topic": ["x"]}', "record 1: topic is"),
        ('{"id": 1, "messages": {"role": "user"}}', "record 1: messages is dict; allowed: a list"),
        ('{"id": 1, "messages": [{"role": "user", "content": 5}]}', "no object with a role and a text"),
        ('{"id": 1, "messages": ["x"], "flags": "web"}', "record 1: flags is 'web'; allowed: the list"),
        ('{"id": 1, "messages": ["x"], "flags": ["web"]}', "record 1: flags is .'web'.; allowed:"),
        ('{"id": 1, "messages": ["x"], "labels": ["sad"]}', "record 1: labels is .'sad'.; allowed: the"),
        ('{"id": 1, "messages": ["x"], "labels": {"a": [1]}}', "record 1: labels is"),
        ('{"id": 1, "messages": ["x"], "provenance": "web"}', "provenance is 'web'; allowed: an object"),
        ('{"id": 1, "messages": ["hello"]}', "no object with a role and a text"),
        ('{"id": 1, "messages": [{"role": "system", "content": "一"}]}', "nothing but a system text"),
        (
            '{"id": 1, "messages": [{"role": "user", "content": "一"}, {"role": "system", "content": "二"}]}',
            "role 'system'; allowed: user, assistant, and system in the first place",
        ),
        ('{"id": 1, "messages": [{"role": "tool", "content": "一"}]}', "role 'tool'; allowed: user, assistant"),
    ],
)
def test_broken_files_are_one_clear_line(tmp_path, lines, message):
    (tmp_path / "q.jsonl").write_text(lines)
    with pytest.raises(ValueError, match=message) as error:
        read(tmp_path / "q.jsonl")
    assert "\n" not in str(error.value)


def test_a_folder_stands_for_its_record_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"neither conversations\.jsonl nor questions\.jsonl"):
        find_file(tmp_path)
    write_lines(tmp_path / "questions.jsonl", [])
    assert find_file(tmp_path).name == "questions.jsonl"
    write_lines(tmp_path / "conversations.jsonl", [])
    assert find_file(tmp_path).name == "conversations.jsonl"
    with pytest.raises(FileNotFoundError, match="no such file or folder"):
        find_file(tmp_path / "none")


def test_passages_come_and_go():
    record = {"id": "1", "messages": [{"role": "user", "content": "一"}, {"role": "assistant", "content": "二"}]}
    assert passages(record) == [("user", "一"), ("assistant", "二")]
    set_passages(record, ["三", "四"])
    assert passages(record) == [("user", "三"), ("assistant", "四")]


def test_a_system_text_is_no_passage_and_stays():
    system = {"role": "system", "content": "你是"}
    record = {"id": "1", "messages": [system, {"role": "user", "content": "一"}]}
    assert passages(record) == [("user", "一")]
    set_passages(record, ["二"])
    assert record["messages"] == [system, {"role": "user", "content": "二"}]


def test_rows_that_went_through_arrow_are_what_they_were(tmp_path):
    import datasets

    messages = [{"role": "user", "content": "一"}, {"role": "assistant", "content": "二"}]
    flags = [{"step": "special", "reason": "我是"}, {"step": "privacy", "reason": "phone", "passage": 0}]
    records = [
        {
            "id": "1",
            "messages": messages,
            "flags": flags,
            "labels": {"crisis": "suicide"},
            "provenance": {"model": "m"},
        },
        {"id": "2", "messages": messages, "labels": {"length": "too_short"}},
        {"id": "3", "messages": messages},
    ]
    datasets.Dataset.from_list(records).to_json(tmp_path / "a.jsonl")
    assert '"flags":null' in (tmp_path / "a.jsonl").read_text()
    assert list(read_pipeline_records(tmp_path / "a.jsonl")) == records


def test_client_and_counsellor_as_every_step_has_them(tmp_path):
    pair = {"question": "问", "answer": "答"}
    records = [
        {"id": 1, **pair, "client": {"age": 70, "gender": None}, "counsellor": "lin"},
        {"id": 2, **pair, "client": None, "counsellor": None},
        {"id": 3, **pair, "client": {"gender": ""}, "counsellor": ""},
    ]
    write_lines(tmp_path / "questions.jsonl", records)
    first, *others = read_pipeline_records(tmp_path / "questions.jsonl")
    assert (first["client"], first["counsellor"]) == ({"age_group": "60+"}, "lin")
    assert all(not {"client", "counsellor"} & record.keys() for record in others)
    talk = {"id": "1", "topic": None, "messages": [{"role": "user", "content": "一"}], "provenance": {}}
    for record in (talk, talk | {"client": {"gender": "male"}, "counsellor": "lin"}):
        assert to_record(to_conversation(record)) == record


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"client": {"openness": "huge"}}, "openness of the client is 'huge'; allowed: low, medium, high"),
        ({"client": {"courage": "low"}}, "'courage' is no field of a client; allowed: age_group"),
        ({"client": "young"}, "client is 'young'; allowed: an object"),
        ({"counsellor": 5}, "counsellor is 5; allowed: an id as text"),
    ],
)
def test_what_is_no_client_or_counsellor(tmp_path, more, problem):
    write_lines(tmp_path / "questions.jsonl", [{"id": 1, "question": "问", "answer": "答"} | more])
    with pytest.raises(ValueError, match=problem):
        list(read_pipeline_records(tmp_path / "questions.jsonl"))
