"""Ordinary talk with drawn names, addresses and organisations in it, where a person or a place stood."""

import random
import re
from collections.abc import Iterator

from care_examples import CITIES, COMMON, GIVEN, NAMES, POOL, Sentence
from care_runs import dictionary

from soulchatcorpus.care.folding import HAN
from soulchatcorpus.care.tagger import SENTENCE

LONGEST, BEFORE = 120, 3
# Of 100 sentences so many get a name, and an address; the others an organisation.
NAMED, HOUSED = 70, 17
PERSONS = (
    "男朋友|女朋友|前任|前男友|前女友|男友|女友|闺蜜|室友|舍友|同桌|同事|领导|班主任|辅导员|导师|老师|医生|儿子|女儿|妹妹|弟弟|姐姐|哥哥|老公|老婆|"
    "妻子|丈夫|表姐|表哥|表妹|堂弟|朋友|好朋友|同学|学长|学姐|学弟|学妹|老板|上司|邻居|婆婆|嫂子|孩子|对象|咨询师|主管|前夫|前妻"
)
_PERSON = re.compile(
    rf"(?P<role>(?:[我她他你]的?|一个|有个|这个|那个|我们的?)(?P<noun>{PERSONS}))(?!们|关系|圈|之间|般|一样)"
    r"|(?P<pronoun>(?<![其吉利])[他她](?![们人乡俩妈爸爹娘哥姐弟妹父母奶爷]|自己))"
    r"|(?P<greeting>(?:(?<=[\n。!?])|^)(?:你好|您好|谢谢你|亲爱的|嗯嗯|我理解你)(?=[,。!]))"
)
_PLACE = re.compile(
    r"(?:在|住在|回到|去|到|搬到|租在|来|回)(?P<place>我?(?:家里|宿舍|学校|公司|医院|老家|小区|外地|单位|大学|厂里|出租屋|家)"
    r"(?!作|长|庭|人|的?事|教|务|规|暴|境|友|校|组织))"
)
_ORGANISATION = re.compile(
    r"(?P<whose>[我他她你]们?)(?P<own>公司|学校|医院|单位|大学|高中|中学|小学)"
    r"|[在去从到](?P<any>公司|学校|医院|大学|高中|中学|初中|幼儿园)(?!生|的|时|里的|毕业)"
)
TITLES = "哥 姐 叔 姨 总 老师 医生 阿姨 叔叔 经理 主任 同学 奶奶 大哥 教练 导 工 校长 师傅 大姐 女士 先生 律师"
STREETS = "路 路 街 大道 巷 东路 西街 里 胡同"
ESTATES = "花园 小区 苑 家园 公寓 新村 府 城 庄 里 湾 名邸 嘉园 雅苑"
VILLAGES = "村 庄 湾 屯 沟 寨 坪 岗"
SCHOOLS = "中学 小学 一中 二中 实验小学 第一中学 第三小学 幼儿园 职业技术学院 学院 大学 高中 外国语学校 附中 职高 技校"
FIRMS = """
科技 传媒 教育 商贸 物流 地产 电子
餐饮 服饰 网络 文化 建筑 保险 制药 广告 公司 科技公司 有限公司 集团 电子厂 设计院 律所 事务所
"""
HOSPITALS = "医院 人民医院 中医院 妇幼保健院 诊所 精神卫生中心 卫生院 口腔"
_CITY = re.compile("|".join(sorted(CITIES, key=len, reverse=True)))
# Words for kin and for people of a trade: no names.
KINDRED = frozenset(f"{NAMES['kin']} {NAMES['roles']}".split())


class Invention:
    """Draws names, addresses and organisations that look as theirs do.

    Given names come from the names of jieba's dictionary, whole or their characters by how frequent they are, from the
    characters of `traits.toml`, and, now and then, from words; places from the dictionary; a part of the addresses and
    organisations from the authors.
    """

    def __init__(self, draw: random.Random, sentences: list[Sentence]) -> None:
        self._draw = draw
        rows = [(word, count, tag) for word, count, tag in dictionary() if re.fullmatch(f"[{HAN}]+", word)]
        closed, given = set(NAMES["never_in_names"]), set(GIVEN)
        full = [word for word, _, tag in rows if tag == "nr" and word[0] in COMMON and not closed & set(word)]
        self._given = [word[1:] for word in full if len(word) == 3]
        self._single = [word[1] for word in full if len(word) == 2]
        self._words = [
            word
            for word, count, tag in rows
            if len(word) == 2 and set(word) <= given and word[0] != word[1] and count < 300
            if tag[0] in "navz" and tag not in ("nr", "ns", "nt", "nrt")
        ]
        self._towns = [word for word, count, tag in rows if tag == "ns" and 2 <= len(word) <= 4 and count < 200]
        self._addresses = [text[a:b] for text, spans, _ in sentences for a, b, kind in spans if kind == "address"]
        self._organisations = [
            text[a:b] for text, spans, _ in sentences for a, b, kind in spans if kind == "organisation"
        ]

    def _chance(self, share: float) -> bool:
        return self._draw.random() < share

    def name(self) -> str:
        """A full name, a given name, one with a title, or a nickname."""
        name = self._any_name()
        while name in KINDRED and self._chance(0.9):
            name = self._any_name()
        return name

    def _any_name(self) -> str:
        pick, form = self._draw.choice, self._draw.random()
        surname = pick(COMMON if self._chance(0.8) else POOL)
        if form < 0.30:
            return self._given_name()
        if form < 0.52:
            return surname + self._given_name()
        if form < 0.60:
            return surname + pick(self._single if self._chance(0.6) else GIVEN)
        if form < 0.68:
            return "小" + (pick(GIVEN) if self._chance(0.6) else surname)
        if form < 0.74:
            return "阿" + pick(GIVEN)
        if form < 0.79:
            return pick("老老大") + surname
        if form < 0.86:
            return (pick(GIVEN) if self._chance(0.7) else pick(self._given)[1]) * 2
        if form < 0.95:
            return surname + pick(TITLES.split())
        if form < 0.98:
            return (pick(GIVEN) if self._chance(0.6) else self._given_name()) + pick("哥姐叔姨妈爸")
        if self._chance(0.3):
            return "小" + self._given_name()
        return pick(NAMES["compound_surnames"].split()) + self._given_name()[: pick((1, 2))]

    def _given_name(self) -> str:
        pick, form = self._draw.choice, self._draw.random()
        if form < 0.35:
            return pick(self._given)
        if form < 0.70:
            return pick(self._given)[0] + pick(self._given)[1]
        return pick(GIVEN) + pick(GIVEN) if form < 0.92 else pick(self._words)

    def _number(self, digits: int) -> str:
        return str(self._draw.randint(1, 10 ** self._draw.randint(1, digits) - 1))

    def _brand(self) -> str:
        pick, form = self._draw.choice, self._draw.random()
        if form < 0.5:
            return self._given_name()
        return pick(GIVEN) + pick(GIVEN) if form < 0.8 else pick(self._towns)

    def _town(self) -> str:
        pick = self._draw.choice
        return pick(self._towns) if self._chance(0.7) else pick(self._given)[0] + pick(self._given)[1]

    def address(self) -> str:
        """One of the authors', with other cities, or one drawn part by part."""
        pick = self._draw.choice
        if self._chance(0.45):
            return _CITY.sub(lambda match: pick(CITIES), pick(self._addresses))
        address = pick(CITIES) + pick(["市", "", ""]) if self._chance(0.45) else ""
        if self._chance(0.45) or not address:
            town = self._town()
            address += town + ("" if town[-1] in "区县市镇乡" else pick(["区", "县", "镇", "街道", "乡"]))
        form = self._draw.random()
        if form < 0.4:
            address += self._brand() + pick(STREETS.split())
            address += self._number(3) + pick(["号", "弄", "号院"]) if self._chance(0.7) else ""
        elif form < 0.8:
            address += self._brand() + pick(ESTATES.split())
        else:
            address += pick(COMMON) + pick(["家", "", "大", "老"]) + pick(VILLAGES.split())
            address += pick("一二三四五六七八九十") + pick("组队社") if self._chance(0.4) else ""
        if form < 0.8 and self._chance(0.5):
            address += pick("一二三") + "期" if self._chance(0.15) else ""
            address += self._number(2) + pick(["栋", "号楼", "幢", "座", "单元"])
            address += self._number(4) + pick(["室", "", "房"]) if self._chance(0.6) else ""
        return address

    def organisation(self, instead_of: str) -> str:
        """A school, a hospital or a firm, as what stood there was."""
        pick = self._draw.choice
        firm, hospital = instead_of in ("公司", "单位"), instead_of == "医院"
        if not hospital and self._chance(0.3):
            return pick(self._organisations)
        head = pick(CITIES) + pick(["市", ""]) if self._chance(0.45) else ""
        kind = pick((FIRMS if firm else HOSPITALS if hospital else SCHOOLS).split())
        if firm or not head or self._chance(0.6):
            head += self._brand() if self._chance(0.75) else self._town()
        return head + kind


def place_details(
    talk: list[str], wanted: int, weight: float, invent: Invention, draw: random.Random
) -> Iterator[Sentence]:
    """About so many sentences of folded talk, evenly taken, each with one detail; a little stands before each."""
    each = max(1, round(wanted / len(talk)))
    for text in talk:
        places = [match.span() for match in SENTENCE.finditer(text)]
        draw.shuffle(places)
        placed = 0
        for start, end in places:
            if placed < each and end - start <= LONGEST:
                before = min(start, BEFORE)
                if sentence := _place_one(text[start - before : end], before, weight, invent, draw):
                    placed += 1
                    yield sentence


def _place_one(text: str, first: int, weight: float, invent: Invention, draw: random.Random) -> Sentence | None:
    kind = draw.randrange(100)
    wanted = _PERSON if kind < NAMED else _PLACE if kind < NAMED + HOUSED else _ORGANISATION
    matches = [match for match in wanted.finditer(text) if match.start() >= first]
    if not matches:
        return None
    match = draw.choice(matches)
    if kind < NAMED:
        return _with_name(match, weight, invent.name(), draw)
    if kind < NAMED + HOUSED:
        return _replaced(text, match.span("place"), "", invent.address(), "address", weight)
    group = "own" if match["own"] else "any"
    whole = match["own"] and draw.random() < 0.6
    return _replaced(
        text,
        match.span() if whole else match.span(group),
        "",
        invent.organisation(match[group]),
        "organisation",
        weight,
    )


def _with_name(match: re.Match[str], weight: float, name: str, draw: random.Random) -> Sentence:
    """In the place of the person, or after the word for them; before or after a greeting."""
    span, before = match.span(), ""
    if match["greeting"]:
        if draw.random() < 0.5:
            text = match.string[: match.start()] + name + "," + match.string[match.start() :]
            return Sentence(text, [(match.start(), match.start() + len(name), "name")], weight)
        span, before = (match.end(), match.end()), "," if draw.random() < 0.6 else ""
    elif match["role"]:
        form = draw.random()
        if form < 0.4:
            span = (match.end(), match.end())
        elif form < 0.5:
            before = match["noun"]
    return _replaced(match.string, span, before, name, "name", weight)


def _replaced(text: str, span: tuple[int, int], before: str, new: str, kind: str, weight: float) -> Sentence:
    start = span[0] + len(before)
    return Sentence(text[: span[0]] + before + new + text[span[1] :], [(start, start + len(new), kind)], weight)
