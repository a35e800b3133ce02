"""The lexicon on the paper's own examples."""

import pytest

from soulchat_trainer.evaluation.empathy import claims, expression_rates, find_expressions

# The paper: Figure 12 (ChatGPT), 13 (ChatGLM), 1 and 11 (SoulChat).
CHATGPT = "我很抱歉听到你最近感到焦虑和身心俱疲。以下是一些建议:\n\n1. 寻求支持\n2. 调整生活方式"
SOULCHAT_1 = "我可以听听你的感受。你可以告诉我具体是什么让你感到焦虑吗？"
SOULCHAT_2 = "不要放弃，或许你需要更长时间的调整。"
SOULCHAT_3 = "我可以理解你的痛苦和内心的挣扎。不过，我相信你是一个坚强的人，你可以通过自己的努力来改变现状。"


@pytest.mark.parametrize(
    ("reply", "found", "absent"),
    [
        (CHATGPT, {"advice_lists", "listening"}, {"asks", "comfort", "trust"}),
        (SOULCHAT_1, {"asks", "listening", "reflection"}, {"advice_lists"}),
        (SOULCHAT_2, {"comfort"}, {"asks", "advice_lists"}),
        (SOULCHAT_3, {"reflection", "trust"}, {"asks", "advice_lists"}),
        ("你真的很勇敢，这是很好的一步。", {"recognition"}, {"asks"}),
        ("这可能是因为童年的经历。", {"interpretation"}, {"comfort"}),
        ("", set(), set(claims())),
    ],
)
def test_expressions(reply: str, found: set[str], absent: set[str]) -> None:
    expressions = find_expressions(reply)
    assert found <= expressions
    assert not absent & expressions


def test_rates_are_shares_of_replies() -> None:
    rates = expression_rates([SOULCHAT_1, CHATGPT, "好的。", "嗯？"])
    assert rates["asks"] == 0.5
    assert rates["advice_lists"] == 0.25
    assert set(rates) == set(claims())
    assert all(claims().values())
