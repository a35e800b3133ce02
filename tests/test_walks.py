"""A new user's walks, each as the documentation has it, in processes of their own with an empty home and cache.

Bringing one's own talks is the walk of `test_own_conversations.py`; what the README says, of `test_docs.py`.
"""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.paths import ROOT
from tests.soulchat_trainer.launching import needs_compiler
from tests.soulchat_trainer.training_parts import make_chatglm, make_chatglm_tokenizer, make_rows

pytestmark = pytest.mark.slow
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SOULCHAT = [sys.executable, "-c", "from soulchat_command import main; main()"]
Run = Callable[..., str]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Runs words in an empty folder, with nothing in home and cache; what was printed."""
    folder = tmp_path / "新 目录"
    (folder / "home").mkdir(parents=True)

    def start(*words: str, path: str = os.pathsep.join([str(ROOT), str(ROOT / "metrics")])) -> str:
        known = {key: value for key, value in os.environ.items() if not key.startswith(("HF_", "XDG_"))}
        environment = {**known, "HOME": str(folder / "home"), "PYTHONPATH": path}
        done = subprocess.run(
            words, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=500
        )
        assert done.returncode == 0, done.stderr[-3000:]
        assert "Traceback" not in done.stderr
        return done.stdout

    return start


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_only_the_metric(run: Run, tmp_path: Path) -> None:
    """Each block of the two pages by itself; a file of replies from the shell."""
    ran = 0
    for name in ("docs/metrics.md", "metrics/soulchat_metrics/README.md"):
        for language, code in FENCE.findall(page(name)):
            if language == "python" and "outputs/demo" not in code and re.search(r"^(import|from)", code):
                # As a Space the metric comes from the Hub by its name; here from the import beside it.
                run(sys.executable, "-c", "import soulchat_metrics\n" + code)
                ran += 1
    assert ran >= 4
    assert "`soulchat score replies.jsonl`" in page("README.md")
    pairs = [{"prediction": "我能理解你的感受。", "reference": "我理解你的感受。"}]
    (tmp_path / "新 目录" / "replies.jsonl").write_text("\n".join(map(json.dumps, pairs)))
    printed = run(*SOULCHAT, "score", "replies.jsonl")
    assert "BLEU-4" in printed.upper()


@needs_compiler
def test_reproducing_the_paper(run: Run, tmp_path: Path) -> None:
    """The commands of the page, on a small model and corpus: train, score, tables, ratings."""
    text, folder = page("docs/reproduce.md"), tmp_path / "新 目录"
    make_rows(120).to_json(folder / "corpus.jsonl", force_ascii=False)
    tokenizer = make_chatglm_tokenizer(folder / "base")
    make_chatglm(tokenizer, max_sequence_length=2048).save_pretrained(folder / "base")
    tokenizer.save_pretrained(folder / "base")

    def typed(command: str, *more: str) -> str:
        assert f"`{command}`" in text
        words = shlex.split(command)
        return run(*SOULCHAT, *words[1:], *more)

    small = "--model_name_or_path base --torch_dtype float32 --fp16 false --use_cpu --max_steps 2 --num_test_turns 2"
    told = typed("soulchat train paper", "--dataset", "corpus.jsonl", *small.split(), "--max_new_tokens", "4")
    assert "benchmark run" in told
    models = shlex.split(
        "--model outputs/paper --model base --model retrieval --dataset corpus.jsonl --samples 4 --max-new-tokens 4"
    )
    typed("soulchat benchmark run", *models, "--output", "results")
    assert "R-L" in (folder / "results" / "table.md").read_text(encoding="utf-8")
    assert "SoulChat" in typed("soulchat benchmark table", "results")
    typed(
        "soulchat rate create",
        "results/base",
        "results/retrieval",
        "--raters",
        "2",
        "--samples",
        "2",
        "--output",
        "study",
    )
    assert (folder / "study").is_dir()


def copy_checkout(folder: Path) -> None:
    """The tracked files: what somebody who contributes has."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, listed.split("\0")):
        if not name.startswith(("tests/", "docs/", "benchmarks/")):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((ROOT / name).read_bytes())


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {path.name}"
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_adding_a_format_and_an_option(run: Run, tmp_path: Path) -> None:
    """As CONTRIBUTING says, in a copy of the checkout."""
    guide, checkout = page("CONTRIBUTING.md"), tmp_path / "checkout"
    copy_checkout(checkout)
    path = os.pathsep.join([str(checkout), str(checkout / "metrics")])
    reading, metric = checkout / "soulchatcorpus" / "reading", checkout / "metrics" / "soulchat_metrics"

    code = next(text for language, text in FENCE.findall(guide) if language == "python")
    entry = re.search(r"`(Format\(\"visitor\".*?\))` to `FORMATS`", guide)[1]
    record = re.search(r"has records `(\{.*?\})`", guide)[1]
    with (reading / "chats.py").open("a", encoding="utf-8") as file:
        file.write("\n\n" + code)
    change(reading / "formats.py", "from .chats import read_chat,", "from .chats import read_visitor, read_chat,")
    change(reading / "formats.py", '        Format("psydt"', f'        {entry},\n        Format("psydt"')
    (tmp_path / "新 目录" / "talks.jsonl").write_text(record.replace("…", "你好"), encoding="utf-8")
    assert "visitor" in run(*SOULCHAT, "corpus", "check", "talks.jsonl", path=path)

    change(
        metric / "settings.py",
        '    bleu_library: str = "nltk"\n',
        '    bleu_library: str = "nltk"\n    lower: bool = False\n',
    )
    change(
        metric / "settings.py",
        '    return "|".join(f"{name}:{value}" for name, value in parts.items())',
        '    if settings.lower:\n        parts["case"] = "lower"\n'
        '    return "|".join(f"{name}:{value}" for name, value in parts.items())',
    )
    scoring = metric / "scoring.py"
    change(
        scoring,
        "    round4: bool | None = None,\n    return_sentence_scores",
        "    round4: bool | None = None,\n    lower: bool | None = None,\n    return_sentence_scores",
    )
    change(scoring, '        "round4": round4,\n    }', '        "round4": round4,\n        "lower": lower,\n    }')
    change(
        scoring,
        '    skip = settings.empty_references == "skip"\n',
        '    skip = settings.empty_references == "skip"\n    if settings.lower:\n'
        "        predictions, references = ([t.lower() for t in texts] for texts in (predictions, references))\n",
    )
    code = (
        "from soulchat_metrics import score\n"
        "for backend in ('numpy', 'reference'):\n"
        "    found = score(['Good Morning'], ['good morning'], lower=True, backend=backend)\n"
        "    print(round(found['bleu-4']), 'case:lower' in found['signature'])\n"
        "print('case' in score(['a'], ['a'])['signature'])"
    )
    assert run(sys.executable, "-c", code, path=path).split() == ["100", "True", "100", "True", "False"]
