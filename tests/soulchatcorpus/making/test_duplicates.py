"""The signatures: their size, what they disregard, and how often similar texts share a bucket."""

import random

import numpy as np

from soulchatcorpus.making.duplicates import BUCKETS, CONFIG, sign


def buckets(step, text: str) -> list[tuple[int, ...]]:
    return [tuple(bucket) for bucket in step.get_signature(step.get_shingles(text))]


def test_shape_and_white_space(tmp_path):
    step = sign(tmp_path)
    one = buckets(step, "我最近总是睡不好，很焦虑。")
    assert (len(one), {len(bucket) for bucket in one}) == (BUCKETS, {CONFIG.hashes_per_bucket})
    assert one == buckets(step, "我最近 总是睡不好，\n很焦虑。")
    assert one != buckets(step, "我最近总是睡得好，很焦虑。")


def test_too_short_for_a_shingle(tmp_path):
    shingles = sign(tmp_path).get_shingles("四个字啊")
    assert shingles.shape == (0, 1)
    assert shingles.dtype == np.uint32


def test_similar_texts_share_a_bucket_as_often_as_theory_says(tmp_path):
    """For a Jaccard similarity s the chance is 1 - (1 - s^7)^10: 0.91 at 0.8, 0.08 at 0.5."""
    step, draw = sign(tmp_path), random.Random(0)
    alphabet = [chr(code) for code in range(0x4E00, 0x4E00 + 3000)]

    def found(changed: int) -> float:
        hits = 0
        for _ in range(150):
            text = [draw.choice(alphabet) for _ in range(400)]
            other = text.copy()
            other[:changed] = [draw.choice(alphabet) for _ in range(changed)]
            one, two = ("".join(part) for part in (text, other))
            hits += any(a == b for a, b in zip(buckets(step, one), buckets(step, two), strict=True))
        return hits / 150

    assert found(40) > 0.82  # s = (396 - 44) / (396 + 44) = 0.80
    assert found(130) < 0.16  # s = (396 - 134) / (396 + 134) = 0.49
