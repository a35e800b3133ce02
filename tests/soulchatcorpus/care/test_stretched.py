"""English words that tell are read through figures, signs and repeated letters; other words stay."""

import pytest

from soulchatcorpus.care.folding import fold
from soulchatcorpus.care.stretched import read_stretched


@pytest.mark.parametrize(
    ("text", "read"),
    [
        ("i want to d1e!", "i want to die!"),
        ("$u1c1de", "suicide"),
        ("k!ll my$elf", "kill myself"),
        ("self-h@rm", "self-harm"),
        ("i wannaaa diieeee", "i wanna die"),
        ("ii wwaanntt ttoo ddiiee", "ii want to die"),
        ("w4nt t0 d|e", "want t0 die"),
    ],
)
def test_read(text, read):
    assert read_stretched(fold(text)).text == read


@pytest.mark.parametrize(
    "text",
    [
        "die! kill? harm.",
        "b3 and t3",
        "d1e@mail.com",
        "www.kill.com",
        "need sleep too off",
        "hhh 233 xxx",
        "%e6%9d",
        "3!",
    ],
)
def test_other_words_stay(text):
    assert read_stretched(fold(text)).text == text
