"""`generate` and `pipeline` with every kind of cache and search the toolkit relies on."""

from threading import Thread

import pytest
import torch
from transformers import GenerationConfig, StaticCache, TextIteratorStreamer, pipeline

from soulchat_trainer.chatglm import ChatGLMForConditionalGeneration
from soulchat_trainer.chatglm.cache_name import CACHE
from soulchat_trainer.chatglm.prefix_lm import make_position_ids
from tests.soulchat_trainer.chatglm.samples import TALK, batch, row, small_model

PROMPTS = batch([row(9), row(3, seed=1), row(6, seed=2)])
GREEDY = {"do_sample": False, "max_new_tokens": 8}


@pytest.mark.parametrize("settings", [{}, {"pre_seq_len": 3}, {"pre_seq_len": 3, "prefix_projection": True}])
@pytest.mark.parametrize(
    "how",
    [
        {"use_cache": False},
        {"cache_implementation": "static"},
        {"num_beams": 1, "num_return_sequences": 1},
    ],
)
def test_every_cache_gives_the_same_greedy_ids(settings: dict, how: dict):
    model = small_model(**settings)
    assert torch.equal(model.generate(**PROMPTS, **GREEDY, **how), model.generate(**PROMPTS, **GREEDY))


@pytest.mark.parametrize("how", [{"use_cache": False}, {"cache_implementation": "static"}])
def test_every_cache_gives_the_same_beams(how: dict):
    model = small_model()
    beams = {"num_beams": 3, "num_return_sequences": 2} | GREEDY
    expected = model.generate(**PROMPTS, **beams)
    assert len(expected) == 6
    assert not torch.equal(expected[0], expected[1])
    assert torch.equal(model.generate(**PROMPTS, **beams, **how), expected)


def test_a_static_cache_of_the_callers_own():
    model = small_model()
    cache = StaticCache(config=model.config, max_cache_len=40)
    generated = model.generate(**PROMPTS, **GREEDY, **{CACHE: cache})
    assert torch.equal(generated, model.generate(**PROMPTS, **GREEDY))


def test_a_reply_does_not_depend_on_its_batch():
    model = small_model()
    together = model.generate(**PROMPTS, **GREEDY)
    for index, ids in enumerate([row(9), row(3, seed=1), row(6, seed=2)]):
        alone = model.generate(torch.tensor([ids]), **GREEDY)
        assert together[index, 11:].tolist()[: alone.shape[1] - len(ids)] == alone[0, len(ids) :].tolist()


def test_sampling_gives_different_replies_and_is_seeded():
    model = small_model()
    sampling = {"do_sample": True, "top_p": 0.75, "temperature": 0.95, "num_return_sequences": 4, "max_new_tokens": 8}
    torch.manual_seed(0)
    first = model.generate(**PROMPTS, **sampling)
    torch.manual_seed(0)
    assert torch.equal(model.generate(**PROMPTS, **sampling), first)
    assert len({tuple(ids.tolist()) for ids in first[:4]}) > 1


def test_generation_stops_at_eop_and_pads_after_it():
    model = small_model()
    free = model.generate(**PROMPTS, **GREEDY, eos_token_id=-1)
    model.generation_config.eos_token_id = int(free[0, 11 + 2])
    stopped = model.generate(**PROMPTS, **GREEDY)
    end = free[0].tolist().index(model.generation_config.eos_token_id, 11)
    assert stopped[0, : end + 1].tolist() == free[0, : end + 1].tolist()
    assert (stopped[0, end + 1 :] == 3).all()


def test_a_reply_ends_where_the_window_ends():
    model = small_model(max_sequence_length=16)
    assert model.generate(torch.tensor([row(9)]), do_sample=False, max_new_tokens=50, eos_token_id=-1).shape == (1, 16)


def test_prompts_that_cannot_be_answered_are_refused():
    model = small_model(max_sequence_length=16)
    with pytest.raises(ValueError, match="a prompt of 16 tokens leaves no room to generate in 16 tokens"):
        model.generate(torch.tensor([row(14)]), **GREEDY)
    with pytest.raises(ValueError, match="padded on the left"):
        model.generate(**batch([row(9), row(3)], side="right"), **GREEDY)
    with pytest.raises(ValueError, match="prefill_chunk_size: the context sees itself in both directions"):
        model.generate(torch.tensor([row(9)]), **GREEDY, prefill_chunk_size=4)
    with pytest.raises(ValueError, match="no <sop>"):
        model.generate(torch.tensor([[7, 8, 101]]), **GREEDY)
    with pytest.raises(ValueError, match="inputs_embeds needs position_ids"):
        model.generate(inputs_embeds=torch.randn(1, 4, 32), **GREEDY)


def test_embeddings_with_positions_are_answered_as_ids_are():
    """With a cache and without."""
    model = small_model()
    ids = torch.tensor([row(9)])
    given = {
        "inputs_embeds": model.get_input_embeddings()(ids),
        "position_ids": make_position_ids(ids, None, model.config),
    }
    expected = model.generate(ids, **GREEDY)[:, ids.shape[1] :]
    assert torch.equal(model.generate(**given, **GREEDY), expected)


def varied_model(seed: int = 0, **settings) -> ChatGLMForConditionalGeneration:
    """One whose likeliest tokens differ from step to step: with one table, it says the last token again."""
    return small_model(seed, **({"tie_word_embeddings": False, "initializer_range": 0.5} | settings))


@pytest.mark.parametrize("settings", [{}, {"pre_seq_len": 3}])
@pytest.mark.parametrize("way", ["lookup", "assistant", "early exit"])
def test_assisted_generation_is_greedy(way: str, settings: dict):
    """Also where drafts reach beyond the window, in which the longest prompt leaves five tokens of room."""
    model, other = varied_model(**settings), varied_model(1, num_layers=1, **settings)
    ways = {
        "lookup": {"prompt_lookup_num_tokens": 9},
        "assistant": {"assistant_model": other},
        "early exit": {"assistant_early_exit": 1},
    }
    for context, target in ((9, 0), (3, 4), (50, 7)):
        prompt = batch([row(context, target, seed=context)])
        greedy = model.generate(**prompt, do_sample=False, max_new_tokens=16)
        assert torch.equal(model.generate(**prompt, do_sample=False, max_new_tokens=16, **ways[way]), greedy)


@pytest.mark.parametrize("limit", [{"max_new_tokens": 50}, {"max_length": 60}, {"by_config": True}])
def test_the_window_bounds_every_limit(limit: dict):
    model = varied_model(max_sequence_length=16)
    ids = torch.tensor([row(9)])
    if limit.pop("by_config", False):
        limit = {"generation_config": GenerationConfig(max_new_tokens=50, do_sample=False)}
    assert model.generate(ids, eos_token_id=-1, **limit).shape == (1, 16)
    given = {
        "inputs_embeds": model.get_input_embeddings()(ids),
        "position_ids": make_position_ids(ids, None, model.config),
    }
    assert model.generate(**given, max_new_tokens=50, eos_token_id=-1).shape == (1, 5)


@pytest.fixture
def model_and_tokenizer(small_tokenizer):
    ids = {
        "vocab_size": len(small_tokenizer),
        "bos_token_id": small_tokenizer.bos_token_id,
        "eos_token_id": small_tokenizer.eos_token_id,
        "mask_token_id": small_tokenizer.mask_token_id,
        "gmask_token_id": small_tokenizer.gmask_token_id,
    }
    return small_model(**ids, max_sequence_length=256), small_tokenizer


def test_the_streamed_text_is_the_reply(model_and_tokenizer):
    model, tokenizer = model_and_tokenizer
    inputs = tokenizer(TALK[0], return_tensors="pt")
    streamer = TextIteratorStreamer(tokenizer, skip_prompt=True, skip_special_tokens=True)
    thread = Thread(target=model.generate, kwargs={**inputs, **GREEDY, "streamer": streamer})
    thread.start()
    streamed = "".join(streamer)
    thread.join()
    generated = model.generate(**inputs, **GREEDY)[0, inputs["input_ids"].shape[1] :]
    assert streamed == tokenizer.decode(generated, skip_special_tokens=True)


def test_the_pipeline_takes_text_and_messages(model_and_tokenizer):
    model, tokenizer = model_and_tokenizer
    generator = pipeline("text-generation", model=model, tokenizer=tokenizer)
    messages = [{"role": "user", "content": TALK[0]}]
    prompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    from_text = generator(prompt, return_full_text=False, **GREEDY)[0]["generated_text"]
    answered = generator(messages, **GREEDY)[0]["generated_text"]
    assert answered == [*messages, {"role": "assistant", "content": from_text}]
    several = generator([prompt, TALK[1]], batch_size=2, return_full_text=False, **GREEDY)
    assert several[0][0]["generated_text"] == from_text
