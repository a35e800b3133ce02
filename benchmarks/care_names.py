"""Learns which runs of characters are names: soulchatcorpus/care/names.npz.

    python benchmarks/care_names.py --smilechat smile_50k.parquet [--without AUTHOR]

Names come from `care_data/privacy-train.jsonl`, each also with others in its place, so that characters count that no
author used. What is no name comes from these sentences, from the messages and replies of `care_data` and from
SMILECHAT's dialogues but for the first 20,000, which are kept for measuring. The dictionary of jieba and all these
texts say which runs are frequent. scikit-learn and jieba wanted.
"""

import argparse
import json
import math
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np

from soulchatcorpus.care import private_names
from soulchatcorpus.care.folding import fold_characters
from soulchatcorpus.care.private_names import (
    RUN_BITS,
    WEIGHT_BITS,
    NameModel,
    hash_run,
    list_candidates,
    list_traits,
)

DATA = Path(__file__).parent / "care_data"
NAMES = Path(private_names.__file__).with_name("names.npz")
KEPT_DIALOGUES = 20_000
COUNTED_DIALOGUES = 15_000
SEED = 0
KNOWN_NAME = 30
OTHER_NAMES, OTHER_WEIGHT, TALK_WEIGHT = 16, 0.1, 1.0
REGULARISATION = 2.0
# Below the log odds of even: finds 76 % of the names of authors left out, and one run in 50 of SMILECHAT's dialogues.
THRESHOLD = -2.5
GIVEN = (
    "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华玉兰红建国志文宇轩浩然子涵梓欣怡思颖嘉雨晨一诺佳琪雪婷美玲"
    "燕海峰辉鹏飞龙凤云德福贵荣祥林森木春夏秋冬梅菊莲香珍珠翠莉倩茜雯晓小彤瑶琳琴瑞凯俊彦博韬睿哲瀚天佑依诗梦"
    "洁莹雅萱蕾薇若曦可馨语桐沐辰亦凡远航启铭泽昊宸家豪冠霖承翰奕柏宏毅恒正义忠诚信仁礼智勤俭富康乐永长久"
    "世昌盛兴旺根生柱栓锁虎彪豹牛有才财宝金银铜铁钢石山川江河湖波清源泉广田坤乾坚成立业建援朝跃进"
    "卫东方向阳胜利民主安宁淑贞惠慧娴婉仪佩芸芝花朵叶枝苗青紫白素巧灵敬爱喜庆善良真心意念恩慈"
    "孝媛嫣妍婧姝妮娅婕姗曼蔓莎莺鹃雁鸿鹤鸣岚岩峻岭峥嵘崇松柳杨梁栋楠桦榕槐桃李杏梨月星"
    "光亮晶璐璇玥珑琦瑜瑾琼瑛璟珊珂珮琛炜烨焕炎煜灿炳勋熙鑫钧锋锐铮镇铎钰书画词章"
    "儒卿贤达理谋武威猛健雄伦廷帆舟骏骁驰腾翔翼羽凌霄汉寰旭昕晖晗晴晟景昱昭晏"
    "曙朗传学维勉奋发图振起来祖耀宗绍继先延寿年丰登满仓禾君臣孙尧舜禹绮绣锦"
    "绢丝彩虹露霜冰雷震润沛淳渊湛澄溪汐潇湘沁沅洛滨涟漪政法宪舒畅悦怀恺悠忆悟慎懿戎战格桑棠榆樱欢步毓培基堂"
)


@dataclass(frozen=True, slots=True)
class Sentence:
    """A folded text with its names, or with None where nobody marked them; `weight` of each of its candidates."""

    text: str
    names: list[tuple[int, int]]
    weight: float


def read_sentences(path: Path, without: int | None) -> list[Sentence]:
    """The authors' sentences that folding leaves as long as they were."""
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        text = fold_characters(row["text"]).text
        if row["author"] != without and len(text) == len(row["text"]):
            kept.append(Sentence(text, [(start, end) for start, end, kind in row["spans"] if kind == "name"], 1.0))
    return kept


def read_talk(smilechat: Path) -> tuple[list[str], list[str]]:
    """Folded messages in which hardly any name stands: those whose runs are counted, and those that are weighed.

    They are apart, for what a candidate's own text says of its runs nobody knows of a new text.
    """
    import pyarrow.parquet as pq

    table = pq.read_table(smilechat, columns=["messages"])["messages"]
    talk = [
        fold_characters("\n".join(message["content"] for message in row)).text
        for row in table.slice(KEPT_DIALOGUES).to_pylist()
    ]
    written = [
        fold_characters(json.loads(line)["text"]).text
        for name in ("crisis-train", "crisis-plain", "replies-train")
        for line in (DATA / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    weighed = COUNTED_DIALOGUES
    return [*talk[:weighed], *written[::2]], [*talk[weighed:], *written[1::2]]


def count_runs(texts: list[str]) -> np.ndarray:
    """The logarithm of the count of each run of two or three characters: in talk and dictionary."""
    import jieba

    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(map("".join, pairwise(text)))
        counts.update(map("".join, zip(text, text[1:], text[2:], strict=False)))
    counts = Counter({run: count for run, count in counts.items() if count >= 2})
    known: dict[str, int] = {}
    with jieba.get_dict_file() as file:
        for line in file.read().decode().splitlines():
            word, frequency, tag = line.split()
            if tag[:2] == "nr":
                if len(word) in (2, 3) and int(frequency) >= KNOWN_NAME:
                    known[word] = private_names.KNOWN
            elif 2 <= len(word) <= 4:
                for place in range(len(word) - 1):
                    counts[word[place : place + 2]] += min(int(frequency), 200) // 4 + 1
                if len(word) < 4:
                    known[word] = private_names.WORD
                if len(word) == 3:
                    counts[word] += min(int(frequency), 200) // 4 + 1
    runs = np.zeros(1 << RUN_BITS, dtype=np.uint8)
    for run, count in counts.items():
        if "\n" not in run and count > (1 if len(run) == 2 else 3):
            place = hash_run(run)
            runs[place] = max(runs[place], min(15, int(math.log2(count))))
    for word, flag in known.items():
        runs[hash_run(word)] |= flag
    return runs


def with_other_names(sentences: list[Sentence], draw: random.Random) -> Iterator[Sentence]:
    """Each sentence with a surname and given name, with other such names in its place."""
    surnames = private_names._words().surnames
    common = (
        "王李张刘陈杨黄赵吴周徐孙马朱胡林郭何高罗郑梁谢宋唐许邓冯韩曹曾彭萧蔡潘田董袁于余叶蒋杜苏魏程吕丁沈任"
        "姚卢傅钟姜崔谭廖范汪陆金石戴贾韦夏邱方侯邹熊孟秦白江阎薛尹段雷黎史龙陶贺顾毛郝龚邵万钱严覃武戴莫孔向汤"
    )
    pool = common * 3 + "".join(sorted(surnames))
    for sentence in sentences:
        for start, end in sentence.names:
            if (
                sentence.text[start] in surnames
                and end - start in (2, 3)
                and sentence.text[end - 1] not in "师生叔姨哥姐总"
            ):
                for _ in range(OTHER_NAMES):
                    name = draw.choice(pool) + "".join(draw.choices(GIVEN, k=end - start - 1))
                    text = sentence.text[:start] + name + sentence.text[end:]
                    yield Sentence(text, [(start, end)], OTHER_WEIGHT)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smilechat", type=Path, required=True)
    parser.add_argument("--without", type=int, help="leave this author out")
    parser.add_argument("--out", type=Path, default=NAMES)
    options = parser.parse_args()
    from scipy.sparse import csr_matrix
    from sklearn.linear_model import LogisticRegression

    draw = random.Random(SEED)
    sentences = read_sentences(DATA / "privacy-train.jsonl", options.without)
    counted, talk = read_talk(options.smilechat)
    runs = count_runs(counted)
    model = NameModel(np.zeros(1 << WEIGHT_BITS, np.float32), runs, 0.0)
    columns: list[int] = []
    ends, labels, weights = [0], [], []
    rows = [*sentences, *with_other_names(sentences, draw), *(Sentence(text, [], TALK_WEIGHT) for text in talk)]
    for row in rows:
        for candidate in list_candidates(row.text, model):
            place = (candidate.start, candidate.end)
            is_name = place in row.names
            if (
                not is_name
                and row.weight == OTHER_WEIGHT
                and not any(s < place[1] and place[0] < e for s, e in row.names)
            ):
                continue  # beside the name in a sentence that was seen before
            traits = sorted(set(list_traits(row.text, candidate, model)))
            columns += traits
            ends.append(len(columns))
            labels.append(is_name)
            weights.append(row.weight)
    matrix = csr_matrix(
        (np.ones(len(columns), np.float32), np.array(columns, np.int32), np.array(ends, np.int32)),
        (len(labels), 1 << WEIGHT_BITS),
    )
    learner = LogisticRegression(C=REGULARISATION, solver="liblinear", random_state=SEED)
    learner.fit(matrix, labels, sample_weight=weights)
    learned = learner.coef_[0].astype(np.float16)
    threshold = THRESHOLD - float(learner.intercept_[0])
    with options.out.open("wb") as file:
        np.savez_compressed(file, weights=learned, runs=runs, threshold=np.float64(threshold))
    print(
        f"{len(labels)} candidates, {sum(labels)} names, {options.out.stat().st_size} bytes, threshold {threshold:.2f}"
    )


if __name__ == "__main__":
    main()
