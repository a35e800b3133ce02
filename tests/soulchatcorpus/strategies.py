"""Hypothesis strategies for conversations, with all that can be wrong in them."""

from hypothesis import strategies as st

from soulchatcorpus.schema import TOPICS, Conversation

# Short pieces that come near to everything the text form is made of.
pieces = st.sampled_from(
    [
        "你好",
        "用户：",
        "心理咨询师：",
        "用户",
        "\n",
        "\r\n",
        "\u2028",
        " ",
        "　",
        "我是",
        "a",
        "：",
        '"',
        "\\",
        "},{",
        "😀",
        "[",
        "}",
    ]
)
texts = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=12), st.lists(pieces, max_size=8).map("".join)
)
words = texts.map(
    lambda text: f"我{text}".replace("\n用户：", "").replace("\n心理咨询师：", "")
)  # what no rule changes
roles = st.sampled_from(["user", "assistant"])


def messages(content: st.SearchStrategy[str] = texts, least: int = 0) -> st.SearchStrategy[list[dict]]:
    return st.lists(st.fixed_dictionaries({"role": roles, "content": content}), min_size=least, max_size=7)


def conversations(content: st.SearchStrategy[str] = texts) -> st.SearchStrategy[Conversation]:
    topics = st.one_of(st.none(), st.sampled_from([*TOPICS, "人际", "未明确"]))
    return st.builds(Conversation, id=st.text("ab1", max_size=2), messages=messages(content), topic=topics)
