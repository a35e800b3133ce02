"""What is stated of a client: every form that is read, what is refused, and the words for a prompt."""

import pytest
from hypothesis import given

from soulchatcorpus.clients import CLIENT_FIELDS, age_groups, describe_client, read_client, read_player
from tests.soulchatcorpus.strategies import clients

TOLD = {"age_group": "18-25", "gender": "female", "occupation": "护士", "openness": "high", "about": "爱安静"}


@pytest.mark.parametrize(
    ("stated", "client"),
    [
        (None, None),
        ({}, None),
        ({"gender": None, "about": " "}, None),
        (dict.fromkeys(CLIENT_FIELDS), None),
        (TOLD, TOLD),
        ({"age": 23, "gender": "女性"}, {"age_group": "18-25", "gender": "female"}),
        ({"age": "67岁", "gender": "Male"}, {"age_group": "60+", "gender": "male"}),
        ({"age": 23.0}, {"age_group": "18-25"}),
        ({"neuroticism": "low", "big_five": {"神经质": "低"}}, {"neuroticism": "low"}),
        ({"age": "中年", "gender": "非二元"}, {"age_group": "中年", "gender": "非二元"}),
        ({"age": 30, "age_group": "成年"}, {"age_group": "成年"}),
        ({"age_group": "0-12"}, {"age_group": "0-12"}),
        ({"big_five": {"openness": "High", "外倾性": "低"}}, {"openness": "high", "extraversion": "low"}),
        ({"神经质": "中"}, {"neuroticism": "medium"}),
    ],
)
def test_what_is_read(stated, client):
    assert read_client(stated) == client


@pytest.mark.parametrize(
    ("stated", "told"),
    [
        ("young", "client is 'young'; allowed: an object of age_group, gender, occupation, openness"),
        (["female"], "client is ['female']; allowed: an object"),
        ({"courage": "high"}, "'courage' is no field of a client; allowed: age_group, gender"),
        ({"openness": "huge"}, "openness of the client is 'huge'; allowed: low, medium, high"),
        ({"openness": 3}, "openness of the client is 3; allowed: low, medium, high"),
        ({"神经质": "很高"}, "neuroticism of the client is '很高'; allowed: low, medium, high"),
        ({"gender": 1}, "gender of the client is 1; allowed: text"),
        ({"age": 200}, "age of the client is 200; allowed: 0 to 130, or a group in words"),
        ({"age": 23.5}, "age of the client is 23.5; allowed: 0 to 130"),
        ({"neuroticism": "low", "神经质": "高"}, "neuroticism of the client is both 'low' and 'high'; allowed: one"),
        ({"openness": "low", "big_five": {"openness": "high"}}, "openness of the client is both 'low' and 'high'"),
        ({"age": True}, "age of the client is True; allowed: 0 to 130"),
        ({"big_five": "OCEAN"}, "big_five of the client is 'OCEAN'; allowed: an object of openness"),
        ({"big_five": {"bravery": "low"}}, "'bravery' is no field of a client"),
    ],
)
def test_what_is_refused(stated, told):
    with pytest.raises(ValueError) as error:  # noqa: PT011
        read_client(stated)
    assert told in str(error.value)


@given(clients())
def test_what_was_read_is_read_again_as_it_is(client):
    assert read_client(client) == client
    assert read_client(client and dict.fromkeys(CLIENT_FIELDS) | client) == client


@pytest.mark.parametrize(
    ("age", "group"),
    [(0, "0-12"), (12, "0-12"), (13, "13-17"), (17, "13-17"), (18, "18-25"), (59, "46-59"), (60, "60+")],
)
def test_an_age_in_years_becomes_its_group(age, group):
    assert read_client({"age": age}) == {"age_group": group}
    assert group in age_groups()


def test_in_words():
    assert describe_client(TOLD) == "年龄：18-25\n性别：女\n职业：护士\n开放性：高\n其他：爱安静"
    assert describe_client(TOLD, "en") == "age: 18-25\ngender: female\noccupation: 护士\nopenness: high\nother: 爱安静"
    assert describe_client({"about": "high"}) == "其他：high"
    assert describe_client({}) == ""


def test_a_players_lines_without_the_name():
    player = "* 姓名：王小云\n* 年龄：23岁\n* 性别：女性\n\n* 职业：时尚博主\n\n* 个人爱好：\n1. 购物"
    assert read_player(player) == {"age_group": "18-25", "gender": "female", "occupation": "时尚博主"}
    assert read_player("王小云今年23岁") is None
