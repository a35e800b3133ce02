"""The verbs `soulchat chat`, `app` and `serve`, most of them as processes of their own."""

import io
import json
import os
import re
import socket
import subprocess
import sys

import httpx
import openai
import pytest

from soulchat.cli import main
from soulchat.talk.command import chat
from soulchat.talk.service import ReplyService
from soulchatcorpus.making.style_card import write_style
from tests.soulchatcorpus.making.test_style_card import CARD


@pytest.mark.slow
def test_chat_over_a_pipe_answers_every_line_with_a_line_and_stores_nothing(model_folder, run_verb, tmp_path):
    """Without a terminal: plain lines, of which one is empty, one too long, and one full of control tokens."""
    lines = ["你好", "我不想活了，想自杀", "", "长" * 100_000, "<eop>[gMASK]<sop> 你好"]
    places = {name: str(tmp_path) for name in ("HOME", "TMPDIR", "HF_HOME")}
    ran = run_verb("chat", model_folder, "--max-new-tokens", "8", text="\n".join(lines) + "\n", **places)
    assert ran.returncode == 0
    calm, grave, empty, overlong, tokens = ran.stdout.splitlines()
    assert "12356" not in calm + tokens
    assert "12356" in grave
    assert (empty, overlong) == ("", "")
    assert re.findall("soulchat: error: (.*);", ran.stderr) == [
        "the message is empty",
        "the message has 100,000 characters",
    ]
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not any("不想活了".encode() in path.read_bytes() for path in written)


@pytest.mark.slow
def test_chat_over_a_pipe_in_jsonl_has_help_lines_as_a_field(model_folder, run_verb):
    lines = '{"content": "你好"}\n{"content": "我不想活了，想自杀"}\nno json\n{"content": "I want to kill myself"}\n'
    ran = run_verb("chat", model_folder, "--jsonl", "--max-new-tokens", "8", text=lines)
    assert ran.returncode == 0
    calm, grave, wrong, english = map(json.loads, ran.stdout.strip().split("\n"))
    assert set(calm) == {"reply", "finish_reason", "care", "notice"}
    assert calm["care"] == []
    assert (grave["care"][0]["cause"], grave["care"][0]["category"]) == ("message", "suicide")
    assert grave["care"][0]["help_lines"][0]["number"] == "12356"
    assert "the line is not valid" in wrong["error"]
    assert "988" in english["care"][0]["text"]
    assert "AI model" in english["notice"]
    ran = run_verb("chat", model_folder, "--jsonl", "--no-care", "--max-new-tokens", "8", text=lines)
    assert all(answer.get("care", []) == [] for answer in map(json.loads, ran.stdout.strip().split("\n")))


@pytest.mark.parametrize("jsonl", [False, True])
def test_a_line_that_is_no_text_does_not_end_the_talk(model_folder, monkeypatch, capsys, jsonl):
    line = '{"content": "你好"}' if jsonl else "你好"
    lines = io.BytesIO(b"\xff\n" + line.encode())
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(lines, encoding="utf-8"))
    chat(model_folder, jsonl=jsonl, max_new_tokens=5)
    assert capsys.readouterr().out.count("\n") == 2


def test_a_style_card_is_what_the_model_is_told_first(model_folder, tmp_path, monkeypatch):
    write_style(tmp_path / "style.yaml", CARD)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("你好".encode()), encoding="utf-8"))
    told = []
    stream = ReplyService.stream

    def watch(self, messages, *args):
        told.append(messages)
        return stream(self, messages, *args)

    monkeypatch.setattr(ReplyService, "stream", watch)
    chat(model_folder, style=tmp_path / "style.yaml", max_new_tokens=5)
    assert told == [[{"role": "system", "content": CARD.system_text()}, {"role": "user", "content": "你好"}]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["chat", "{empty}"], "has no config.json"),
        (["chat", "{model}", "--device", "cuda:99"], "but this torch sees no GPU"),
        (["chat", "{model}", "--temperature", "-1"], "temperature (--temperature) is -1.0; allowed: 0.0001 or more"),
        (["chat", "{model}", "--country", "XX"], "no help lines for country 'XX'"),
        (["chat", "{model}", "--style", "{empty}/s.yaml", "--system", "x"], "allowed without system (--system)"),
        (["serve", "{model}", "--style", "{empty}/s.yaml"], "allowed: a YAML file that is there"),
        (["app", "{model}", "--style", "{empty}/s.yaml"], "allowed: a YAML file that is there"),
        (["serve", "{model}", "--host", "0.0.0.0"], "host (--host) is 0.0.0.0, which lets others in"),
        (["serve", "{model}", "--port", "{taken}"], "Address already in use; allowed: a free port, or 0"),
        (["serve", "{model}", "--port", "99999"], "port (--port) is 99999; allowed: 0 (any free one) to 65535"),
        (["app", "{model}", "--port", "{taken}"], "Address already in use; allowed: a free port, or 0"),
        (["app", "{model}", "--share"], "share (--share) is True, which lets others in"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line(model_folder, tmp_path, monkeypatch, capsys, arguments, message):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        names = {"empty": str(tmp_path), "model": model_folder, "taken": str(taken.getsockname()[1])}
        monkeypatch.setattr(sys, "argv", ["soulchat", *(argument.format(**names) for argument in arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
    told = capsys.readouterr().err
    assert ended.value.code == 2
    assert told.startswith("soulchat: error: ")
    assert told.count("\n") == 1
    assert message in told


@pytest.mark.slow
def test_nobody_is_told_that_somebody_talks_here():
    """What every verb sets before it imports a library reaches Gradio and the Hub client."""
    program = (
        "from soulchat.talk.command import _be_quiet; _be_quiet(); import gradio.analytics; "
        "import huggingface_hub.constants as hub; "
        "print(gradio.analytics.analytics_enabled(), hub.HF_HUB_DISABLE_TELEMETRY)"
    )
    told = dict.fromkeys(("GRADIO_ANALYTICS_ENABLED", "HF_HUB_DISABLE_TELEMETRY", "DO_NOT_TRACK"), "")
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=os.environ | told, timeout=120, check=True
    )
    assert ran.stdout.split() == ["False", "True"]


@pytest.mark.parametrize(("verb", "path"), [("serve", "/health"), ("app", "/")])
@pytest.mark.slow
def test_page_and_server_start_answer_and_stop(model_folder, start_verb, verb, path):
    address = start_verb(verb, model_folder)
    wait_until_up(address + path)
    if verb == "serve":
        with openai.OpenAI(base_url=address + "/v1", api_key="none") as client:
            [model] = client.models.list()
            messages = [{"role": "user", "content": "你好"}]
            reply = client.chat.completions.create(model=model.id, messages=messages, max_tokens=4)
            assert reply.usage.completion_tokens <= 4


def wait_until_up(address: str) -> None:
    transport = httpx.HTTPTransport(retries=5)
    with httpx.Client(transport=transport, timeout=60) as client:
        assert client.get(address).status_code == 200
