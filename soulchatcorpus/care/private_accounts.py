"""Accounts in folded text: e-mail, pages, handles in the spellings people use, number plates, and lettered numbers."""

import re
from collections.abc import Iterator

from ..patterns import next_characters
from ..sieve import Openings
from .private_numbers import DATE, Found

# Whatever is an account has four such characters together; a search for them spares the rest.
_FOUR = re.compile(r"[a-z0-9_@](?:[ \-]?[a-z0-9_.]){3}")
# Groups of openings, as a `Sieve` has them, of what has a finder below.
_PROVINCE = "[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼]"
PLATE_OPENINGS: Openings = [[(_PROVINCE, "[ a-z0-9]")], [("[a-z]", "[a-z]", "[a-z]")]]
MAIL_OPENINGS: Openings = [
    [("[a-z0-9._%+-]", r"[ \[(@#a艾圈]", r"[\[(@#a艾圈t特]")],
    [("[a-z0-9._%+-]", "[@#]")],
]
URL_OPENINGS: Openings = [[(":", "/", "/")], [("w", "w", "w")], [("t", "[.]", "m")], [("[.]", "[a-z]", "[a-z]")]]
ACCOUNT_OPENINGS: Openings = [[("[a-z0-9_@]", r"[ \-a-z0-9_.]", r"[ \-a-z0-9_.]")]]
MENTION_OPENINGS: Openings = [[("@",)]]
_SAYS_SO = re.compile(r"(?:[:是叫号@]|(?<![a-z])is) ?$")
_MAIL_HINT = re.compile(r"[a-z0-9._%+-] ?[\[(（]?(?:[@#]|at|艾特|圈a)")
_URL_HINT = re.compile(r"://|www\.|t\.me|\.(?:com|cn|net|org|io|me|cc|top|vip|xyz|info|edu|gov|tw|hk)(?![a-z])")
# As long as a mailbox (64 characters, RFC 5321) and each label of a host (63, RFC 1035) may be: without a limit, every
# place of a long word would be tried to the word's end.
_EMAIL = re.compile(
    r"[a-z0-9][a-z0-9._%+。-]{0,63} ?[@#] ?[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?: ?[.。点] ?[a-z0-9-]{2,63}){0,9}"
    r"(?: ?[.。点] ?[a-z]{2,})"
)
_SPELT_EMAIL = re.compile(
    r"[a-z0-9._%+-]{1,64}(?: ?(?:(?<![a-z])dot(?![a-z])|点) ?[a-z0-9_-]{1,64}){0,9} ?[\[(]?(?:at|艾特|#|圈a)[\])]? ?"
    r"[a-z0-9-]{1,63} ?(?:\.|[\[(]?(?:dot|点)[\])]?) ?"
    r"(?:com|cn|net|org|edu)(?![a-z0-9])"
)
_URL = re.compile(
    r"(?:https?://|www\.)[a-z0-9\-._~:/?#\[\]@!$&'()*+;=%]+"
    r"|(?<![a-z0-9@.])(?:[a-z0-9-]{1,63}\.){1,30}(?:com|cn|net|org|io|me|cc|top|vip|xyz|info|edu|gov|tw"
    r"|hk)(?![a-z0-9])(?:/[a-z0-9\-._~/?#=&%+]*)?"
)
_APP = (
    r"(?:微信公众号|公众号|[微薇威徽卫v]信|卫星|扣扣|抠抠|企鹅|抖音|微博|小红书|小蓝书|快手|陌陌|b站|探探|soul"
    r"|钉钉|飞书|网易云|唱吧|知乎|豆瓣|贴吧|微聊|"
    r"(?<![a-z])(?:wx|vx|wechat|weixin|qq|tg|ins|ig|line|telegram|instagram|twitter|skype|snapchat|discord"
    r"|whatsapp|threads|fb|facebook|id|v|douyin|weibo)"
    r"(?![a-z])|(?<![a-z])(?:wx|vx)(?=[a-z0-9_])|加我|加[v微]|群|网名|昵称)"
)
_ACCOUNT = r"[a-z0-9](?:[a-z0-9_.\-]{2,28}[a-z0-9_]|[a-z0-9_]{4})"
_VERSION = r"v?[0-9]+(?:\.[0-9]+)+ ?(?![a-z0-9_.\-])"
_HANDLE = re.compile(
    rf"(?=[{next_characters(_APP)}]){_APP}[^a-z0-9\n。!?@]{{0,8}}(?:(?:is|me|at|on|id|handle|username)[ :]{{1,3}})?"
    rf"(?!{_VERSION})(?P<handle>@?{_ACCOUNT})(?![a-z0-9])"
)
_REVERSE = re.compile(
    r"(?<![a-z0-9_./@])(?P<handle>[a-z0-9][a-z0-9_\-]{3,24})"
    r"(?=[^a-z0-9\n。,]{0,3}[是为](?:我|他|她)?的?(?:微信|vx|wx|qq|v信|扣扣|ins|抖音|快手|小红书|微博|号|账号|群))"
)
_PLAIN_ACCOUNT = re.compile(
    r"(?<![a-z0-9_./@#=-])(?!(?:scl|mmpi|phq|gad|sas|sds)[_-]?[0-9])(?=[a-z0-9_\-]*[_\d])(?=[a-z0-9_\-]*[a-z]{3})"
    r"[a-z][a-z0-9]*(?:[_\-]+[a-z0-9]+)*_?(?![a-z0-9@./])"
)
# Names of accounts in Chinese, where something says that an account's name follows.
_CALLED = re.compile(r"[叫:成是为](?:(?<=[叫:])|(?<=改成)|(?<=id是)|(?<=[名称号][是为])) ?@?[\u4e00-\u9fffa-z0-9_]{2}")
_APPS = "网名|昵称|账号|作者号|小红书|抖音|快手|知乎|豆瓣|微博|b站|公众号|闲鱼|网易云|唱吧|王者|微信|qq|群|id"
_NAMED = re.compile(
    rf"(?:{_APPS})(?<![a-z]id)[里上]?的?(?:id|号|账号|昵称|名)?"
    r"(?:叫做?|:|改成|(?<=[名称号])[是为]|(?<=id)是) ?@?"
    r"(?P<handle>(?!为了|手机|自己|[我你他她这那什怎由因不没很一用个从在给被和])[\u4e00-\u9fffa-z0-9_]{2,12}?)"
    r"(?=[ 。,.!?;:、)\"]|的那|的人|就是|这个|\n|$)"
)
_SAYS_NAME = "[里上的i号账昵名叫:改是为]"
NAMED_ACCOUNT_OPENINGS: Openings = [[(*app, _SAYS_NAME) for app in _APPS.split("|")[start::4]] for start in range(4)]
_AT = re.compile(
    r"(?<![a-z0-9._%+-])@(?:[a-z0-9_][a-z0-9_.\-]{1,24}(?:_[\u4e00-\u9fff]{1,6})?"
    r"|[\u4e00-\u9fff](?<=[博乎音手书站群叫号信上]@.)(?:(?!上挂|上骂|天天|这个|这号)[\u4e00-\u9fffa-z0-9_]){1,11})"
)
_CARD = (
    r"(?:身份证|身分证|证件|证号|学号|工号|病历|病案|住院|门诊|就诊|挂号|准考证|护照|通行证|社保|医保|残疾证"
    r"|军[官人]证|警号|学籍|考号|居留证|台胞证|"
    r"资格证|驾照|驾驶证|案号|档案|出生证|登记|床号|员工(?:编|证|卡)?号|保单|合同|单号|诊疗卡|passport|student id"
    r"|(?<![a-z])id(?!_))"
)
_LETTERED = re.compile(
    rf"(?=[{next_characters(_CARD)}]){_CARD}[^a-z0-9\n。]{{0,5}}"
    r"(?P<number>[a-z]{0,4}[\-_]?[0-9](?:[ *\-/]{0,10}[0-9a-z]){3,24}(?![年月])(?:\([0-9]\))?)"
    r"|(?P<other>[\u4e00-\u9fff]{1,2}字第[0-9]{5,}号)"
)
_PLATE = re.compile(
    rf"{_PROVINCE} ?"
    r"(?:[a-z] ?[·.\- ]? ?(?:[a-z0-9] ?){4,5}[a-z0-9挂学警港澳](?![a-z0-9])|\d\d[·.\- ]\d{5})"
    r"|(?<![a-z0-9])[a-z]{3}-\d{4}(?![a-z0-9])"
)


def find_plates(text: str) -> Iterator[Found]:
    """(kind, start, end) of number plates in folded text."""
    return _whole("plate", text, _PLATE)


def find_mails(text: str) -> Iterator[Found]:
    """(kind, start, end) of e-mail addresses in folded text."""
    if _MAIL_HINT.search(text):
        yield from _whole("email", text, _EMAIL, _SPELT_EMAIL)


def find_urls(text: str) -> Iterator[Found]:
    """(kind, start, end) of links in folded text."""
    if _URL_HINT.search(text):
        yield from _whole("url", text, _URL)


def find_accounts(text: str) -> Iterator[Found]:
    """(kind, start, end) of lettered numbers and handles in folded text."""
    if _FOUR.search(text):
        yield from _lettered(text)
        yield from _handles(text)


def find_mentions(text: str) -> Iterator[Found]:
    """(kind, start, end) of handles after @ in folded text."""
    return _whole("handle", text, _AT)


def find_named_accounts(text: str) -> Iterator[Found]:
    """(kind, start, end) of accounts' names in Chinese in folded text."""
    if _CALLED.search(text):
        yield from (("handle", *match.span("handle")) for match in _NAMED.finditer(text))


def _whole(kind: str, text: str, *patterns: re.Pattern[str]) -> Iterator[Found]:
    return ((kind, *match.span()) for pattern in patterns for match in pattern.finditer(text))


def _lettered(text: str) -> Iterator[Found]:
    for match in _LETTERED.finditer(text):
        group = match.lastgroup or 0
        if sum(character.isdigit() for character in match[group]) >= 4 and not DATE.match(match[group]):
            yield "id_number", *match.span(group)


def _handles(text: str) -> Iterator[Found]:
    for match in _HANDLE.finditer(text):
        handle = match["handle"]
        named = not handle.isalpha() or _SAYS_SO.search(text, 0, match.start("handle"))
        if named and not handle.isdigit():
            yield "handle", *match.span("handle")
    for match in _REVERSE.finditer(text):
        yield "handle", *match.span("handle")
    for match in _PLAIN_ACCOUNT.finditer(text):
        if len(match[0]) >= 6 and ("_" in match[0] or sum(map(str.isdigit, match[0])) >= 3):
            yield "handle", *match.span()
