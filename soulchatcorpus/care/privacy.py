"""Private details in a text: numbers, addresses of every sort, handles, and names where somebody gives his own.

Rules in plain `re`; numbers with a checksum are checked. Names and places in general want a recogniser (jieba's, on
request).
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

KINDS = ("phone", "id_card", "bank_card", "email", "url", "handle", "address", "name", "place")

# The hints begin with a class of characters and no repeat, which `re` looks for four times as quickly.
_ASCII_HINT = re.compile(r"[A-Za-z0-9_@+:/-]\s?[A-Za-z0-9_@+:/.-]")
_NUMBER_HINT = re.compile(r"[0-9](?:[-\s]?[0-9]){2}")
_SPOKEN_HINT = re.compile(r"[一幺][三四五六七八九][零〇一二三四五六七八九幺]")
_MAIL_HINT = re.compile(r"[A-Za-z0-9._%+-]\s?[\[(（]?(?:[@＠#]|at|AT|艾特)")
_GAP = r"[-－—.\s]?"
_ID_CARD = re.compile(
    r"(?<![\dA-Za-z])[1-9]\d{5}\s?(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\s?\d{3}[\dXxＸ](?![\dA-Za-z])"
)
_OLD_ID_CARD = re.compile(r"(?:身份证)[^\d\n]{0,8}(\d{15})(?!\d)")
_BANK_CARD = re.compile(r"(?<!\d)[3-6]\d{3}(?:[-\s]?\d{4}){2,3}(?:[-\s]?\d{1,4})?(?!\d)")
_BANK_CARD_NAMED = re.compile(r"(?:卡号|银行卡|储蓄卡|信用卡|账号|账户|帐号)[^\d\n]{0,8}(\d(?:[-\s]?\d){14,18})(?!\d)")
_PHONE = re.compile(
    rf"(?<![\d.])(?:(?:\+|00)\s?86{_GAP}|86-)?1[3-9]\d{_GAP}\d{{4}}{_GAP}\d{{4}}(?!\d)"  # mobile
    rf"|(?<!\d)1[3-9]\d{{2}}{_GAP}\d{{3}}{_GAP}\d{{4}}(?!\d)"
    rf"|(?<![\d.])(?:(?:\+|00)\s?86{_GAP})?[(（]?0(?:10|2\d|[3-9]\d{{2}})[)）]?{_GAP}\d{{3,4}}{_GAP}\d{{4}}(?:(?:转|-)\d{{1,5}})?(?!\d)"
    rf"|(?<!\d)[48]00{_GAP}\d{{3,4}}{_GAP}\d{{3,4}}(?!\d)"
    rf"|(?<!\d)(?:\+1{_GAP})?\(?[2-9]\d{{2}}\)?[-.\s]\d{{3}}[-.\s]\d{{4}}(?!\d)"  # North America
    rf"|\+(?!86)\d{{1,3}}(?:[-\s]?\d{{2,4}}){{2,4}}(?!\d)"
)
_SPOKEN_PHONE = re.compile(r"[一幺][三四五六七八九](?:[零〇一二三四五六七八九幺][-\s]?){9}")
_NAMED_PHONE = re.compile(
    r"(?:电话|座机|手机|号码|热线|tel|phone|call)[^\d\n]{0,8}((?<!\d)\d{3,4}[-\s]?\d{4}(?!\d))", re.IGNORECASE
)
_EMAIL = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9._%+-]*\s?[@＠]\s?[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\s?[.。]\s?[A-Za-z]{2,})+"
)
_SPELT_EMAIL = re.compile(
    r"[A-Za-z0-9._%+-]+\s?[\[(（]?(?:at|AT|艾特|#)[\])）]?\s?[A-Za-z0-9-]+\s?(?:\.|[\[(（]?(?:dot|点)[\])）]?)\s?(?:com|cn|net|org|edu)(?![A-Za-z0-9])"
)
_URL = re.compile(
    r"(?:https?://|www\.)[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+|(?<![A-Za-z0-9@.])(?:[A-Za-z0-9-]+\.)+(?:com|cn|net|org|io|me|cc|top|vip|xyz|info|edu|gov)(?![A-Za-z0-9])(?:/[A-Za-z0-9\-._~/?#=&%+]*)?"
)
_URL_HINT = re.compile(r"://|www\.|\.(?:com|cn|net|org|io|me|cc|top|vip|xyz|info|edu|gov)(?![A-Za-z])")
_HANDLE_HINT = re.compile(r"[A-Za-z0-9_@-](?:[-\s]?[A-Za-z0-9_.@-]){3}")
# No part of a word (borderline, online); "on Instagram, people" names no handle, "my discord is …" may.
_NETWORK = (
    r"(?<![A-Za-z])(?:telegram|instagram|twitter|line|skype|snapchat|discord)"
    r"(?![\s,.;!?'\"()-]{1,6}(?!is\b|id\b)[A-Za-z]+(?![A-Za-z0-9_-]))"
)
_HANDLE = re.compile(
    r"(?:微信|薇信|威信|徽信|[Vv]信|(?<![A-Za-z])(?:wx|vx|wechat|weixin)(?![A-Za-z])|(?<![A-Za-z])(?-i:VX|WX)(?=[a-z0-9])|微信公众号|公众号|抖音|微博|小红书|快手|(?<![A-Za-z])qq|扣扣|抠抠|企鹅号?|陌陌|加我|B站|"
    + _NETWORK
    + r")"
    r"(?:的?(?:号码?|帐号|账号|ID|群号?|名|昵称|群|handle|username|id))?[^A-Za-z0-9\n]{0,6}(?:is|me|:|at|on|id)?[^A-Za-z0-9\n]{0,3}(?P<handle>@?[A-Za-z][A-Za-z0-9_\-]{4,24}|\d(?:[-\s]?\d){4,11}|[A-Za-z0-9_\-]*\d[A-Za-z0-9_\-]{3,20})(?![A-Za-z0-9_-])",
    re.IGNORECASE,
)
_AT_HANDLE = re.compile(r"(?<![A-Za-z0-9._%+-])@[A-Za-z0-9_][A-Za-z0-9_.]{2,24}")
_REVERSE_HANDLE = re.compile(
    r"(?<![A-Za-z0-9_])(?P<handle>[A-Za-z][A-Za-z0-9_-]{5,19}|\d{5,11})(?=[^A-Za-z0-9\n，。]{0,4}(?:是|为)我的?(?:微信|vx|wx|qq|QQ|V信|扣扣))"
)
_ADDRESS_HINT = re.compile(r"[0-9一二三四五六七八九十百]\s?[号弄栋幢座单期组]")
_WESTERN_ADDRESS_HINT = re.compile(r"[0-9] [A-Z]")
_COUNT = r"[0-9０-９一二三四五六七八九十百]{1,5}"
_ADDRESS = re.compile(
    rf"(?:[路街巷弄道村苑]|大道|胡同|小区|花园|新村|公寓|家园|大厦|社区|广场|宿舍)[东西南北中]?(?:[一二三四五六七八九十]段)?\s?第?{_COUNT}\s?(?:号|弄|栋|幢|座|单元|期|组)"
    r"(?:院|楼)?(?:[0-9０-９一二三四五六七八九十A-Za-z]{1,5}\s?(?:号楼|号|栋|幢|座|单元|层|楼|室|房|户)?){0,4}"
)
# What stands before the street belongs to the address, back to the word that leads to it.
_ADDRESS_BEFORE = re.compile(
    r"(?:(?<=住在)|(?<=家在)|(?<=位于)|(?<=地址)|(?<=地址是)|(?<=寄到)|(?<=来到)|(?<=[在到是：:，。,\s]))"
    r"[\u4e00-\u9fff]{1,24}$|[\u4e00-\u9fff]{1,4}$"
)
_WESTERN_ADDRESS = re.compile(
    r"\b\d{1,5} (?:[A-Z][a-z]+ ){1,3}(?:Street|St|Road|Rd|Avenue|Ave|Lane|Drive|Boulevard|Court)\b\.?"
    r"(?:,? (?:Apt|Apartment|Unit) \w+)?"
)
_OWN_NAME = re.compile(
    r"我(?:的)?(?:(?:真名|全名|名字|大名)(?:叫做?|是|为)|叫做?|名叫|姓名是)\s?(?P<name>[\u4e00-\u9fff]{2,4}?)"
    r"(?=[，。,.!！、；;\s（(]|今年|是|来自|在|$)"
)
_ENGLISH_NAME = re.compile(r"\b[Mm]y (?:full |real )?name is (?P<name>[A-Z][a-z]+(?: [A-Z][a-z]+)?)")
_NAME_HINT = re.compile(r"我[叫的名姓真全大]")
_ENGLISH_NAME_HINT = re.compile(r"[Mm]y (?:full |real )?name")
# Full-width digits, @ and full stop, one for one: １３８ is a number too.
_FULL_WIDTH = re.compile(r"[０-９＠．]")
_WIDTH_OFFSET = 0xFEE0
_ID_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


@dataclass(slots=True, frozen=True)
class PrivateSpan:
    """Where a private detail stands: `kind` is one of `KINDS`."""

    kind: str
    start: int
    end: int


@dataclass(slots=True, frozen=True)
class _Rule:
    """The detail is `group` of a match that passes `check`; `before` matches what belongs to it ahead of it."""

    kind: str
    pattern: re.Pattern[str]
    group: int | str = 0
    check: Callable[[str], bool] = bool
    before: re.Pattern[str] | None = None

    def spans(self, text: str) -> Iterator[PrivateSpan]:
        for match in self.pattern.finditer(text):
            if self.check(match[self.group]):
                start, end = match.span(self.group)
                if self.before and (wider := self.before.search(text, max(0, start - 30), start)):
                    start = wider.start()
                yield PrivateSpan(self.kind, start, end)


def find_private(text: str, recogniser: bool = False) -> list[PrivateSpan]:
    """The private details of a text in order, none overlapping another.

    `recogniser` adds the names and places that jieba's part-of-speech tagger finds: slow, and often wrong, so fit for
    flagging rather than masking.
    """
    text = _FULL_WIDTH.sub(lambda match: chr(ord(match[0]) - _WIDTH_OFFSET), text)
    found: list[PrivateSpan] = []
    for hint, rules in _RULES if _ASCII_HINT.search(text) else _CHINESE_RULES:
        if hint.search(text):
            for rule in rules:
                for span in rule.spans(text):
                    _add(found, span)
    if recogniser:
        for span in _recognise(text):
            _add(found, span)
    return sorted(found, key=lambda span: span.start)


def mask_private(text: str) -> str:
    """`text` with every private detail replaced by its kind in brackets: `[phone]`."""
    return mask_spans(text, find_private(text))


def mask_spans(text: str, spans: list[PrivateSpan]) -> str:
    """`text` with these spans, as `find_private` gives them, replaced by their kinds in brackets."""
    parts, end = [], 0
    for span in spans:
        parts += [text[end : span.start], f"[{span.kind}]"]
        end = span.end
    return "".join(parts) + text[end:] if parts else text


def _add(found: list[PrivateSpan], span: PrivateSpan) -> None:
    """Add a span unless an earlier, more certain one overlaps it."""
    if not any(span.start < other.end and other.start < span.end for other in found):
        found.append(span)


def _is_id_card(number: str) -> bool:
    """The checksum of GB 11643 (ISO 7064, MOD 11-2)."""
    digits = "".join(number.split())
    total = sum(int(digit) * weight for digit, weight in zip(digits[:17], _ID_WEIGHTS, strict=True))
    return "10X98765432"[total % 11] == digits[17].upper().replace("Ｘ", "X")


def _is_luhn(number: str) -> bool:
    """The checksum of bank cards (ISO/IEC 7812), on 13 to 19 digits."""
    digits = [int(digit) for digit in number if digit.isdigit()]
    if not 13 <= len(digits) <= 19:
        return False
    doubled = [sum(divmod(2 * digit, 10)) for digit in digits[-2::-2]]
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0


def _recognise(text: str) -> Iterator[PrivateSpan]:
    from jieba import posseg  # loads a dictionary of 5 MB

    position = 0
    for word, tag in posseg.cut(text):
        if tag in ("nr", "ns") and len(word) > 1:
            yield PrivateSpan("name" if tag == "nr" else "place", position, position + len(word))
        position += len(word)


# Under each hint its rules, all in the order of certainty: what an earlier rule has taken, a later one leaves.
_RULES = (
    (_MAIL_HINT, (_Rule("email", _EMAIL), _Rule("email", _SPELT_EMAIL))),
    (_URL_HINT, (_Rule("url", _URL),)),
    (
        _NUMBER_HINT,
        (
            _Rule("id_card", _ID_CARD, check=_is_id_card),
            _Rule("id_card", _OLD_ID_CARD, 1),
            _Rule("bank_card", _BANK_CARD_NAMED, 1),
            _Rule("bank_card", _BANK_CARD, check=_is_luhn),
            _Rule("phone", _PHONE),
            _Rule("phone", _NAMED_PHONE, 1),
        ),
    ),
    (_SPOKEN_HINT, (_Rule("phone", _SPOKEN_PHONE),)),
    (
        _HANDLE_HINT,
        (
            _Rule("handle", _HANDLE, "handle"),
            _Rule("handle", _REVERSE_HANDLE, "handle"),
            _Rule("handle", _AT_HANDLE),
        ),
    ),
    (_ADDRESS_HINT, (_Rule("address", _ADDRESS, before=_ADDRESS_BEFORE),)),
    (_WESTERN_ADDRESS_HINT, (_Rule("address", _WESTERN_ADDRESS),)),
    (_NAME_HINT, (_Rule("name", _OWN_NAME, "name"),)),
    (_ENGLISH_NAME_HINT, (_Rule("name", _ENGLISH_NAME, "name"),)),
)
# Those that can match a text in which no two characters of `_ASCII_HINT` stand together.
_CHINESE_RULES = tuple(rule for rule in _RULES if rule[0] in (_SPOKEN_HINT, _ADDRESS_HINT, _NAME_HINT))
