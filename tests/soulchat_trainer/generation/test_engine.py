"""The engine: the same reply in any batch, as transformers' generate would give it; joining, leaving, streaming."""

import dataclasses
from collections.abc import Sequence

import pytest
import torch
from datasets import Dataset
from transformers import PreTrainedModel, PreTrainedTokenizerBase

import soulchatcorpus
from soulchat_trainer.chatglm import ChatGLMTokenizer
from soulchat_trainer.data import list_turns
from soulchat_trainer.generation import engine as generation
from soulchat_trainer.generation.engine import Decoding, Reply, ReplyEngine, generate_replies
from soulchatcorpus import Message
from tests.soulchat_trainer import training_parts
from tests.soulchat_trainer.encoding.families import FAMILIES

FOLDER = soulchatcorpus.__path__[0]


@pytest.fixture(scope="session")
def sample_turns() -> Dataset:
    """The embedded sample's test turns."""
    return Dataset.from_parquet(f"{FOLDER}/data/turns-test.parquet")


@pytest.fixture(scope="session", params=["chatglm", "causal"])
def parts(
    request: pytest.FixtureRequest, chatglm_tokenizer: ChatGLMTokenizer, causal_tokenizer: PreTrainedTokenizerBase
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """A small model of each kind; weights so large that replies differ."""
    if request.param == "chatglm":
        model = training_parts.make_chatglm(chatglm_tokenizer, initializer_range=0.3, max_sequence_length=2048)
        return model, chatglm_tokenizer
    model = training_parts.make_causal_model(causal_tokenizer)
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(6)
    return model, causal_tokenizer


def talks(turns: Dataset) -> list[list[Message]]:
    return [turn.context for turn in list_turns(turns)]


def replies_in_batches(
    parts: tuple, turns: Dataset, decoding: Decoding, batch_sizes: Sequence[int]
) -> list[list[Reply]]:
    return [generate_replies(*parts, talks(turns), turns["id"], decoding, size) for size in batch_sizes]


def test_the_same_text_at_batch_sizes_1_3_and_32_and_in_any_order(parts: tuple, sample_turns: Dataset) -> None:
    turns = sample_turns.filter(lambda turn: len(turn["prompt"]) < 250).select(range(0, 120, 3))
    decoding = Decoding(max_new_tokens=12)
    one, three, many = replies_in_batches(parts, turns, decoding, (1, 3, 32))
    assert one == three == many
    assert len({reply.text for reply in one}) > len(one) / 2
    backwards = turns.select(range(len(turns))[::-1])
    assert replies_in_batches(parts, backwards, decoding, (5,))[0][::-1] == one


@pytest.mark.slow
def test_the_same_text_on_turns_of_every_length(parts: tuple, sample_turns: Dataset) -> None:
    turns = sample_turns.select(range(0, len(sample_turns), 4))
    one, three, many = replies_in_batches(parts, turns, Decoding(max_new_tokens=24), (1, 3, 32))
    assert one == three == many


def test_a_row_that_decides_alone_decides_the_same(parts: tuple, sample_turns: Dataset, monkeypatch) -> None:
    turns = sample_turns.select(range(6))
    decoding = Decoding(max_new_tokens=8)
    usual = replies_in_batches(parts, turns, decoding, (4,))[0]
    monkeypatch.setattr(generation, "FLOAT32_MARGIN", 1e9)  # everything is undecided
    assert replies_in_batches(parts, turns, decoding, (4,))[0] == usual


def test_greedy_replies_are_those_of_transformers(parts: tuple, sample_turns: Dataset) -> None:
    model, tokenizer = parts
    turns = sample_turns.select(range(5))
    decoding = Decoding(max_new_tokens=10, do_sample=False)
    engine = ReplyEngine(model, tokenizer, max_batch_size=3)
    requests = [engine.submit(turn.context, decoding, turn.id) for turn in list_turns(turns)]
    while engine.busy:
        engine.step()
    for request in requests:
        ids = torch.tensor([request.prompt_ids])
        expected = model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            do_sample=False,
            max_new_tokens=10,
            pad_token_id=tokenizer.pad_token_id,
        )[0, len(request.prompt_ids) :].tolist()
        ended = expected[-1] in engine.stop_ids
        assert request.token_ids == (expected[:-1] if ended else expected)
        assert request.finish_reason == ("stop" if ended else "length")


def test_seed_and_key_decide(parts: tuple, sample_turns: Dataset) -> None:
    same = talks(sample_turns.select([0])) * 3
    replies = generate_replies(*parts, same, ["a", "b", "a"], Decoding(max_new_tokens=12))
    assert replies[0] == replies[2] != replies[1]
    assert generate_replies(*parts, same[:1], ["a"], Decoding(max_new_tokens=12, seed=1))[0] != replies[0]


def test_deltas_add_up_and_requests_join_and_leave(parts: tuple, sample_turns: Dataset) -> None:
    engine = ReplyEngine(*parts, max_batch_size=2)
    turns = list_turns(sample_turns.select(range(4)))
    submit = lambda row, **kwargs: engine.submit(  # noqa: E731
        turns[row].context, Decoding(max_new_tokens=9), turns[row].id, **kwargs
    )
    alone = generate_replies(
        *parts, [turn.context for turn in turns], [turn.id for turn in turns], Decoding(max_new_tokens=9), 1
    )
    requests = [submit(0, stream=True)]
    pieces: dict = {}

    def step() -> None:
        for delta in engine.step():
            pieces.setdefault(delta.request, []).append(delta.text)

    step()
    step()
    requests += [submit(1, stream=True), submit(2, stream=True), submit(3)]
    step()
    engine.cancel(requests[1])
    while engine.busy:
        step()
    assert engine.step() == []
    assert requests[1].finish_reason == "cancelled"
    for number in (0, 2, 3):
        assert requests[number].reply == alone[number]
        assert "".join(pieces[requests[number]]) == alone[number].text
    assert len(pieces[requests[3]]) == 1
    assert max(len(pieces[requests[number]]) for number in (0, 2)) > 1


def test_a_reply_ends_before_the_first_stop_string_streamed_or_whole(parts: tuple, sample_turns: Dataset) -> None:
    talk, decoding = talks(sample_turns.select([0]))[0], Decoding(max_new_tokens=40)
    [whole] = generate_replies(*parts, [talk], ["a"], decoding)
    assert len(whole.text) > 12
    for stop in ([whole.text[6:9]], ["没有这个词", whole.text[9:11], whole.text[6:9]], [whole.text[-2:]]):
        engine = ReplyEngine(*parts)
        expected = whole.text[: min(place for place in map(whole.text.find, stop) if place >= 0)]
        requests = [engine.submit(talk, decoding, "a", stream, stop=stop) for stream in (True, False)]
        pieces: dict = {}
        while engine.busy:
            for delta in engine.step():
                pieces.setdefault(delta.request, []).append(delta.text)
        for request in requests:
            assert (request.text, request.finish_reason) == (expected, "stop")
            assert "".join(pieces[request]) == expected
        assert len(pieces[requests[1]]) == 1
    engine = ReplyEngine(*parts)
    request = engine.submit(talk, decoding, "a", stream=True, stop=["没有这个词"])
    while engine.busy:
        engine.step()
    assert request.reply == whole


def test_repetition_penalty_is_that_of_transformers(parts: tuple, sample_turns: Dataset) -> None:
    model, tokenizer = parts
    talk, decoding = talks(sample_turns.select([0]))[0], Decoding(max_new_tokens=12, do_sample=False)
    engine = ReplyEngine(model, tokenizer)
    requests = [
        engine.submit(talk, dataclasses.replace(decoding, repetition_penalty=penalty), "a") for penalty in (1.0, 1.7)
    ]
    while engine.busy:
        engine.step()
    ids = torch.tensor([requests[0].prompt_ids])
    for request, penalty in zip(requests, (1.0, 1.7), strict=True):
        generated = model.generate(ids, max_new_tokens=12, do_sample=False, repetition_penalty=penalty)
        assert generated[0, ids.shape[-1] :].tolist()[: len(request.token_ids)] == request.token_ids
    assert requests[0].token_ids != requests[1].token_ids


def test_top_k_of_one_is_greedy_whatever_else_is_in_the_batch(parts: tuple, sample_turns: Dataset) -> None:
    talk = talks(sample_turns.select([0]))[0]
    ways = [Decoding(max_new_tokens=12, do_sample=False), Decoding(max_new_tokens=12, top_k=1, top_p=1, temperature=2)]
    engine = ReplyEngine(*parts)
    greedy, one, _ = [engine.submit(talk, way, "a") for way in [*ways, Decoding(max_new_tokens=12)]]
    while engine.busy:
        engine.step()
    assert greedy.reply == one.reply


def test_cancelled_before_it_began(parts: tuple) -> None:
    engine = ReplyEngine(*parts)
    request = engine.submit([{"role": "user", "content": "你好"}], Decoding(), "a")
    engine.cancel(request)
    assert engine.step() == []
    assert not engine.busy


def test_the_window_holds_prompt_and_reply(parts: tuple) -> None:
    talk = [{"role": role, "content": "难过" * 8} for role in ("user", "assistant") * 6] + [
        {"role": "user", "content": "睡不着"}
    ]
    engine = ReplyEngine(*parts, window=64)
    request = engine.submit(talk, Decoding(max_new_tokens=512), "a")
    assert request.dropped % 2 == 0
    assert 0 < request.dropped < len(talk)
    while engine.busy:
        engine.step()
    assert len(request.prompt_ids) + len(request.token_ids) <= 64
    with pytest.raises(ValueError, match="allowed: at most 48"):
        engine.submit([{"role": "user", "content": "难" * 200}], Decoding(), "a")
    request = engine.submit([{"role": "user", "content": "难" * 200}], Decoding(), "a", cut_last=True)
    assert len(request.prompt_ids) <= 48


def test_replies_end_at_the_end_token(parts: tuple) -> None:
    model, tokenizer = parts
    engine = ReplyEngine(model, tokenizer)
    engine.stop_ids = frozenset(range(len(tokenizer)))
    request = engine.submit([{"role": "user", "content": "你好"}], Decoding(), "a")
    [delta] = engine.step()
    assert (delta.request, delta.text) == (request, "")
    assert request.reply == Reply("", finished=True, num_tokens=0)


def test_logits_that_are_not_finite_are_told(parts: tuple, monkeypatch) -> None:
    model, tokenizer = parts
    monkeypatch.setattr(
        model.get_output_embeddings(), "forward", lambda rows: rows.new_full((*rows.shape[:2], 9), torch.nan)
    )
    with pytest.raises(ValueError, match="not finite"):
        generate_replies(model, tokenizer, [[{"role": "user", "content": "你好"}]], ["a"], Decoding())


def test_batch_size_is_checked(parts: tuple) -> None:
    with pytest.raises(ValueError, match="max_batch_size is 0"):
        ReplyEngine(*parts, max_batch_size=0)


def learn(tokenizer: PreTrainedTokenizerBase, text: str) -> PreTrainedModel:
    """A small causal model that says one text and nothing else."""
    model = training_parts.make_causal_model(tokenizer)
    ids = tokenizer(text, add_special_tokens=False, return_tensors="pt").input_ids
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(200):
        optimizer.zero_grad()
        model(input_ids=ids, labels=ids).loss.backward()
        optimizer.step()
    return model


@pytest.mark.parametrize("ends", [True, False])
def test_a_model_that_thinks_is_asked_and_read_by_the_policy(ends: bool) -> None:
    """Qwen 3.5's: its prompt opens a thought, or closes it."""
    family = next(family for family in FAMILIES if family.name == "qwen3.5-think")
    tokenizer = family.make_tokenizer()
    prompt = "<|im_start|>user\n我很难过<|im_end|>\n<|im_start|>assistant\n<think>\n"
    model = learn(tokenizer, prompt + ("压力。\n</think>\n\n慢慢来。<|im_end|>" if ends else "压力，" * 12))
    talk = [[Message(role="user", content="我很难过")]]
    decoding = Decoding(do_sample=False, max_new_tokens=20, thinking="keep")
    (reply,) = generate_replies(model, tokenizer, talk, ["k"], decoding)
    if ends:
        assert (reply.text, reply.thoughts, reply.finished) == ("慢慢来。", "压力。", True)
    else:
        assert (reply.text, reply.finished) == ("", False)
        assert reply.thoughts.startswith("压力，压力，")
    asked = ReplyEngine(model, tokenizer).submit(talk[0], Decoding(), "k")
    assert tokenizer.decode(asked.prompt_ids) == prompt + "\n</think>\n\n"
    assert not asked.opened
