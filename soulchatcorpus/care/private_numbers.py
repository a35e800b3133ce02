"""Numbers that lead to one person, in folded text: telephones, cards, identity and other numbers, and births."""

import re
from collections.abc import Iterator, Sequence
from functools import cache

from ..sieve import Openings
from .help_lines import load_countries

Found = tuple[str, int, int]

_NUMERALS = dict(
    zip("零〇一二三四五六七八九幺壹贰叁肆伍陆柒捌玖两洞拐勾olз", "001234567891123456789" + "20790" + "13", strict=True)
)
_NUMERAL = f"0-9{''.join(_NUMERALS)}"
_SPELT = re.compile(rf"(?<![a-z0-9])[{_NUMERAL}](?:[ .,、\-]{{0,2}}[{_NUMERAL}]){{6,}}(?![a-z0-9])")
_GAP = r"[ ,.·_*()\-/]{0,3}"
NUMBER_OPENINGS: Openings = [[(f"[{_NUMERAL}]", *[rf"[{_NUMERAL} ,.·_*()\-/]"] * 2)]]
_THREE_NUMERALS = re.compile(rf"[{_NUMERAL}]{_GAP}[{_NUMERAL}]{_GAP}[{_NUMERAL}]")
_ALL_SPELT = re.compile(r"[^0-9ol]+")
_COMPLETE = re.compile(r"1[3-9]\d{9}|0\d{9,11}|\d{17}[\dx]|[48]00\d{7}")
_RUN = re.compile(
    r"(?<![a-z0-9_])(?:\+ ?|\()?[0-9](?:[ \-._*·()/,]{0,3}[0-9]){3,}"
    r"(?:[x](?![a-z0-9])|\([0-9]\)|转(?:分机)?[0-9]{1,5})?"
)
# A number that is not known as a whole may be several: parted by marks, else by blanks.
_PARTINGS = (re.compile("[,/] *"), re.compile("[ ,/]+"))
DATE = re.compile(
    r"^(?:0?[1-9]|1[0-2])[/.](?:[0-2]?[0-9]|3[01])[/.](?:19|20)\d\d$|^(?:19|20)\d\d[-./年]?(?:0?[1-9]"
    r"|1[0-2])[-./月]?(?:[0-2]?\d|3[01])$"
)
_MOBILE = re.compile(r"^(?:0{0,2}86)?1[3-9]\d{9}$|^(?:0{0,2}886)?0?9\d{8}$")
_LANDLINE = re.compile(r"^(?:0{0,2}86)?0(?:10|2\d|[3-9]\d{2})\d{7,8}$")
_IDENTITY = re.compile(r"^[1-9]\d{5}(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\d{3}[\dx]$")
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)

_PHONE_WORD = re.compile(
    r"电话|手机|座机|号码|tel|phone|call|短信|(?:打|拨|联系)(?:给|到|这个)?[^0-9]{0,6}$|打我|我(?:个)?号"
    r"|小灵通|传真|whatsapp|联系|备用|找我|我是[: ]?$|号[是: ]*$|办公室|前台|dial"
)
_CARD_WORD = re.compile(
    r"卡|账号|账户|帐号|帐户|存折|存单|打到|转到|打在|转给|收款|汇|尾号|退到|银行|郵局|邮局|用我名下|用的$|折子|[建农工中招交]行|农信|信用社"
)
_NUMBER_WORD = re.compile(
    r"身份证|身分证|证件|(?<!简)证号|学号|工号|病历|病案|住院号|门诊号|就诊|挂号|准考证|护照|通行证|社保|医保"
    r"|残疾证|军[官人]证|警号|学籍|考号|居留证|"
    r"台胞证|资格证|驾照|驾驶证|案号|案件|编号|档案|登记号|户口|床号|会员号|员工(?:编|证|卡)?号|单号|保单|出生证|合同|选课账号"
    r"|登录|账号|证书|执照|证[是号:： ]*$|id$"
)
_ID_CARD_WORD = re.compile(r"身份证|身分证|证号|证件|我的号|残疾证|证")
_BIRTH = re.compile(
    r"(?<![发学先陌医])生(?![活气病前存产])|落地|来到(?:这个)?(?:人)?世|birth|born|腊月|农历|dob|双胞胎|病人|患者"
)
_HANDLE_WORD = re.compile(
    r"(?<![a-z])(?:q{1,2}|wx|vx|v|tg|ins|ig)(?![a-z])|[微薇威徽卫v]信|卫星|扣扣|抠抠|扣[我号]?|企鹅|qq|群|陌陌"
    r"|抖音|快手|小红书|微博|b站|唱吧"
    r"|加我|加[vq]|游戏|uid|[^手信]号[是:： ]*$|主页|soul|探探|钉钉|网名|whatsapp|line|telegram|wechat"
)
_ORDER_WORD = re.compile(r"(?:编号|订单|单号|流水)[^0-9]{0,3}$")
_MONEY = re.compile(r"^\s*(?:元|块|万|亿|毫克|mg|分[^机]?|步|米|公里|斤|岁|天|次|人|个|字|年|月|度|%|/)")
_UNIT_WORD = re.compile(
    r"(?:(?:订单|快递|取件码|取件号|运单|工资|存款|欠|花|借|股票|代码|密码|余额|利息|分数|考了|血压"
    r"|步数)[^0-9]{0,4}|第)$"
)

_DATE_HINT = re.compile(rf"[年./ \-](?<=[{_NUMERAL}].)(?:农历|阴历|阳历)?[0-9a-z正一二三四五六七八九十冬腊]")
BIRTH_DATE_OPENINGS: Openings = [[(f"[{_NUMERAL}]", r"[年./ \-]", "[农阴阳0-9a-z正一二三四五六七八九十冬腊]")]]
_BIRTH_DATE = re.compile(
    r"(?<!\d)(?:\d{1,2}[/.]){2}(?:19|20)\d\d(?!\d)|\d{1,2} ?[a-z]{3,9} (?:19|20)\d\d"
    r"|(?:(?:19|20)?\d\d|[一二][九零〇][一二三四五六七八九零〇]{2}|[一二三四五六七八九零〇]{2})[年./\-](?:农历"
    r"|阴历|阳历)?"
    r"(?:\d{1,2}|[正一二三四五六七八九十冬腊]{1,2})[月./\-](?:初|廿)?(?:\d{1,2}|[一二三四五六七八九十廿]{1,3})[日号]?"
)


# Lines that many know and that `help_lines.json` does not give, for want of a page of today that names them.
_OTHER_HELP_LINES = frozenset({"4001619995", "0570783556"})


@cache
def _help_numbers() -> frozenset[str]:
    lines = (line for country in load_countries().values() for line in (*country.lines, *country.emergency))
    return _OTHER_HELP_LINES | {re.sub(r"\D", "", line.number) for line in lines}


def is_id_card(number: str) -> bool:
    """The checksum of GB 11643 (ISO 7064, MOD 11-2)."""
    total = sum(int(digit) * weight for digit, weight in zip(number[:17], _WEIGHTS, strict=True))
    return "10X98765432"[total % 11] == number[17].upper()


def is_luhn(number: str) -> bool:
    """The checksum of bank cards (ISO/IEC 7812)."""
    digits = [int(digit) for digit in number]
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def find_numbers(text: str) -> Iterator[Found]:
    """(kind, start, end) of each number in folded text, also of those spelt in Chinese numerals."""
    if not _THREE_NUMERALS.search(text):
        return
    digits = _SPELT.sub(_as_digits, text)
    for match in _RUN.finditer(digits):
        yield from _classify(digits, match.start(), match.end())


def _as_digits(match: re.Match[str]) -> str:
    """Numerals as digits where they make a whole number, or where there is nothing but numerals."""
    digits = "".join(_NUMERALS.get(character, character) for character in match[0])
    number = "".join(filter(str.isdigit, digits))
    return digits if _ALL_SPELT.fullmatch(match[0]) or _COMPLETE.fullmatch(number) else match[0]


def _classify(text: str, start: int, end: int, partings: Sequence[re.Pattern[str]] = _PARTINGS) -> Iterator[Found]:
    kind = _kind(text, start, end)
    if kind:
        yield kind, start, end
    elif kind is None and partings:
        edges = (edge for match in partings[0].finditer(text, start, end) for edge in match.span())
        pieces = [start, *edges, end]
        for first, last in zip(pieces[::2], pieces[1::2], strict=True):
            if last - first > 4:
                yield from _classify(text, first, last, partings[1:])


def _kind(text: str, start: int, end: int) -> str | None:
    """What the number is; empty for one that is surely nobody's, None for one that is not known."""
    run = text[start:end].partition("转")[0]
    number = "".join(c for c in run if c.isdigit() or c == "x")
    if any(number == line or (len(line) > 6 and line in number) for line in _help_numbers()):
        return ""
    before = text[max(0, start - 14) : start].rpartition("\n")[2]
    after = text[end : end + 10].partition("\n")[0]
    length = len(number)
    plus = run.startswith("+")
    if _IDENTITY.match(number) and (is_id_card(number) or _ID_CARD_WORD.search(before)):
        return "id_card"
    if _IDENTITY.match(number):
        return "" if _ORDER_WORD.search(before) else "id_card"
    if DATE.match(run):
        return "birth_date" if _BIRTH.search(before + after) else None
    if _MOBILE.match(number) and not _UNIT_WORD.search(before) and not (length < 11 and not number.startswith("09")):
        return "handle" if re.search(r"qq|扣|企鹅|群", before[-6:]) else "phone"
    if _LANDLINE.match(number) and (run != number or _PHONE_WORD.search(before)):
        return "phone"
    if plus and 8 <= length <= 14:
        return "phone"
    if re.match(r"[48]00\d{7}$", number) and length == 10:
        return "phone"
    may_be_card = 15 <= length <= 19 and "x" not in number and not _NUMBER_WORD.search(before)
    checked = number.startswith("62") or (number[0] in "3456" and number.isdigit() and is_luhn(number))
    if may_be_card and (checked or _CARD_WORD.search(before + after)):
        return "bank_card"
    if _MONEY.match(after) or _UNIT_WORD.search(before):
        return None
    words = {
        "id_number": _last(_NUMBER_WORD, before[:-1]) + 3 if _NUMBER_WORD.search(before) else -1,
        "bank_card": _last(_CARD_WORD, before) if length >= 10 or before.endswith("尾号") else -1,
        "handle": _last(_HANDLE_WORD, before) if 5 <= length <= 12 else -1,
        "phone": _last(_PHONE_WORD, before) if 7 <= length <= 13 else -1,
    }
    kind = max(words, key=lambda word: words[word])
    if words[kind] >= 0:
        return kind
    if re.match(r"[是就]?(?:我|他|她)(?:的|爸|妈|老)?(?:的)?(?:号|电话|手机)", after) and 7 <= length <= 12:
        return "phone"
    return "phone" if re.fullmatch(r"\(?[2-9]\d{2}\)?[-. ]\d{3}[-. ]\d{4}", run) else None


def _last(pattern: re.Pattern[str], before: str) -> int:
    return max((match.start() for match in pattern.finditer(before)), default=-1)


def find_birth_dates(text: str) -> Iterator[Found]:
    """(kind, start, end) of the dates beside which a birth is spoken of."""
    if not _DATE_HINT.search(text):
        return
    for match in _BIRTH_DATE.finditer(text):
        around = text[max(0, match.start() - 10) : match.start()].rpartition("\n")[2]
        around += text[match.end() : match.end() + 8].partition("\n")[0]
        if _BIRTH.search(around):
            yield "birth_date", match.start(), match.end()
