"""Engines for the tests of the talk: a small ChatGLM with random weights, and one that says what it is told to."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch

from soulchat.talk.limits import Limits
from soulchat.talk.service import ReplyService
from soulchat_trainer.chatglm import ChatGLMConfig, ChatGLMForConditionalGeneration
from soulchat_trainer.chatglm.tokenization_chatglm import train_tokenizer
from soulchat_trainer.generation.engine import Decoding, Delta, ReplyEngine
from soulchatcorpus.thoughts import split_thoughts

os.environ.update(GRADIO_ANALYTICS_ENABLED="False", HF_HUB_DISABLE_TELEMETRY="1")

# A shell that runs the tests in the background lets them, and so the command, ignore Ctrl+C: here it is heard again.
HEAR_CTRL_C = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
COMMAND = [sys.executable, "-c", f"{HEAR_CTRL_C}; from soulchat.cli import main; main()"]
SENTENCES = [
    "我最近总觉得自己很焦虑，身心俱疲。不知道该怎么办。",
    "听起来你最近承受了很多压力，谢谢你愿意告诉我。",
    "我和男朋友谈恋爱两年了，异地恋，总是吵架。",
    "吵架的时候你的心里是什么感受？我想多听你说一说。",
    "老师你好！我想咨询一些心理问题。",
    "你好，欢迎找我倾诉，期待帮助到你！",
    "I have been feeling anxious and exhausted lately.",
    "Thank you for telling me. What is the hardest part of your day?",
]


@dataclass(eq=False)
class ScriptedRequest:
    """What the service reads of a `generation.Request`."""

    prompt_ids: list[int] = field(default_factory=lambda: [0] * 5)
    token_ids: list[int] = field(default_factory=list)
    finish_reason: str | None = None


class ScriptedEngine:
    """Says `script(messages)`, a few characters a step, to every request; stands in for a model.

    What stands in <think> is told as a thought, with the first piece of the reply.
    """

    def __init__(self, script: Callable[[Sequence[dict]], str], step_size: int = 3) -> None:
        self.script, self.step_size = script, step_size
        self.thoughts: dict[ScriptedRequest, str] = {}
        self.left: dict[ScriptedRequest, str] = {}
        self.seen: list[list[dict]] = []
        self.cancelled: list[ScriptedRequest] = []
        self.steps = 0

    @property
    def busy(self) -> bool:
        return bool(self.left)

    def submit(
        self, messages: Sequence[dict], decoding: Decoding, key: str, stream: bool = False, stop: Sequence[str] = ()
    ) -> ScriptedRequest:
        self.seen.append(list(messages))
        request = ScriptedRequest()
        self.thoughts[request], self.left[request] = split_thoughts(self.script(messages))
        return request

    def cancel(self, request: ScriptedRequest) -> None:
        request.finish_reason = "cancelled"
        self.cancelled.append(request)
        self.left.pop(request, None)

    def step(self) -> list[Delta]:
        self.steps += 1
        deltas = []
        for request, text in list(self.left.items()):
            piece, rest = text[: self.step_size], text[self.step_size :]
            request.token_ids.append(0)
            if rest:
                self.left[request] = rest
            else:
                request.finish_reason = "stop"
                del self.left[request]
            deltas.append(Delta(request, piece, self.thoughts.pop(request, "")))
        return deltas


@pytest.fixture
def scripted() -> Iterator[Callable[..., tuple[ReplyService, ScriptedEngine]]]:
    """Makes a service that answers with a script, and its engine."""
    services = []

    def make(script: Callable[[Sequence[dict]], str] | str, **settings: object) -> tuple[ReplyService, ScriptedEngine]:
        engine = ScriptedEngine(script if callable(script) else lambda messages: script)
        services.append(ReplyService(lambda: engine, **settings))
        return services[-1], engine

    yield make
    for service in services:
        service.close()


def make_model_folder(folder: Path, window: int) -> str:
    """A folder with a ChatGLM of 2 layers, random weights from seed 0, and a trained tokenizer."""
    torch.manual_seed(0)
    tokenizer = train_tokenizer(SENTENCES * 5, 470, folder)
    mask, gmask = tokenizer.convert_tokens_to_ids(["[MASK]", "[gMASK]"])
    config = ChatGLMConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        inner_hidden_size=64,
        num_layers=2,
        residual_layers=2,
        num_attention_heads=2,
        max_sequence_length=window,
        initializer_range=0.5,  # large enough that a reply depends on what was said
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        mask_token_id=mask,
        gmask_token_id=gmask,
    )
    ChatGLMForConditionalGeneration(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A small model with a window of 256."""
    return make_model_folder(tmp_path_factory.mktemp("model"), window=256)


@pytest.fixture(scope="session")
def wide_model_folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The same with a window of 4,096, which holds the prompt of the corpus rewriting in this tokenizer."""
    return make_model_folder(tmp_path_factory.mktemp("wide"), window=4_096)


@pytest.fixture(scope="session")
def small_model(model_folder: str) -> tuple:
    """The model and tokenizer of `model_folder`."""
    from soulchat_trainer.loading import load_model

    return load_model(model_folder)


@pytest.fixture
def service(small_model: tuple) -> Iterator[ReplyService]:
    """A service over the small model."""
    with ReplyService(lambda: ReplyEngine(*small_model), limits=Limits(messages_per_minute=0)) as service:
        yield service


@pytest.fixture
def run_verb() -> Callable[..., subprocess.CompletedProcess]:
    """Runs a verb of the command as a process and waits for it."""

    def run(*arguments: str, text: str = "", **environment: str) -> subprocess.CompletedProcess:
        settings = os.environ | {"OMP_NUM_THREADS": "1"} | environment
        return subprocess.run(
            [*COMMAND, *arguments], input=text, capture_output=True, text=True, timeout=300, env=settings, check=False
        )

    return run


@pytest.fixture
def start_verb(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Starts a verb that listens, on a free port, and gives its address; stops it as Ctrl+C does."""
    processes: list[subprocess.Popen] = []

    def start(verb: str, *arguments: str) -> str:
        log = tmp_path / f"{verb}.log"
        with log.open("w") as stderr:
            command = [*COMMAND, verb, *arguments, "--port", "0"]
            processes.append(subprocess.Popen(command, stderr=stderr, stdout=subprocess.DEVNULL))
        end = time.monotonic() + 120
        while not (found := re.findall(r"http://127\.0\.0\.1:\d+", log.read_text(encoding="utf-8"))):
            assert processes[-1].poll() is None, log.read_text(encoding="utf-8")
            assert time.monotonic() < end, "it did not start in time"
            time.sleep(0.05)
        return found[0]

    yield start
    for process in processes:
        process.send_signal(signal.SIGINT)
    for process in processes:
        assert process.wait(timeout=30) in (0, 130, -signal.SIGINT)
