"""Render docs/benchmarks.md from benchmarks/results/*.json:  python benchmarks/page.py"""

import shutil
from pathlib import Path

from page_tables import RESULTS, Line, comparisons, results_of
from page_training import LOSS_CURVE, TRAINING, gpu, planted, real_base, small, training

from hub_cards.markdown import table

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGE, IMAGES = DOCS / "benchmarks.md", DOCS / "images"


FIELD = "rouge-chinese, jieba, nltk"
JSON = '`load_dataset("json")` and `map`'
COMPARED = [
    Line("Chinese BLEU and ROUGE of {} pairs", FIELD, "metric", "systems/jieba/times_faster", "x", size="pairs"),
    Line("the same with extra `fast`", "the same", "metric", "systems/rjieba/times_faster", "x"),
    Line(
        "turns of {} conversations",
        JSON,
        "corpus",
        "whole/less_cpu_than_json_and_map",
        "x",
        size="whole/conversations",
    ),
    Line("the same", "parsing and writing the bytes alone", "corpus", "whole/times_parsing_and_writing", "x the time"),
    Line("peak memory of the same", "", "corpus", "whole/ours/peak_memory_mb", "MB"),
    Line("peak memory of the peer", "", "corpus", "whole/json_and_map/peak_memory_mb", "MB"),
    Line("random reads of `TurnView`", "a stored turns table", "corpus", "whole/turn_view/random_reads_ratio", "x"),
    Line(
        "CPU of the retrieval baseline, 500 questions to {} training turns",
        "",
        "retrieval",
        "cpu_seconds",
        "s",
        size="training_turns",
    ),
    Line("peak memory of the same", "", "retrieval", "peak_mb_own", "MB"),
    Line("CPU of a training step", "the original's way", "model", "training_step/share/cpu_seconds_per_step", "%"),
    Line("memory of a training step", "the same", "model", "training_step/share/peak_mb_above_model", "%"),
    Line(
        "batched encoding, ChatGLM-6B's tokenizer",
        "sentencepiece alone",
        "tokenizer",
        "times_sentencepiece",
        "x the time",
    ),
    Line("a perfect reply after its round trip", "the raw text", "tokenizer", "bleu_1_of_round_trip", "BLEU-1"),
    Line(
        "the same with its punctuation restored: the ceiling",
        "the same",
        "tokenizer",
        "bleu_1_of_round_trip_restored",
        "BLEU-1",
    ),
    Line(
        "replies a CPU second, batch of 32, on all cores",
        "one at a time",
        "generation",
        "batch_32/times_one_at_a_time",
        "x",
    ),
    Line(
        "of its time, reading prompts",
        "all of it",
        "generation",
        "batch_32/cpu_seconds_prompts",
        "%",
        over="batch_32/cpu_seconds",
    ),
    Line(
        "of its time, the next tokens",
        "all of it",
        "generation",
        "batch_32/cpu_seconds_next_tokens",
        "%",
        over="batch_32/cpu_seconds",
    ),
    Line(
        "of its time, drawing, within both",
        "all of it",
        "generation",
        "batch_32/cpu_seconds_of_both_in_drawing",
        "%",
        over="batch_32/cpu_seconds",
    ),
    Line(
        "tokens a CPU second of one talk, ChatGLM",
        "the original page's loop",
        "chat",
        "chatglm/kept/tokens_per_second",
        "x",
        over="chatglm/original/tokens_per_second",
    ),
    Line(
        "the same, causal model",
        "the same",
        "chat",
        "causal/kept/tokens_per_second",
        "x",
        over="causal/original/tokens_per_second",
    ),
    Line(
        "the same, all talks at once, with care",
        "the same",
        "chat",
        "causal/at once, with care/tokens_per_second",
        "x",
        over="causal/original/tokens_per_second",
    ),
    Line("requests a CPU second while rewriting", "", "making", "requests/rewrite/per_cpu_second", ""),
    Line("the bare client on the same machine", "", "making", "requests/bare_aiohttp/per_cpu_second", ""),
    Line("dialogues cleaned a CPU second", "", "making", "cleaning/rules/per_cpu_second", ""),
    Line("the same with near duplicates", "", "making", "cleaning/with_near_duplicates/per_cpu_second", ""),
    Line(
        "CPU of {} simulated talks at once, one small model on both sides",
        "the same requests as one batch",
        "simulate",
        "batch/ratio",
        "x the time",
        size="batch/talks",
    ),
    Line("messages of scripted talks stored a second", "", "simulate", "store/turns_per_second", ""),
    Line("peak memory of {} talks of ten rounds", "", "simulate", "store/peak_memory_mb", "MB", size="store/talks"),
]

HEAD = """# Benchmarks

`make bench` runs all of this, at sizes that take about half an hour on two free cores. Each number comes from a file
in `benchmarks/results/`, written by the script of the same name in `benchmarks/`; `python benchmarks/page.py` renders
this page from them. Both sides of a comparison ran in the same run on the same machine, which was not idle: trust the
ratios more than the seconds. x: times as fast, in CPU seconds; %: of what the peer needs.
"""

PEERS_TEXT = """\
Each is installed in its own environment, with the versions in `benchmarks/peer_*.txt`, and reads the same files as our
code. Metrics are compared with our preset of the same name; ms-swift rounds its scores to six decimals. The converters
read a ShareGPT file; the peers write to their cache, ours writes a Parquet file."""

NOT_RUN = """
## What could not be run

- **The paper's run**: a hundred of its 30,000 steps were measured. More than one GPU, and DeepSpeed on GPUs, were not
  available.
- **The original SoulChat and ChatGLM-6B**: their code and weights (13 GB) are in no Python package and need a GPU.
  "The original's way", "the original page's loop" and "the published recipe" are built from our own parts and do what
  their code does, on the same weights.
- **Other trainers on a GPU**: `benchmarks/training.py peers` runs there, too, and has not. On a CPU the Liger kernels
  of TRL, LLaMA-Factory and ms-swift do not run, nor packing in the latter two, which wants flash attention.
- **LLaMA-Factory with all its requirements**: its torchaudio is built for CUDA and does not load with a CPU build of
  torch (`OSError: Could not load this library: _torchaudio.abi3.so`). So torchaudio runs without its native libraries,
  and both peers without the packages that metric and data do not use (gradio, av, torchvision …).
"""


JUDGE_TEXT = """
## Corrected means in simulated studies

In which share of {studies:,} simulated studies the 95 % interval of `soulchat judge agree` holds the truth: the lowest
and the highest of {sizes} sizes ({smallest} to {largest} items rated). None was wider than the interval of the ratings
alone, whose coverage is in the last column. Where one reply in twenty is unsafe, intervals are wider than necessary.

"""


def judge() -> str:
    """How often corrected intervals hold the truth."""
    results = results_of("judge")
    kinds = results["scales"] | results["safety"]
    sizes = list(next(iter(kinds.values())))
    judges = list(next(iter(next(iter(kinds.values())).values())))
    rows = []
    for kind, by_size in kinds.items():
        told = [[size[judge]["coverage"] for size in by_size.values()] for judge in judges]
        alone = [size[judge]["coverage_of_ratings_alone"] for size in by_size.values() for judge in judges]
        rows.append([kind, *(f"{min(shares):.1%} to {max(shares):.1%}" for shares in (*told, alone))])
    rated = [int(size.split()[0]) for size in sizes]
    head = JUDGE_TEXT.format(studies=results["studies"], sizes=len(sizes), smallest=min(rated), largest=max(rated))
    return head + table(["people's points", *judges, "ratings alone"], rows) + "\n"


def peers() -> str:
    """LLaMA-Factory and ms-swift themselves."""
    results = results_of("peers")
    rows = []
    for name, peer in results["peers"].items():
        if "failed" in peer:
            rows.append(f"| {name} | could not be run: `{peer['failed']}` | | | |")
            continue
        who = " ".join(next(iter(peer["versions"].items())))
        metric, converter = peer["metric"], peer["converter"]
        for cutter, extra in (("jieba", ""), ("rjieba", ", extra `fast`")):
            ours = metric[cutter]
            what = f"its metric, {results['pairs']:,} pairs{extra}"
            same = f"{', '.join(ours['scores'])} to {ours['largest_difference']:.0e}"
            rows.append(_peer_row(who, what, metric["peer"], ours, same))
        what = f"its converter, {converter['peer']['conversations']:,} conversations, our `conversations`"
        same = "every text" if converter["equal"] else "no"
        rows.append(_peer_row(who, what, converter["peer"], converter["conversations"], same))
        same = "it makes none"
        rows.append(_peer_row(who, "the same, our `turns`", converter["peer"], converter["turns"], same))
    head = "| peer | what | its CPU seconds | ours | | equal |\n| --- | --- | ---: | ---: | ---: | --- |"
    return "\n".join(["\n## LLaMA-Factory and ms-swift themselves\n", PEERS_TEXT, "", head, *rows, ""])


def _peer_row(who: str, what: str, its: dict[str, float], ours: dict[str, float], same: str) -> str:
    seconds = f"{its['cpu_seconds']:.2f} | {ours['cpu_seconds']:.2f} | {ours['times_faster']:.1f}x"
    return f"| {who} | {what} | {seconds} | {same} |"


def circumstances(files: list[str]) -> str:
    """Date, machine and versions of each result file."""
    rows = []
    for file in files:
        results = results_of(file)
        machine = results["machine"]
        gpu = machine["gpu"] or "no GPU"
        hardware = f"{machine['cpu']}, {machine['cores']} cores, {machine['memory_gb']:.0f} GB, {gpu}"
        versions = ", ".join(" ".join(pair) for pair in results["versions"].items())
        rows.append(f"| {file} | {results['date']} | {hardware} | {versions} |")
    head = ["\n## Where and when\n", "| result | date | machine | versions |", "| --- | --- | --- | --- |"]
    return "\n".join([*head, *rows, ""])


def render() -> str:
    """The whole page."""
    others = {"judge", "peers", "preferences-planted", "smollm2", "training-gpu", "training-peers", "training-small"}
    files = sorted({line.file for line in COMPARED + TRAINING} | others)
    parts = [comparisons(COMPARED), peers(), training(), gpu(), small(), real_base(), planted(), judge()]
    return "".join([HEAD, *parts, circumstances(files), NOT_RUN])


if __name__ == "__main__":
    shutil.copyfile(RESULTS / LOSS_CURVE, IMAGES / LOSS_CURVE)
    PAGE.write_text(render(), encoding="utf-8")
