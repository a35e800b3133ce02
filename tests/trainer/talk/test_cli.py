"""The verbs `soulchat chat`, `app` and `serve`, as processes of their own."""

import json
import os
import re
import signal
import socket
import subprocess
import sys

import httpx
import openai
import pytest

COMMAND = [sys.executable, "-c", "from soulchat.cli import main; main()"]


def run(*arguments: str, text: str = "", **environment: str) -> subprocess.CompletedProcess:
    settings = os.environ | {"OMP_NUM_THREADS": "1"} | environment
    return subprocess.run(
        [*COMMAND, *arguments], input=text, capture_output=True, text=True, timeout=300, env=settings, check=False
    )


@pytest.mark.slow
def test_chat_over_a_pipe(model_folder):
    lines = '{"content": "你好"}\n{"content": "我不想活了，想自杀"}\nno json\n'
    ran = run("chat", model_folder, "--jsonl", "--max-new-tokens", "8", text=lines)
    assert ran.returncode == 0
    calm, grave, wrong = map(json.loads, ran.stdout.splitlines())
    assert calm["care"] == []
    assert grave["care"][0]["help_lines"][0]["number"] == "12356"
    assert "not a line of JSONL mode" in wrong["error"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["chat", "{empty}"], "has no config.json"),
        (["chat", "{model}", "--device", "cuda:99"], "but this torch sees no GPU"),
        (["chat", "{model}", "--temperature", "-1"], "temperature is -1.0; allowed: greater than 0"),
        (["chat", "{model}", "--country", "XX"], "no help lines for country 'XX'"),
        (["serve", "{model}", "--host", "0.0.0.0"], "--host 0.0.0.0 lets others in and needs a password"),
        (["serve", "{model}", "--port", "{taken}"], "Address already in use; allowed: a free port, or 0"),
        (["app", "{model}", "--port", "{taken}"], "Address already in use; allowed: a free port, or 0"),
        (["app", "{model}", "--share"], "--share lets others in and needs a password"),
    ],
)
@pytest.mark.slow
def test_what_cannot_be_done_is_told_in_one_line(model_folder, tmp_path, arguments, message):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        names = {"empty": str(tmp_path), "model": model_folder, "taken": str(taken.getsockname()[1])}
        ran = run(*(argument.format(**names) for argument in arguments))
    assert ran.returncode == 2
    assert ran.stderr.startswith("soulchat: error: ")
    assert ran.stderr.count("\n") == 1
    assert message in ran.stderr


@pytest.mark.parametrize(("verb", "path"), [("serve", "/health"), ("app", "/")])
@pytest.mark.slow
def test_page_and_server_start_answer_and_stop(model_folder, verb, path):
    process = subprocess.Popen(
        [*COMMAND, verb, model_folder, "--port", "0"], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )
    try:
        address = next(found[0] for line in process.stderr if (found := re.findall(r"http://127\.0\.0\.1:\d+", line)))
        wait_until_up(address + path)
        if verb == "serve":
            with openai.OpenAI(base_url=address + "/v1", api_key="none") as client:
                [model] = client.models.list()
                messages = [{"role": "user", "content": "你好"}]
                reply = client.chat.completions.create(model=model.id, messages=messages, max_tokens=4)
                assert reply.usage.completion_tokens <= 4
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=30) in (0, 130, -signal.SIGINT)


def wait_until_up(address: str) -> None:
    transport = httpx.HTTPTransport(retries=5)
    with httpx.Client(transport=transport, timeout=60) as client:
        assert client.get(address).status_code == 200
