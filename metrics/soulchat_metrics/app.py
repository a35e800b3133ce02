"""The metric's page: paste predictions and references, see scores, tokens and where n-grams match.

As a Hub Space this folder stands alone, and it is no package there; so the page loads it as one.
"""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import gradio as gr

FOLDER = Path(__file__).resolve().parent
spec = spec_from_file_location("soulchat_metrics", FOLDER / "__init__.py", submodule_search_locations=[str(FOLDER)])
assert spec is not None
assert spec.loader is not None
sys.modules["soulchat_metrics"] = module_from_spec(spec)
spec.loader.exec_module(sys.modules["soulchat_metrics"])

from soulchat_metrics import METRIC_NAMES, PRESETS, score  # noqa: E402
from soulchat_metrics.alignment import longest_matches  # noqa: E402
from soulchat_metrics.counting import cutter  # noqa: E402

EXAMPLE = (
    "我能理解你的感受，你愿意多说一些吗？\n听起来你最近压力很大。",
    "我理解你的感受，愿意和我多说说吗？\n听起来最近的压力让你很累。",
)
COLOURS = {"1-gram": "#fde68a", "2-gram": "#bbf7d0", "3-gram": "#86efac", "4-gram": "#22c55e"}
Highlights = list[tuple[str, str | None]]


def score_page(predictions: str, references: str, preset: str, pair: float | None) -> tuple:
    """All outputs of the page: means, scores of each pair, signature, and the matches of one pair."""
    texts = predictions.splitlines(), references.splitlines()
    try:
        result = score(*texts, preset=preset, return_sentence_scores=True)
    except ValueError as error:
        raise gr.Error(str(error)) from None
    means = [[name, f"{result[name]:.4f}"] for name in METRIC_NAMES]
    sentences = zip(*(result["sentence_scores"][name] for name in METRIC_NAMES), strict=True)
    rows = [[number, *(f"{value:.2f}" for value in values)] for number, values in enumerate(sentences, start=1)]
    return means, rows, result["signature"], *show_matches(predictions, references, preset, pair)


def show_matches(predictions: str, references: str, preset: str, pair: float | None) -> tuple[Highlights, Highlights]:
    """The tokens of BLEU and of ROUGE of one pair's prediction, each with its longest match in the reference."""
    number = int(pair or 1)
    texts = [lines.splitlines()[number - 1 : number] for lines in (predictions, references)]
    if not all(texts):
        raise gr.Error(
            f"pair is {number}; allowed: 1 to {min(len(predictions.splitlines()), len(references.splitlines()))}"
        )
    [prediction], [reference] = texts
    settings = PRESETS[preset]
    bleu, rouge = (
        [
            (match.token, f"{match.order}-gram" if match.order else None)
            for match in longest_matches(cut(prediction), cut(reference))
        ]
        for cut in (cutter(settings.bleu_tokenizer, fast=True), cutter(settings.rouge_tokenizer, fast=True))
    )
    return bleu, rouge


def build_page() -> gr.Blocks:
    """The page, ready to launch."""
    with gr.Blocks(title="SoulChat Metrics") as page:
        gr.Markdown("# soulchat_metrics\nChinese BLEU and ROUGE: exact, fast, with their settings stated.")
        with gr.Row():
            predictions = gr.Textbox(EXAMPLE[0], label="Predictions, one a line", lines=6, elem_id="predictions")
            references = gr.Textbox(EXAMPLE[1], label="References, one a line", lines=6, elem_id="references")
        with gr.Row():
            preset = gr.Dropdown(list(PRESETS), value="paper", label="Preset")
            pair = gr.Number(1, label="Show the matches of pair", precision=0, minimum=1, elem_id="pair")
        button = gr.Button("Score", variant="primary", elem_id="score")
        means = gr.Dataframe(headers=["metric", "x100"], label="All pairs", elem_id="means")
        signature = gr.Textbox(label="Signature", elem_id="signature")
        sentences = gr.Dataframe(headers=["pair", *METRIC_NAMES], label="Each pair", elem_id="sentences")
        matches = [
            gr.HighlightedText(label=label, color_map=COLOURS, show_legend=True, elem_id=element)
            for label, element in (("BLEU: tokens and longest matches", "bleu"), ("ROUGE: the same", "rouge"))
        ]
        inputs = [predictions, references, preset, pair]
        button.click(score_page, inputs, [means, sentences, signature, *matches], api_name="score")
        pair.submit(show_matches, inputs, matches, api_name="matches")
    return page


if __name__ == "__main__":
    build_page().launch()
