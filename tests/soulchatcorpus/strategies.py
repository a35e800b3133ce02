"""Hypothesis strategies for conversations, with all that can be wrong in them."""

from hypothesis import strategies as st

from soulchatcorpus.clients import LEVELS, TRAITS
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
any_roles = st.sampled_from(["user", "assistant", "system"])


def messages(content: st.SearchStrategy[str] = texts) -> st.SearchStrategy[list[dict]]:
    """Anything, system texts anywhere."""
    return st.lists(st.fixed_dictionaries({"role": any_roles, "content": content}), max_size=7)


def regular_messages() -> st.SearchStrategy[list[dict]]:
    """What no rule changes, half of it with a system text."""
    system = st.lists(st.fixed_dictionaries({"role": st.just("system"), "content": words}), max_size=1)
    said = st.lists(st.fixed_dictionaries({"role": roles, "content": words}), min_size=1, max_size=7)
    return st.builds(list.__add__, system, said)


def conversations(content: st.SearchStrategy[str] = texts) -> st.SearchStrategy[Conversation]:
    topics = st.one_of(st.none(), st.sampled_from([*TOPICS, "人际", "未明确"]))
    return st.builds(
        Conversation,
        id=st.text("ab1", max_size=2),
        messages=messages(content),
        topic=topics,
        client=clients(),
        counsellor=st.sampled_from([None, "lin", "林"]),
    )


def clients() -> st.SearchStrategy[dict[str, str] | None]:
    """As they stand in a conversation: None, or some of the fields."""
    stated = {
        "age_group": st.sampled_from(["18-25", "60+", "中年"]),
        "gender": st.sampled_from(["female", "male", "nonbinary"]),
        **dict.fromkeys(TRAITS, st.sampled_from(LEVELS)),
        "about": st.just("爱安静"),
    }
    return st.one_of(st.none(), st.fixed_dictionaries({}, optional=stated).map(lambda found: found or None))
