"""Style cards are made of cases with consent only; an answer of the model that is no card is refused."""

import orjson
import pytest

from soulchatcorpus.files import write_lines
from soulchatcorpus.making.options import StyleOptions
from soulchatcorpus.making.style import make_style, read_cases
from soulchatcorpus.making.style_card import StyleCard, load_style
from tests.soulchatcorpus.making.test_style_card import PARTS


def make_case(id_: str, consent=True, topic: str = "情绪", client: str = "我睡不着") -> dict:
    messages = [{"role": "user", "content": client}, {"role": "assistant", "content": "嗯，我在听。"}]
    return {"id": id_, "consent": consent, "topic": topic, "messages": messages}


@pytest.fixture
def cases(tmp_path):
    write_lines(tmp_path / "cases.jsonl", [make_case("1"), make_case("2", client="我叫王小明，电话13912345678")])
    return tmp_path / "cases.jsonl"


def options_for(endpoint, **more) -> StyleOptions:
    return StyleOptions(base_url=endpoint.base_url, model="stub", timeout=5.0, **more)


def test_a_card_is_made_and_read_again(endpoint, cases, tmp_path):
    endpoint.answer = lambda content, model: f"好的：\n```json\n{orjson.dumps(PARTS).decode()}\n```"
    out = tmp_path / "lin.yaml"
    card = make_style(cases, out, options_for(endpoint))
    assert card == load_style(out) == StyleCard(counsellor="lin", characters=6, **PARTS)
    assert "先问今天怎么来的" in out.read_text()
    [sent] = endpoint.contents
    assert "【案例 1】\n用户：我睡不着\n心理咨询师：嗯，我在听。\n\n【案例 2】" in sent
    assert "13912345678" not in sent
    with pytest.raises(FileExistsError, match="a card is edited by people"):
        make_style(cases, out, options_for(endpoint))


def test_what_was_answered_is_not_asked_again(endpoint, cases, tmp_path):
    endpoint.answer = lambda content, model: orjson.dumps(PARTS).decode()
    make_style(cases, tmp_path / "lin.yaml", options_for(endpoint))
    (tmp_path / "lin.yaml").unlink()
    make_style(cases, tmp_path / "lin.yaml", options_for(endpoint))
    assert len(endpoint.contents) == 1


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ("很抱歉，我做不到。", "holds no JSON object"),
        ("{不是 JSON}", "holds no JSON object"),
        (orjson.dumps(PARTS | {"stages": []}).decode(), "no style card: stages is"),
        (orjson.dumps({key: PARTS[key] for key in list(PARTS)[1:]}).decode(), "no style card: opens is missing"),
    ],
)
def test_an_answer_without_a_card_is_told_and_asked_again(endpoint, cases, tmp_path, answer, told):
    endpoint.answer = lambda content, model: answer
    with pytest.raises(ValueError, match=told):
        make_style(cases, tmp_path / "lin.yaml", options_for(endpoint))
    assert not (tmp_path / "lin.yaml").exists()
    endpoint.answer = lambda content, model: orjson.dumps(PARTS).decode()
    assert make_style(cases, tmp_path / "lin.yaml", options_for(endpoint)) is not None


@pytest.mark.parametrize("consent", [False, None, "yes", 1])
def test_a_case_without_consent(tmp_path, consent):
    write_lines(tmp_path / "c.jsonl", [make_case("1"), make_case("2", consent)])
    with pytest.raises(ValueError, match=r"consent of case '2' is .*; allowed: true, said by both"):
        read_cases(tmp_path / "c.jsonl")


def test_too_many_cases_and_no_cases(tmp_path):
    write_lines(tmp_path / "c.jsonl", [make_case(str(number)) for number in range(21)])
    with pytest.raises(ValueError, match="holds 21 cases; allowed: 1 to 20"):
        read_cases(tmp_path / "c.jsonl")
    write_lines(tmp_path / "q.jsonl", [{"id": "1", "question": "问", "answer": "答"}])
    with pytest.raises(ValueError, match="holds questions with answers; allowed: cases"):
        read_cases(tmp_path / "q.jsonl")


def test_cases_do_not_leave_without_a_yes(cases, tmp_path):
    options = StyleOptions(base_url="https://example.org/v1", model="stub")
    with pytest.raises(ValueError, match="since cases of a counsellor would be sent to"):
        make_style(cases, tmp_path / "s.yaml", options)
