import datetime

import openpyxl
import pytest

from soulchatcorpus.reading.corpus import read_corpus
from soulchatcorpus.reading.json_stream import CorpusError

ENGLISH = ("conversation_id", "speaker", "text", "time")
CHINESE = ("会话编号", "角色", "内容", "时间")
ROWS = [
    ("a", "来访者", "我很累，\n真的", "2024-05-01 12:30"),
    ("b", "client", '你"好', "2024/5/2 9:05:00"),
    ("a", "咨询师", "怎么了？", "2024-05-01 12:31"),
    ("b", "counselor", "你好", "2024年5月2日 9:06"),
    ("a", "咨询师", "别急", "2024-05-01 12:29"),
]
EXPECTED = {
    "a": [("assistant", "别急"), ("user", "我很累，\n真的"), ("assistant", "怎么了？")],
    "b": [("user", '你"好'), ("assistant", "你好")],
}


def talks(path) -> dict[str, list[tuple[str, str]]]:
    return {talk.id: [(m["role"], m["content"]) for m in talk.messages] for talk in read_corpus(path)}


def table(rows, delimiter=",") -> str:
    return "\r\n".join(delimiter.join(f'"{str(cell).replace(chr(34), chr(34) * 2)}"' for cell in row) for row in rows)


@pytest.mark.parametrize("head", [ENGLISH, CHINESE])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gbk", "utf-16"])
@pytest.mark.parametrize(("ending", "delimiter"), [("csv", ","), ("tsv", "\t"), ("csv", ";")])
def test_messages_in_text_tables(tmp_path, head, encoding, ending, delimiter):
    path = tmp_path / f"logs.{ending}"
    path.write_bytes(table([head, *ROWS], delimiter).encode(encoding))
    assert talks(path) == EXPECTED


@pytest.mark.parametrize("head", [ENGLISH, CHINESE])
def test_messages_in_excel(tmp_path, head):
    book = openpyxl.Workbook()
    for row in [head, *ROWS]:
        book.active.append(row)
    book.active["D2"] = datetime.datetime(2024, 5, 1, 12, 30)
    book.save(tmp_path / "logs.xlsx")
    assert talks(tmp_path / "logs.xlsx") == EXPECTED
    assert talks(tmp_path) == EXPECTED


def test_excel_with_merged_cells_and_several_sheets(tmp_path):
    book = openpyxl.Workbook()
    for row in [("对话", "角色", "内容"), (1, "来访者", "累"), (None, "咨询师", "嗯"), (2, "来访者", "好")]:
        book.active.append(row)
    other = book.create_sheet("第二页")
    for row in [("角色", "内容"), ("来访者", "早")]:
        other.append(row)
    book.save(tmp_path / "logs.xlsx")
    assert talks(tmp_path / "logs.xlsx") == {
        "1": [("user", "累"), ("assistant", "嗯")],
        "2": [("user", "好")],
        "logs-第二页": [("user", "早")],
    }


def test_one_talk_in_a_file_and_numbered_rows(tmp_path):
    (tmp_path / "a.csv").write_text("id,role,content\n1,user,一\n2,assistant,二\n")
    assert talks(tmp_path / "a.csv") == {"a": [("user", "一"), ("assistant", "二")]}
    (tmp_path / "a.csv").write_text("id,role,content\n1,user,一\n1,assistant,二\n2,user,三\n")
    assert talks(tmp_path / "a.csv") == {"1": [("user", "一"), ("assistant", "二")], "2": [("user", "三")]}


def test_rows_with_numbers_of_their_own_are_one_talk(tmp_path):
    (tmp_path / "a.csv").write_text("序号,role,content,备注\n1,user,一,\n2,assistant,二,\n")
    assert talks(tmp_path / "a.csv") == {"a": [("user", "一"), ("assistant", "二")]}


def test_times_of_day_leave_the_rows_as_they_stand(tmp_path):
    (tmp_path / "a.csv").write_text("role,content,time\nuser,一,23:59\nassistant,二,0:01\n")
    assert talks(tmp_path / "a.csv") == {"a": [("user", "一"), ("assistant", "二")]}


def test_a_date_and_a_clock(tmp_path):
    (tmp_path / "a.csv").write_text("角色,内容,日期,时间\n咨询师,二,2024-05-01,0:01\n来访者,一,2024-04-30,23:59\n")
    assert talks(tmp_path / "a.csv") == {"a": [("user", "一"), ("assistant", "二")]}


def test_questions_and_other_formats_a_row(tmp_path):
    (tmp_path / "a.csv").write_text("问题,回答,topic\n累,睡,情绪\n")
    assert talks(tmp_path / "a.csv") == {"a-1": [("user", "累"), ("assistant", "睡")]}
    (tmp_path / "a.csv").write_text("instruction,input,output\n累,,睡\n")
    assert talks(tmp_path / "a.csv") == {"a-1": [("user", "累"), ("assistant", "睡")]}


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("a,b\n1,2\n", "a table with the columns a, b; allowed: columns talk, role, text and time"),
        ("", "the file is empty"),
        ("role,text,content\nuser,一,二\n", "the columns 'text' and 'content' both look like the text"),
        ("role,text,time\nuser,一,昨天\n", "row 2: the time is '昨天'; allowed: 2024-05-01 12:30:00"),
        (
            'role,text\nuser,"一\nassistant,二\n',
            "row 2: unexpected end of data; allowed: a cell that begins with a quotation",
        ),
        ('role,text\nuser,一\nassistant,"二"三\n', "row 3: ',' expected after '\"'; allowed: a cell that begins with"),
        (
            "档案编号,role,text\n7,user,一\n7,user,二\n8,user,三\n",
            "the column '档案编号' may be that of the talks; allowed",
        ),
        ("visit_id,role,text\nA,user,一\n,assistant,二\n,user,三\n", "the column 'visit_id' may be that of the talks"),
        ("role,text\n王,一\n", "talk 'a', from row 2: message 1 has the role '王'"),
    ],
)
def test_what_is_refused(tmp_path, text, cause):
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(CorpusError, match=cause):
        talks(tmp_path / "a.csv")


def test_a_damaged_workbook_is_one_problem(tmp_path):
    book = openpyxl.Workbook()
    book.active.append(("role", "text"))
    book.save(tmp_path / "a.xlsx")
    data = (tmp_path / "a.xlsx").read_bytes()
    place = data.index(b"xl/worksheets/sheet1.xml") + 40
    (tmp_path / "a.xlsx").write_bytes(data[:place] + bytes(60) + data[place + 60 :])
    with pytest.raises(CorpusError, match=r"a\.xlsx: broken Excel file"):
        talks(tmp_path / "a.xlsx")


def test_columns_that_state_client_and_counsellor(tmp_path):
    """Of a talk, once is enough; an empty cell states nothing."""
    (tmp_path / "log.csv").write_text(
        "对话,角色,内容,client.age,client.gender,counsellor\n"
        "1,来访者,我很累,,,\n1,咨询师,说说看,31,女,lin\n2,来访者,你好\n2,咨询师,你好,,,\n"
    )
    first, second = read_corpus(tmp_path / "log.csv")
    assert (first.client, first.counsellor) == ({"age_group": "26-35", "gender": "female"}, "lin")
    assert (second.client, second.counsellor) == (None, None)
    (tmp_path / "questions.csv").write_text("问题,回答,client.openness\n我很累,说说看,高\n你好,你好,\n")
    first, second = read_corpus(tmp_path / "questions.csv")
    assert (first.client, second.client) == ({"openness": "high"}, None)
    (tmp_path / "questions.csv").write_text("问题,回答,client.openness\n我很累,说说看,非常\n")
    with pytest.raises(CorpusError, match=r"row 2: openness of the client is '非常'; allowed: low, medium, high"):
        list(read_corpus(tmp_path / "questions.csv"))
