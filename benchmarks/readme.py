"""Put what `make demo` and `make benchmark-demo` measured into README.md and README_zh.md.

    python benchmarks/readme.py             # from benchmarks/results/demo*.json* and benchmark_demo.json
    python benchmarks/readme.py --refresh   # take these from outputs/demo and outputs/benchmark-demo first

The text between `<!-- demo -->` and `<!-- /demo -->`, and that of benchmark-demo, is replaced; a test holds that
nobody edited it by hand.
"""

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

from hub_cards.cards import last_user_message
from hub_cards.markdown import Marked, table

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "demo.json"
PREDICTIONS = ROOT / "benchmarks" / "results" / "demo_predictions.jsonl"
TIME = ROOT / "benchmarks" / "results" / "demo_time.json"  # of `make demo` after the install, by the shell's `time`
BENCHMARK = ROOT / "benchmarks" / "results" / "benchmark_demo.json"
METRICS = ("bleu-1", "bleu-2", "bleu-3", "bleu-4", "rouge-1", "rouge-2", "rouge-l")
REPLIES = 5

WORDS = {
    "README.md": {
        "head": [
            "",
            "loss (nats a token)",
            "perplexity",
            "BLEU-1",
            "ROUGE-L",
            "distinct-2",
            "unique replies",
            "finished",
        ],
        "names": {"trained": "trained", "untrained": "untrained", "retrieval": "nearest training prompt's reply"},
        "references": "the reference replies",
        "unigram": "a unigram model",
        "summary": "{turns} held-out turns of {dataset}; top-p {top_p}, temperature {temperature}, "
        "at most {max_new_tokens} new tokens, seed {seed}. {parameters:.1f} million parameters, {steps} steps, "
        "{tokens:,} tokens; all of `make demo` after the install took {whole:.1f} minutes on {cores} cores of {cpu} "
        "without a GPU.",
        "replies": "The replies to the first {replies} of these turns, not hand-picked:",
        "user": "the user's last words",
        "reply": "reply",
        "benchmark_names": {
            "untrained:demo": "the demo's model, untrained",
            "demo": "the demo's model, trained",
            "retrieval": "nearest training prompt's reply",
        },
        "benchmark": "{turns} test turns of {dataset}; top-p {top_p}, temperature {temperature}, at most "
        "{max_new_tokens} new tokens, seed {seed}; with 95 % bootstrap intervals. `{signature}`",
    },
    "README_zh.md": {
        "head": [
            "",
            "损失（奈特/词元）",
            "困惑度",
            "BLEU-1",
            "ROUGE-L",
            "distinct-2",
            "不重复回复占比",
            "正常结束占比",
        ],
        "names": {"trained": "训练后", "untrained": "训练前", "retrieval": "检索：取最相近训练样本的回复"},
        "references": "参考回复本身",
        "unigram": "一元模型",
        "summary": "{dataset} 的 {turns} 个留出轮次；top-p {top_p}，temperature {temperature}，"
        "最多 {max_new_tokens} 个新词元，种子 {seed}。{ten_thousands:.0f} 万参数，{steps} 步，{tokens:,} 个词元，"
        "安装完成后，整个 `make demo` 在 {cpu} 的 {cores} 个核上（无 GPU）用时 {whole:.1f} 分钟。",
        "replies": "其中前 {replies} 个轮次的回复，未经挑选：",
        "user": "用户的最后一句",
        "reply": "回复",
        "benchmark_names": {
            "untrained:demo": "示例模型，训练前",
            "demo": "示例模型，训练后",
            "retrieval": "检索：取最相近训练样本的回复",
        },
        "benchmark": "{dataset} 的 {turns} 个测试轮次；top-p {top_p}，temperature {temperature}，"
        "最多 {max_new_tokens} 个新词元，种子 {seed}；方括号内为 95 % 自助法区间。`{signature}`",
    },
}


def render(results: dict[str, Any], seconds: float, predictions: list[dict[str, str]], words: dict[str, Any]) -> str:
    """The block of one README: a table of systems, how it was measured, and the first replies."""
    training, hardware = results["training"], results["hardware"]
    rows = [_row(words["names"][system["name"]], system) for system in results["systems"]]
    rows.append(_row(words["unigram"], results["unigram"]))
    rows.append(_row(words["references"], {"generation": results["references"]}))
    summary = words["summary"].format(
        **results["decoding"],
        turns=results["systems"][0]["samples"],
        dataset=results["dataset"]["name"],
        parameters=training["parameters"] / 1e6,
        ten_thousands=training["parameters"] / 1e4,
        steps=training["steps"],
        tokens=training["tokens"],
        whole=seconds / 60,
        cores=hardware["cores"],
        cpu=hardware["cpu"],
    )
    replies = [[last_user_message(row["messages"]), row["prediction"]] for row in predictions[:REPLIES]]
    parts = [
        table(words["head"], rows),
        summary,
        words["replies"].format(replies=REPLIES),
        table([words["user"], words["reply"]], replies),
    ]
    return "\n\n".join(parts) + "\n"


def render_benchmark(results: dict[str, Any], words: dict[str, Any]) -> str:
    """The table of `make benchmark-demo`: seven metrics with their intervals, and how they were made."""
    systems, dataset = results["systems"], results["dataset"]
    rows = []
    for system in systems:
        cells = [
            Marked("{:.2f} [{:.2f}, {:.2f}]".format(system["metrics"][metric], *system["intervals"][metric]))
            for metric in METRICS
        ]
        rows.append([words["benchmark_names"][system["name"]], *cells])
    head = ["", *(metric.upper() for metric in METRICS)]
    summary = words["benchmark"].format(
        turns=systems[0]["samples"],
        dataset=dataset["name"],
        signature=systems[0]["signature"],
        **results["decoding"],
    )
    return f"{table(head, rows)}\n\n{summary}\n"


def _row(name: str, system: dict[str, Any]) -> list[str]:
    metrics, generation = system.get("metrics") or {}, system.get("generation") or {}

    def number(value: float | None, form: str) -> str:
        return "" if value is None else format(value, form)

    return [
        name,
        number(system.get("loss"), ".2f"),
        number(system.get("perplexity"), ".0f"),
        number(metrics.get("bleu-1"), ".2f"),
        number(metrics.get("rouge-l"), ".2f"),
        number(generation.get("distinct_2"), ".3f"),
        number(generation.get("share_distinct"), ".0%"),
        number(generation.get("share_finished"), ".0%"),
    ]


def updated(name: str) -> str:
    """The text of a README with its blocks rendered anew."""
    results = json.loads(RESULTS.read_text(encoding="utf-8"))
    predictions = [json.loads(line) for line in PREDICTIONS.read_bytes().splitlines()]
    seconds = json.loads(TIME.read_text(encoding="utf-8"))["seconds"]
    benchmark = json.loads(BENCHMARK.read_text(encoding="utf-8"))
    text = (ROOT / name).read_text(encoding="utf-8")
    text = with_block(text, "demo", render(results, seconds, predictions, WORDS[name]))
    return with_block(text, "benchmark-demo", render_benchmark(benchmark, WORDS[name]))


def with_block(text: str, mark: str, block: str) -> str:
    """A page with another text between `<!-- MARK -->` and `<!-- /MARK -->`; raises ValueError where it has none."""
    head, found, rest = text.partition(f"<!-- {mark} -->\n")
    _, end, tail = rest.partition(f"<!-- /{mark} -->")
    if not (found and end):
        raise ValueError(f"no block between <!-- {mark} --> and <!-- /{mark} -->")
    return head + found + block + end + tail


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--refresh", action="store_true", help="copy the results from outputs/ first")
    if parser.parse_args().refresh:
        shutil.copyfile(ROOT / "outputs" / "demo" / "results.json", RESULTS)
        shutil.copyfile(ROOT / "outputs" / "demo" / "predictions.jsonl", PREDICTIONS)
        shutil.copyfile(ROOT / "outputs" / "benchmark-demo" / "results.json", BENCHMARK)
    for name in WORDS:
        (ROOT / name).write_text(updated(name), encoding="utf-8")


if __name__ == "__main__":
    main()
