"""The authors' sentences with private details, and copies of them with other names and places."""

import json
import random
import re
import tomllib
from collections.abc import Collection, Iterator
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

from soulchatcorpus.care.folding import fold_characters

NAMES = tomllib.loads(files("soulchatcorpus.care").joinpath("names.toml").read_text(encoding="utf-8"))
PLACES = tomllib.loads(files("soulchatcorpus.care").joinpath("places.toml").read_text(encoding="utf-8"))
SURNAMES = frozenset(NAMES["surnames"])
# More often drawn than the others.
COMMON = (
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高罗郑梁谢宋唐许邓冯韩曹曾彭萧蔡潘田董袁于余叶蒋杜苏魏程吕丁沈任"
    "姚卢傅钟姜崔谭廖范汪陆金石戴贾韦夏邱方侯邹熊孟秦白江阎薛尹段雷黎史龙陶贺顾毛郝龚邵万钱严覃武莫孔向汤"
)
POOL = COMMON * 3 + "".join(sorted(SURNAMES))
GIVEN = tomllib.loads(files("soulchatcorpus.care").joinpath("traits.toml").read_text(encoding="utf-8"))["kinds"][0]
CITIES = f"{PLACES['provinces']} {PLACES['cities']}".split()
_CITY = re.compile("|".join(sorted(CITIES, key=len, reverse=True)))
_TITLED = "师生叔姨哥姐总婶伯嫂爷奶"

Span = tuple[int, int, str]


class Sentence(NamedTuple):
    """A folded text, where its details are, and how much it counts."""

    text: str
    spans: list[Span]
    weight: float


def read_sentences(path: Path, without: Collection[int]) -> list[Sentence]:
    """The authors' sentences that folding leaves as long as they were."""
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        text = fold_characters(row["text"]).text
        if row["author"] not in without and len(text) == len(row["text"]):
            kept.append(Sentence(text, sorted((start, end, kind) for start, end, kind in row["spans"]), 1.0))
    return kept


def with_others(sentences: list[Sentence], copies: int, weight: float, draw: random.Random) -> Iterator[Sentence]:
    """So many copies of each sentence with a name, an address or an organisation, with others in their place."""
    kinds = ("name", "address", "organisation")
    pool: dict[str, list[str]] = {kind: [] for kind in kinds}
    for text, spans, _ in sentences:
        for start, end, kind in spans:
            if kind in pool:
                pool[kind].append(text[start:end])
    for sentence in sentences:
        if any(kind in kinds for *_, kind in sentence.spans):
            for _ in range(copies):
                yield _copy(sentence, weight, pool, draw)


def _copy(sentence: Sentence, weight: float, pool: dict[str, list[str]], draw: random.Random) -> Sentence:
    text, spans, done = "", list[Span](), 0
    for start, end, kind in sentence.spans:
        text += sentence.text[done:start]
        new = sentence.text[start:end]
        if kind == "name":
            new = _other_name(new, pool["name"], draw)
        elif kind in pool:
            new = draw.choice(pool[kind]) if draw.random() < 0.5 else new
            new = _CITY.sub(lambda match: draw.choice(CITIES) if draw.random() < 0.5 else match[0], new)
        spans.append((len(text), len(text) + len(new), kind))
        text += new
        done = end
    return Sentence(text + sentence.text[done:], spans, weight)


def _other_name(name: str, pool: list[str], draw: random.Random) -> str:
    """One of the same form: surname and given name, 小 and a character, a character twice, a given name alone."""
    first, length = name[0], len(name)
    if first in SURNAMES and length in (2, 3) and name[-1] not in _TITLED:
        return draw.choice(POOL) + "".join(draw.choices(GIVEN, k=length - 1))
    if length == 2 and first in "小阿大老":
        return first + draw.choice(GIVEN if first in "小阿" else COMMON)
    if length == 2 and first == name[1]:
        return draw.choice(GIVEN) * 2
    if length == 2:
        return "".join(draw.choices(GIVEN, k=2))
    if first in SURNAMES:
        return draw.choice(COMMON) + name[1:]
    return draw.choice(pool)
