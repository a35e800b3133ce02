"""Clients that others wrote, against `soulchat serve`: each in an environment of its own, skipped where it is missing.

To have them, for PACKAGE in litellm, langchain-openai, llm and "lm-eval[api]" (folder lm-eval), under the system's
folder for temporary files:

    python -m venv /tmp/soulchat-clients/PACKAGE
    /tmp/soulchat-clients/PACKAGE/bin/pip install PACKAGE
"""

import json
import os
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
CLIENTS = Path(tempfile.gettempdir()) / "soulchat-clients"

LITELLM = """
import sys, litellm
talk = [{"role": "user", "content": "你好"}]
settings = dict(model="openai/small", api_base=sys.argv[1], api_key="none", max_tokens=8)
for _ in range(2):
    reply = litellm.completion(messages=talk, temperature=0.7, top_p=0.9, seed=1, stop=["没有这个词"], **settings)
    talk += [reply.choices[0].message, {"role": "user", "content": "后来呢？"}]
assert len(litellm.completion(messages=talk[:1], n=2, **settings).choices) == 2
pieces = litellm.completion(messages=talk[:1], stream=True, stream_options={"include_usage": True}, **settings)
assert "".join(piece.choices[0].delta.content or "" for piece in pieces if piece.choices)
try:
    litellm.completion(messages=talk[:1], **settings | {"model": "openai/other"})
except litellm.NotFoundError as error:
    assert "allowed: small" in str(error)
"""
LANGCHAIN = """
import sys
from langchain_core.messages import HumanMessage, SystemMessage
from langchain_openai import ChatOpenAI
model = ChatOpenAI(model="small", base_url=sys.argv[1], api_key="none", max_tokens=8, temperature=0.7, max_retries=0)
talk = [SystemMessage("短一点"), HumanMessage("你好")]
for _ in range(2):
    talk += [model.invoke(talk, stop=["没有这个词"]), HumanMessage("后来呢？")]
assert "".join(piece.content for piece in model.stream(talk))
assert len(model.batch(["你好", "睡不着"])) == 2
assert len(model.generate([talk], n=2).generations[0]) == 2
"""


@pytest.fixture
def address(start_verb: Callable[..., str], model_folder: str) -> str:
    """Where `soulchat serve` answers for a small model."""
    return start_verb("serve", model_folder, "--name", "small", "--max-new-tokens", "24", "--no-care") + "/v1"


@pytest.fixture
def run_client(tmp_path: Path) -> Callable[..., str]:
    """Runs Python with arguments in a client's environment, offline and in an empty home; what it printed."""

    def run(package: str, *arguments: str) -> str:
        python = CLIENTS / package / "bin" / "python"
        if not python.is_file():
            pytest.skip(f"{package} is not installed in {CLIENTS / package}")
        environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
        environment |= {"HOME": str(tmp_path), "LLM_USER_PATH": str(tmp_path), "HF_HOME": str(tmp_path / "hub")}
        environment |= {"HF_HUB_OFFLINE": "1", "LITELLM_LOCAL_MODEL_COST_MAP": "True", "OPENAI_API_KEY": "none"}
        command = [str(python), *arguments]
        ran = subprocess.run(
            command, capture_output=True, text=True, timeout=500, env=environment, cwd=tmp_path, check=False
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr
        return ran.stdout

    return run


@pytest.mark.parametrize(("package", "script"), [("litellm", LITELLM), ("langchain-openai", LANGCHAIN)])
def test_libraries_ask_stream_and_go_on(address, run_client, package, script):
    run_client(package, "-c", script, address)


def test_the_llm_command_asks_and_goes_on(address, run_client, tmp_path):
    models = f"- model_id: small\n  model_name: small\n  api_base: {address}\n"
    (tmp_path / "extra-openai-models.yaml").write_text(models, encoding="utf-8")
    assert run_client("llm", "-m", "llm", "-m", "small", "-o", "max_tokens", "8", "你好").strip()
    assert run_client("llm", "-m", "llm", "-c", "--no-stream", "后来呢？").strip()


def test_lm_eval_gets_whole_replies(address, run_client, tmp_path):
    rows = [{"question": "你好", "answer": "好"}, {"question": "睡不着", "answer": "好"}]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    task = {
        "task": "replies",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(tmp_path / "rows.jsonl")}},
        "test_split": "test",
        "output_type": "generate_until",
        "doc_to_text": "{{question}}",
        "doc_to_target": "{{answer}}",
        "generation_kwargs": {"until": ["没有这个词"], "max_gen_toks": 8, "do_sample": False},
        "metric_list": [{"metric": "exact_match"}],
    }
    (tmp_path / "replies.yaml").write_text(json.dumps(task), encoding="utf-8")
    arguments = f"model=small,base_url={address}/chat/completions,num_concurrent=2,max_retries=1"
    run_client(
        *("lm-eval", "-m", "lm_eval", "--model", "local-chat-completions", "--model_args", arguments),
        *("--tasks", "replies", "--include_path", str(tmp_path), "--apply_chat_template"),
        *("--output_path", str(tmp_path / "out"), "--log_samples"),
    )
    [samples] = (tmp_path / "out").rglob("samples_*.jsonl")
    replies = [json.loads(line)["resps"][0][0] for line in samples.read_text(encoding="utf-8").splitlines()]
    assert len(replies) == 2
    assert all(replies)
