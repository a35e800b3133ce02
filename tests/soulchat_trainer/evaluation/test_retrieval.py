"""Retrieval finds the nearest prompt by what is rare in it."""

import pytest

from soulchat_trainer.evaluation.retrieval import retrieval_baseline
from soulchatcorpus.turns import Turn

TRAIN = [
    Turn("1", 1, [{"role": "user", "content": "我失眠了"}], "多久了？"),
    Turn("2", 1, [{"role": "user", "content": "我和父母吵架了"}], "为什么吵？"),
    Turn("3", 1, [{"role": "user", "content": "我和男友吵架了"}], "他怎么说？"),
]


def test_nearest_prompt() -> None:
    prompts = ["用户：最近失眠\n心理咨询师：", "用户：男友和我吵架\n心理咨询师：", TRAIN[1].prompt]
    assert retrieval_baseline(TRAIN, prompts) == ["多久了？", "他怎么说？", "为什么吵？"]


def test_nothing_shared_gives_the_first_and_nothing_to_search_is_refused() -> None:
    assert retrieval_baseline(TRAIN, ["x"]) == ["多久了？"]
    assert retrieval_baseline(TRAIN[:1], ["x"]) == ["多久了？"]
    with pytest.raises(ValueError, match="no training turns"):
        retrieval_baseline([], ["x"])
