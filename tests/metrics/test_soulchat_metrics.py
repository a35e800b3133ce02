"""The `evaluate` metric, loaded as users load it; each program runs in a process with a home of its own."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.paths import ROOT

METRIC = ROOT / "metrics" / "soulchat_metrics"

PROGRAM = """
import json, sys
import evaluate
metric = evaluate.load(sys.argv[1], keep_in_memory=True)
predictions, references = ["你好", "我在听", ""], [["你好"], "我在呢", ["好"]]
results = [metric.compute(predictions=predictions, references=references)]

metric = evaluate.load(sys.argv[1])
metric.add_batch(predictions=predictions[:2], references=references[:2])
metric.add(prediction=predictions[2], reference=references[2])
results.append(metric.compute())

for prediction, reference in zip(predictions, references):
    metric.add(predictions=prediction, references=reference)
results.append(metric.compute())

combined = evaluate.combine([metric, evaluate.load(sys.argv[1])])
for prediction, reference in zip(predictions, references):
    combined.add(prediction=prediction, reference=reference)
values = combined.compute()
results.append({name: value for name, value in values.items() if name in results[0]} or values)

combined = evaluate.combine([metric, evaluate.load(sys.argv[1])])
values = combined.compute(predictions=predictions, references=references)
results.append({name: value for name, value in values.items() if name in results[0]} or values)
evaluate.save("result.json", **results[0])
json.dump(results, open("results.json", "w"))

for bad in (dict(predictions=["你", 3], references=["你", "好"]), dict(predictions=["你\\ud800"], references=["你"])):
    try:
        metric.compute(**bad)
    except ValueError as error:
        print(error)
print(metric.compute(predictions=["你"], references=["你"], preset="llamafactory", return_sentence_scores=True))
"""

CONFIGURATIONS = """
import sys
import evaluate
metric = evaluate.load(sys.argv[1], "llamafactory")
pairs = dict(predictions=["你们好"], references=["你好"])
print("rounded", metric.compute(**pairs)["bleu-1"], metric.compute(**pairs, preset="paper")["bleu-1"])
try:
    evaluate.load(sys.argv[1], "thudm")
except ValueError as error:
    print(error)
"""


# evaluate works without transformers, and starts ten seconds sooner.
WITHOUT_TRANSFORMERS = """
import sys
sys.modules["transformers"] = None
import evaluate
del sys.modules["transformers"]
"""


def run(program: str, *arguments: str, home: Path, cwd: Path, **environment: str) -> str:
    offline = {"HF_EVALUATE_OFFLINE": "1", "HF_HUB_OFFLINE": "1"}
    variables = {**os.environ, **offline, "HF_HOME": str(home), **environment}
    command = [sys.executable, "-c", WITHOUT_TRANSFORMERS + program, *arguments]
    done = subprocess.run(command, cwd=cwd, env=variables, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_load_from_the_checkout_and_use_in_every_way(tmp_path):
    printed = run(PROGRAM, str(METRIC), home=tmp_path / "home", cwd=tmp_path)
    in_memory, in_batches, by_columns, *combinations = json.loads((tmp_path / "results.json").read_text())
    assert in_memory == in_batches == by_columns
    assert in_memory["empty_predictions"] == 1
    assert in_memory["bleu-1"] == pytest.approx(100 * (1 + 2 / 3 + 0) / 3)
    for combined in combinations:
        values = {re.sub(r"^.*?_\d+_", "", name): value for name, value in combined.items()}
        assert values["rouge-l"] == in_memory["rouge-l"]
    assert json.loads((tmp_path / "result.json").read_text())["bleu-4"] == in_memory["bleu-4"]
    assert "prediction 1 is int (3); allowed: a string" in printed
    assert "prediction 0 has a lone surrogate" in printed
    assert "'sentence_scores'" in printed


def test_a_preset_is_a_configuration_and_nothing_else_is(tmp_path):
    printed = run(CONFIGURATIONS, str(METRIC), home=tmp_path / "home", cwd=tmp_path)
    assert "rounded 66.6667 66.666666666666" in printed
    assert "configuration is 'thudm'; allowed: default, paper, ptuning, llamafactory" in printed


def test_bare_name_from_any_directory_after_import(tmp_path):
    program = (
        "import soulchat_metrics, evaluate\n"
        + "print(evaluate.load('soulchat_metrics').compute("
        + ("predictions=['你好'], references=['你好'])['bleu-1'])")
    )
    assert "100.0" in run(program, home=tmp_path / "home", cwd=tmp_path)


TWO_PROCESSES = """
import sys
import evaluate
rank = int(sys.argv[2])
metric = evaluate.load(sys.argv[1], num_process=2, process_id=rank, experiment_id="two")
metric.add_batch(predictions=["你好", "我在"][rank:rank + 1], references=["你好", "他不"][rank:rank + 1])
result = metric.compute()
print(result and result["bleu-1"])
"""


def test_several_processes_fill_one_metric(tmp_path):
    variables = {**os.environ, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", WITHOUT_TRANSFORMERS + TWO_PROCESSES, str(METRIC), str(rank)],
            env=variables,
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    assert [process.communicate(timeout=200)[0].strip() for process in processes] == ["50.0", "None"]


def test_load_from_the_hub(tmp_path):
    from functools import partial
    from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
    from threading import Thread

    class Hub(SimpleHTTPRequestHandler):
        """Stands in for the Hub: a file of a Space, by its address."""

        def translate_path(self, path: str) -> str:
            match = re.fullmatch(r"/spaces/someone/soulchat_metrics/resolve/main/(\w+\.py)", path.split("?")[0])
            return str(METRIC / match[1]) if match else "/nonexistent"

        def log_message(self, *arguments: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Hub))
    Thread(target=server.serve_forever, daemon=True).start()
    endpoint = f"http://127.0.0.1:{server.server_port}"
    program = (
        "import evaluate\nmetric = evaluate.load('someone/soulchat_metrics')\n"
        "print(type(metric).__module__, metric.compute(predictions=['你好'], references=['你好'])['bleu-1'])"
    )
    online = {"HF_ENDPOINT": endpoint, "HF_EVALUATE_OFFLINE": "0", "HF_HUB_OFFLINE": "0"}
    printed = run(program, home=tmp_path / "home", cwd=tmp_path, **online)
    server.shutdown()
    assert "evaluate_modules.metrics.someone--soulchat_metrics" in printed
    assert "100.0" in printed


def test_every_module_stands_in_the_main_file():
    from soulchat_metrics.evaluate_cache import MODULES

    main = (METRIC / "soulchat_metrics.py").read_text()
    imported = set(re.findall(r"^from \.(\w+) import ", main, flags=re.MULTILINE))
    assert imported | {"soulchat_metrics"} == set(MODULES)
    for module in imported:
        source = (METRIC / f"{module}.py").read_text()
        assert set(re.findall(r"^ *from \.(\w+) import ", source, flags=re.MULTILINE)) <= imported
