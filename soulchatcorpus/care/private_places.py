"""Addresses, and schools, hospitals and employers with their proper names, in folded text.

Only what stands around a house number, a village or a word such as 中学 is looked at: to the left up to a word that
leads to a place, to the right as long as parts of an address follow.
"""

import re
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from itertools import pairwise

from ..patterns import first_character_index
from ..sieve import Openings
from .folding import HAN
from .private_names import frequency_of, is_word

Found = tuple[str, int, int]

# How far to the left of its number an address may begin, and an organisation before the word for its kind.
_LONGEST_ADDRESS, _LONGEST_NAME = 34, 16
# How frequent in ordinary talk the end of a name may be before the word for its kind, and any two of its characters.
_RARE, _KNOWN_NAME = 2, 7
_LONGEST_RARE = 6
# Any word may stand before these.
_OF_ANY_KIND = ("公司", "学校", "银行", "图书馆", "酒店", "工厂")
_COUNT = r"[0-9一二三四五六七八九十百甲乙丙丁a-z]{1,5}"
_UNIT = (
    r"(?:号院|号楼|号|弄|栋|幢|座|单元|层|楼|室|房|户|组|大?队|巷|期|区|宿舍|寝室|舍|门|梯|床|病区|病房|社"
    r"|之[0-9一二三]"
    r"|[东西南北左右][边侧]?(?:户|门|头|手边|单元)|天台|顶楼|底楼|信报箱|车库|负[一二三]层|地下[一二三]层|对面"
    r"|旁边|门口|门卫室|隔壁|后面|背后|楼上|楼下)"
)
_STREET = (
    r"(?:大道|大街|胡同|小区|花园|新村|公寓|家园|大厦|社区|广场|宿舍楼?|新城|花苑|名苑|雅苑|家属院|家属楼|雅居"
    r"|山庄|嘉园|公馆|别墅|住院部|门诊楼|外科楼|内科楼|工业园|产业园|菜市场|公租房"
    r"|[路街巷弄道村苑园屯庄寨湾坊院庭府里居城堡轩台寓邸舍楼区镇镇乡])"
)
# A number with its unit behind a street, a yard or a house.
_HOUSE = re.compile(
    rf"{_STREET}(?:[东西南北中]路?)?(?:[一二三四五六七八九十]段)?[ ,]?第?{_COUNT}"
    rf"(?:-[0-9a-z]{{1,5}}){{0,3}} ?(?:{_UNIT}"
    rf"|(?<=[0-9][0-9][0-9])(?![0-9元块分年天]))"
    rf"|[{HAN}][0-9]{{1,3}}(?:期|栋|幢|号楼|座)[0-9一二三四五六七八九十]"
    rf"|[{HAN}](?:[0-9]{{1,2}}-){{1,2}}[0-9]{{3,4}}(?![0-9a-z-])"
    rf"|[{HAN}][一二三四五六七八九十0-9]{{1,2}}期[0-9]"
)
_HOUSE_HINT = re.compile(
    r"[0-9]|[一二三四五六七八九十百甲乙丙丁](?:号|弄|栋|幢|座|单元|层|楼|室|房|户|组|队|巷|期|区|宿舍|寝室)"
)
_REST = re.compile(
    rf"(?:(?:第?{_COUNT}(?:-[0-9a-z]{{1,5}}){{0,3}} ?{_UNIT}"
    rf"|-?[0-9]{{1,5}}(?:-[0-9]{{1,5}}){{0,2}}(?![0-9元块分年天岁个])"
    rf"|附[0-9]{{1,3}}号|[a-z]?[0-9]{{1,4}}(?:信报箱|车库|车位|档|床)|[{HAN}]{{1,8}}(?:小区|花园|公寓|家园|大厦"
    rf"|社区|广场|宿舍楼?|园区|号楼"
    rf"|栋)(?:{_COUNT}{_UNIT})?|{_UNIT}){{1,6}})"
)
_WESTERN = re.compile(
    r"(?<![0-9A-Za-z])[0-9]{1,5} (?:[A-Z][a-z]+ ){1,3}(?:Street|St|Road|Rd|Avenue|Ave|Lane|Drive|Boulevard|Court)\b\.?"
    r"(?:,? (?:Apt|Apartment|Unit) \w+)?"
)
WESTERN_ADDRESS_OPENINGS: Openings = [[("[0-9]", " ", "[a-z]")]]
_NUMBER_AND_CAPITAL = re.compile("[0-9] [A-Z]")
# What a district, county or town goes on to: a village, a road.
_TAIL_OF_DISTRICT = (
    rf"(?:(?:(?:[{HAN}](?<!的)){{1,8}}?(?:村委会|村|屯|嘎查|庄|寨|沟|社区|路|街|大道|巷|坊|小区|花园|家园|工业区|公园|监狱"
    rf"|宾馆|车站)){{1,3}}"
    rf"(?:{_COUNT}(?:组|队|社|号|弄|区))?(?:[东西南北村]头|对面|对门|背后|旁边|[东西南北]门|[东西南北]侧|口)?)"
)
_DISTRICT = re.compile(
    rf"(?:镇|乡|街道|苏木|农场|林场|团场)(?:{_TAIL_OF_DISTRICT})?"
    rf"|[市县区旗州](?<![城都超夜小社地校景片].)(?![{HAN}]?(?:区|县)|场|民|面|中心){_TAIL_OF_DISTRICT}"
    rf"|(?:路|大道|街)[{HAN}]{{0,8}}?(?:交叉口|交口|匝道|立交桥下?|步行街)"
)


def find_addresses(text: str) -> Iterator[Found]:
    """(kind, start, end) of each address in folded text, from its first part to its last."""
    words = _words()
    done = 0
    for match in _HOUSE.finditer(text) if _HOUSE_HINT.search(text) else ():
        if match.start() < done:
            continue
        rest = _REST.match(text, match.end())
        end = rest.end() if rest else match.end()
        start = _begin(words, text, match.start() + 1, _LONGEST_ADDRESS)
        if end - start >= 5 and not words.no_address.search(text, start, end):
            done = end
            yield "address", start, end
    for match in _DISTRICT.finditer(text):
        start = _begin(words, text, match.start() + 1, _LONGEST_ADDRESS)
        before = text[start : match.start()]
        if words.district.search(before + match[0][0]) and match.end() - start >= 6:
            yield "address", start, match.end()


def find_western_addresses(text: str) -> list[Found]:
    """(kind, start, end) of each street in English with its number, in a text as it was typed: capitals matter."""
    if not _NUMBER_AND_CAPITAL.search(text):
        return []
    return [("address", *match.span()) for match in _WESTERN.finditer(text)]


def find_organisations(text: str) -> list[Found]:
    """(kind, start, end) of each school, hospital, office or firm that its name singles out."""
    words = _words()
    found: list[Found] = []
    for match in words.organisation.finditer(text):
        place = match.start()
        if text[place - 1 : place] in words.plain_before:
            continue
        start = _begin(words, text, place, _LONGEST_NAME)
        for lead in words.organisation_lead.finditer(text, start, place - 1):
            start = lead.end()
        name = text[start:place]
        if len(name) < 2 or words.generic.fullmatch(name):
            continue
        certain = words.groups[(match.lastindex or 0) - 1] == 0
        rare = match[0] not in _OF_ANY_KIND and frequency_of(name[-1] + match[0][0]) <= _RARE and _is_proper(name)
        if words.proper.search(name) or ((certain or rare) and not words.generic_part.search(name)):
            department = words.department.match(text, match.end())
            if found and found[-1][1] == start:
                found.pop()  # the same name goes on
            found.append(("organisation", start, department.end() if department else match.end()))
    return found


def is_generic(organisation: str) -> bool:
    """Whether an organisation is of a kind of which there are many: 社区卫生服务中心, 理想大学."""
    return _words().generic_organisation.fullmatch(organisation) is not None


def _is_proper(name: str) -> bool:
    """Whether it is no word, and no two neighbours in it are frequent together, as they are in a sentence."""
    return (
        len(name) <= _LONGEST_RARE
        and not is_word(name)
        and all(frequency_of(a + b) <= _KNOWN_NAME for a, b in pairwise(name))
    )


def _begin(words: "_Words", text: str, place: int, longest: int) -> int:
    """Where what ends at `place` begins: at a province or city, or after a mark or a word that leads to it."""
    start = place
    while start > max(0, place - longest) and words.inside.match(text, start - 1):
        start -= 1
    if known := words.province.search(text, start, place):
        return known.start()
    for lead in words.lead.finditer(text, start, place - 1):
        start = lead.end()
    return start


class _Words:
    def __init__(self) -> None:
        data = tomllib.loads(files(__package__).joinpath("places.toml").read_text(encoding="utf-8"))

        def any_of(*names: str) -> str:
            words = [word for name in names for word in data[name].split()]
            return "|".join(sorted(words, key=len, reverse=True))

        self.inside = re.compile(rf"[{HAN}0-9a-z\-](?<![{data['never_in_places']}])")
        self.lead = re.compile(any_of("leads"))
        self.organisation_lead = re.compile(any_of("leads", "leads_to_organisations"))
        self.no_address = re.compile(any_of("never_in_addresses"))
        self.province = re.compile(any_of("provinces", "cities"))
        self.district = re.compile(rf"[{HAN}](?:[市县旗州]|省|[{HAN}]区)|(?:{any_of('provinces', 'cities')})[{HAN}]")
        self.proper = re.compile(
            rf"{any_of('provinces', 'cities')}|[{HAN}]{{2}}[市县区镇乡州旗]|第[一二三四五六七八九十]|附[属中小]"
            rf"|[一二三四五六七八九十][附院中小]"
        )
        self.organisation, self.groups = first_character_index(
            [data["certain_organisations"].split(), data["organisations"].split()]
        )
        self.department = re.compile(any_of("departments"))
        self.plain_before = frozenset(data["plain_before"]) | {""}
        self.generic = re.compile(f"(?:{any_of('generic')})+")
        self.generic_organisation = re.compile(f"(?:{any_of('generic_organisation')})+")
        self.generic_part = re.compile(any_of("generic_parts"))


@cache
def _words() -> _Words:
    return _Words()
