"""Data sets of spans: shared contexts, what they take to store, what was cut."""

import pytest
from datasets import Dataset, load_dataset

import soulchatcorpus
from soulchat_trainer.chatglm import ChatGLMTokenizer
from soulchat_trainer.encoding.collator import SampleDataset
from soulchat_trainer.encoding.paper_form import ChatGLMEncoder
from soulchat_trainer.encoding.spans import encode_dataset
from soulchatcorpus.schema import Conversation
from soulchatcorpus.turns import split_turns
from tests.soulchat_trainer.training_parts import make_rows

NO_LIMIT = 1_000_000


def test_turn_rows_share_their_contexts(chatglm_tokenizer: ChatGLMTokenizer) -> None:
    """The same samples as from conversations, and one pool for the turns of a conversation."""
    conversations = make_rows(20)
    turns = [
        {"conversation_id": t.conversation_id, "prompt": t.prompt, "completion": t.completion}
        for row in conversations
        for t in split_turns(Conversation(row["id"], row["messages"]))
    ]
    encoder = ChatGLMEncoder(chatglm_tokenizer, 60, 30)
    from_turns = encode_dataset(Dataset.from_list(turns), encoder)
    from_conversations = encode_dataset(conversations, encoder)
    assert len(from_turns) == 20
    assert from_turns["ids"][:] == from_conversations["ids"][:]
    assert from_turns["samples"][:] == from_conversations["samples"][:]


def test_storage_is_at_least_two_times_less(chatglm_tokenizer: ChatGLMTokenizer) -> None:
    """Against input_ids of whole samples alone, labels not counted, on the embedded dialogues."""
    rows = load_dataset(soulchatcorpus.__name__, "conversations", split="train[:200]")
    encoded = encode_dataset(rows, ChatGLMEncoder(chatglm_tokenizer, NO_LIMIT, NO_LIMIT))
    stored = sum(map(len, encoded["ids"])) + sum(len(s) + 1 for row in encoded["samples"] for s in row)
    assert SampleDataset(encoded).lengths.sum() >= 2 * stored


@pytest.mark.parametrize("column", ["cut_contexts", "cut_user_turns", "cut_targets"])
def test_cuts_are_counted(chatglm_tokenizer: ChatGLMTokenizer, column: str) -> None:
    samples = SampleDataset(encode_dataset(make_rows(30), ChatGLMEncoder(chatglm_tokenizer, 16, 8)))
    assert samples.cuts[column] > 0
    assert f"{samples.cuts[column]:,}" in samples.describe_cuts(16, 8)
