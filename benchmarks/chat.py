"""Time to first token and tokens a second of a talk: the chat's service against the original's loop.

    python benchmarks/chat.py [--model outputs/demo] [--talks 3] [--turns 6] [--max-new-tokens 24]

The original's page answers one request after the other, each with a pass over the whole prompt and its own `generate`.
Both sides have the same talks (users' words of the embedded sample's test split), weights, decoding and machine, in
one run and one process, on the CPU in float32. Processor time counts, since other processes may share the cores: of a
reply that is alone, until its first piece and until its end; of all talks at once, altogether. Without a folder the
demo recipe's model is made with random weights. A causal model stands beside it, since only there the keys and values
of a talk can be kept for its next turn (`soulchat_trainer/generation/prefix_store.py` says why not with ChatGLM). It
is larger, with the paper's window of 2,048 tokens, so that reading a prompt counts. With care on, text is held back
until its sentence is known to do no harm, so the first piece comes later.
Results go to benchmarks/results/chat.json.
"""

import argparse
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from datasets import load_dataset
from generation import untrained_demo_model
from measuring import circumstances, write_results
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel, PreTrainedTokenizerBase, TextIteratorStreamer

import soulchatcorpus
from soulchat.talk.care import Care
from soulchat.talk.limits import Limits
from soulchat.talk.service import ReplyService, Text
from soulchat_trainer.encoding.fit import fit_prompt, prompt_room
from soulchat_trainer.encoding.prompts import prompt_encoder
from soulchat_trainer.generation.engine import Decoding, ReplyEngine
from soulchat_trainer.loading import load_model
from soulchatcorpus import Message

LONGEST_MESSAGE = 150  # characters
Parts = tuple[PreTrainedModel, PreTrainedTokenizerBase]
# Gives the pieces of the reply to a talk.
Answer = Callable[[list[Message]], Iterator[str]]


def causal_model(tokenizer: PreTrainedTokenizerBase) -> PreTrainedModel:
    """A Llama of 8 layers of width 512, with random weights."""
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=512,
        intermediate_size=2048,
        num_hidden_layers=8,
        num_attention_heads=8,
        max_position_embeddings=2048,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return LlamaForCausalLM(config).eval()


def original_loop(parts: Parts, decoding: Decoding) -> Answer:
    """As the original's page does it: the whole prompt anew for every reply, streamed from a thread."""
    model, tokenizer = parts
    room = prompt_room(model.config.max_position_embeddings, decoding.max_new_tokens)
    encode = prompt_encoder(tokenizer)

    def answer(messages: list[Message]) -> Iterator[str]:
        ids = fit_prompt(encode, messages, room, cut_last=True).ids
        input_ids = torch.tensor([ids])
        streamer = TextIteratorStreamer(tokenizer, skip_prompt=True, skip_special_tokens=True)
        settings = {
            "inputs": input_ids,
            "attention_mask": torch.ones_like(input_ids),
            "streamer": streamer,
            "do_sample": True,
            "top_k": 0,
            "top_p": decoding.top_p,
            "temperature": decoding.temperature,
            "max_new_tokens": decoding.max_new_tokens,
            "pad_token_id": tokenizer.pad_token_id,
        }
        thread = threading.Thread(target=model.generate, kwargs=settings)
        thread.start()
        yield from streamer
        thread.join()

    return answer


def through(service: ReplyService, decoding: Decoding) -> Answer:
    """The chat's own way."""

    def answer(messages: list[Message]) -> Iterator[str]:
        return (event.text for event in service.stream(messages, decoding, key="0") if isinstance(event, Text))

    return answer


def converse(answer: Answer, words: list[str], firsts: list[float], wholes: list[float]) -> None:
    """One talk; adds the processor seconds to each reply's first piece and end."""
    messages: list[Message] = []
    for text in words:
        messages.append({"role": "user", "content": text})
        start, reply = time.process_time(), ""
        for piece in answer(list(messages)):
            if piece and not reply:
                firsts.append(time.process_time() - start)
            reply += piece
        wholes.append(time.process_time() - start)
        messages.append({"role": "assistant", "content": reply or "嗯。"})


def measure_alone(answer: Answer, talks: list[list[str]], tokens: int) -> dict[str, Any]:
    """One talk after the other; every reply has `tokens` tokens."""
    firsts: list[float] = []
    wholes: list[float] = []
    for words in talks:
        converse(answer, words, firsts, wholes)
    return {
        "first_piece_ms": {"median": round(1000 * statistics.median(firsts)), "worst": round(1000 * max(firsts))},
        "reply_ms": {"median": round(1000 * statistics.median(wholes)), "total": round(1000 * sum(wholes))},
        "tokens_per_second": round(tokens * len(wholes) / sum(wholes), 1),
    }


def measure_at_once(answer: Answer, talks: list[list[str]], tokens: int) -> dict[str, Any]:
    """All talks at the same time; each one waits for its own replies."""
    start = time.process_time()
    threads = [threading.Thread(target=converse, args=(answer, words, [], [])) for words in talks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.process_time() - start
    replies = sum(len(words) for words in talks)
    return {"reply_ms": {"total": round(1000 * seconds)}, "tokens_per_second": round(tokens * replies / seconds, 1)}


def measure(parts: Parts, talks: list[list[str]], decoding: Decoding) -> dict[str, Any]:
    """All ways of one model; random weights never end a reply, so each has `max_new_tokens` tokens."""
    results = {"original": measure_alone(original_loop(parts, decoding), talks, decoding.max_new_tokens)}
    settings = {"kept": 16_384, "anew": 0}
    for name, kept_tokens in settings.items():
        with open_service(parts, kept_tokens, Care(enabled=False)) as service:
            results[name] = measure_alone(through(service, decoding), talks, decoding.max_new_tokens)
    with open_service(parts, 16_384, Care()) as service:
        results["kept, with care"] = measure_alone(through(service, decoding), talks, decoding.max_new_tokens)
        results["at once, with care"] = measure_at_once(through(service, decoding), talks, decoding.max_new_tokens)
    return results


def open_service(parts: Parts, kept_tokens: int, care: Care) -> ReplyService:
    """A service without limits in the way."""
    limits = Limits(messages_per_minute=0)
    return ReplyService(lambda: ReplyEngine(*parts, kept_tokens=kept_tokens), care, limits)


def user_words(talks: int, turns: int) -> list[list[str]]:
    """The users' words of conversations of the embedded sample's test split that fit the demo's window."""
    rows = load_dataset(soulchatcorpus.__name__, "conversations", split="test")
    words = ([message["content"] for message in row["messages"] if message["role"] == "user"] for row in rows)
    found = (row[:turns] for row in words if len(row) >= turns)
    return [row for row in found if max(map(len, row)) <= LONGEST_MESSAGE][:talks]


def main() -> None:
    """Measure and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="a folder; by default the demo recipe's model with random weights")
    parser.add_argument("--talks", type=int, default=3)
    parser.add_argument("--turns", type=int, default=6)
    parser.add_argument("--max-new-tokens", type=int, default=24)
    arguments = parser.parse_args()
    decoding = Decoding(max_new_tokens=arguments.max_new_tokens)
    talks = user_words(arguments.talks, arguments.turns)
    chatglm, tokenizer = load_model(arguments.model, "cpu") if arguments.model else untrained_demo_model()
    results = circumstances("torch", "transformers") | {
        "what": "processor milliseconds; original: the whole prompt and a generate of its own for every reply",
        "command": "python benchmarks/chat.py",
        "settings": vars(arguments),
        "weights": Path(arguments.model).name if arguments.model else "random",
        "threads": torch.get_num_threads(),
        "chatglm": measure((chatglm, tokenizer), talks, decoding),
        "causal": measure((causal_model(tokenizer), tokenizer), talks, decoding),
    }
    write_results("chat", results)


if __name__ == "__main__":
    main()
