"""Simulated talks: what many at once cost beside the same tokens in one batch, and how fast and large the store is.

python benchmarks/simulate.py
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from measuring import circumstances, forget_peak, memory_mb, write_results
from transformers import set_seed

from soulchat_trainer.chatglm import ChatGLMForConditionalGeneration
from soulchat_trainer.chatglm.tokenization_chatglm import train_tokenizer
from soulchat_trainer.evaluation.simulate.options import SimulateOptions
from soulchat_trainer.evaluation.simulate.parties import Batch, LocalParty
from soulchat_trainer.evaluation.simulate.profiles import read_profiles
from soulchat_trainer.evaluation.simulate.protocol import Protocol
from soulchat_trainer.evaluation.simulate.talks import Stage, list_talks, simulate
from soulchat_trainer.generation.engine import Decoding, ReplyEngine, Request
from soulchat_trainer.training.models import new_config
from soulchatcorpus.files import write_lines
from soulchatcorpus.making.ledger import Ledger
from soulchatcorpus.schema import Message

REPLY = (
    "听起来这段时间你一个人扛了很多，白天要装作没事，晚上又睡不着，换作谁都会累。你愿意多说说那天晚上发生了什么吗？"
)


class Recording(ReplyEngine):
    """Remembers what was asked."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.asked: list[tuple[Sequence[Message], Decoding, str]] = []

    def submit(self, messages: Sequence[Message], decoding: Decoding, key: str, *rest: Any, **more: Any) -> Request:
        self.asked.append((messages, decoding, key))
        return super().submit(messages, decoding, key, *rest, **more)


def make_model(folder: Path) -> Path:
    """A ChatGLM of random weights whose replies go to the limit or near it."""
    texts = [profile.describe() for profile in read_profiles("soulchat")] * 20
    tokenizer = train_tokenizer([*texts, "用户：心理咨询师："], 1200, folder)
    set_seed(0)
    sizes = {"hidden_size": 128, "num_layers": 4, "num_attention_heads": 4, "inner_hidden_size": 512}
    config = new_config({**sizes, "max_sequence_length": 2048}, tokenizer)
    ChatGLMForConditionalGeneration(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def measure_batch(folder: Path, talks: int, rounds: int, tokens: int) -> dict[str, Any]:
    """CPU seconds of talks at once, both sides one model, and of the same requests that all wait from the start."""
    batch = Batch(str(make_model(folder / "model")), "cpu", "float32", talks)
    engine = batch.engine
    encode = engine.encoders["off"]
    tokenizer = engine.decoder.tokenizer
    batch.engine = Recording(engine.model, tokenizer, max_batch_size=talks, encode=encode)
    protocol = Protocol(name="bench", client="{profile}", turns=rounds, max_new_tokens=tokens)
    decoding = Decoding(protocol.top_p, protocol.temperature, tokens)
    ledger = Ledger(folder / "batch.sqlite")
    stage = Stage(LocalParty(batch, ledger, decoding), LocalParty(batch, ledger, decoding), protocol, ledger)
    profiles = read_profiles("soulchat")
    held = list(list_talks(stage, profiles, talks // len(profiles) + 1))[:talks]

    async def hold() -> None:
        await asyncio.gather(*(stage.hold(talk) for talk in held))

    start = time.process_time()
    asyncio.run(hold())
    simulated = time.process_time() - start

    alone = ReplyEngine(engine.model, tokenizer, max_batch_size=talks, encode=encode)
    start = time.process_time()
    requests = [alone.submit(messages, settings, key, cut_last=True) for messages, settings, key in batch.engine.asked]
    while alone.busy:
        alone.step()
    together = time.process_time() - start
    made = ledger.totals()["completion_tokens"]
    assert made == sum(len(request.token_ids) for request in requests)
    ledger.close()
    return {
        "talks": talks,
        "rounds": rounds,
        "replies": len(requests),
        "tokens": made,
        "simulated_cpu_seconds": round(simulated, 2),
        "one_batch_cpu_seconds": round(together, 2),
        "ratio": round(simulated / together, 3),
    }


def measure_store(folder: Path, talks: int, rounds: int) -> dict[str, Any]:
    """Scripted parties: turns a second, the peak of memory and the size of the files."""
    for name in ("a", "b"):
        (folder / f"{name}.yaml").write_text(f"{{name: {name}, lines: ['{REPLY}']}}", encoding="utf-8")
    write_lines(folder / "profiles.jsonl", ({"id": str(n), "story": REPLY} for n in range(talks)))
    output = folder / "store"
    forget_peak()
    before, start, cpu = memory_mb(), time.perf_counter(), time.process_time()
    report = simulate(
        SimulateOptions(
            f"script:{folder / 'a.yaml'}",
            f"script:{folder / 'b.yaml'}",
            output,
            str(folder / "profiles.jsonl"),
            turns=rounds,
        )
    )
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    return {
        "talks": report["talks"],
        "turns": report["messages"],
        "seconds": round(seconds, 1),
        "cpu_seconds": round(cpu, 1),
        "turns_per_second": round(report["messages"] / seconds),
        "memory_before_mb": round(before),
        "peak_memory_mb": round(memory_mb()),
        "files_mb": round(sum(path.stat().st_size for path in output.iterdir()) / 2**20),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--talks", type=int, default=64, help="Talks at once with a local model.")
    parser.add_argument("--rounds", type=int, default=5, help="Of these talks.")
    parser.add_argument("--max-new-tokens", type=int, default=32, help="Of a reply.")
    parser.add_argument("--stored-talks", type=int, default=10_000, help="Talks of ten rounds in the store.")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = measure_store(folder, arguments.stored_talks, 10)
        batch = measure_batch(folder, arguments.talks, arguments.rounds, arguments.max_new_tokens)
    write_results("simulate", {**circumstances("torch", "transformers"), "batch": batch, "store": store})


if __name__ == "__main__":
    main()
