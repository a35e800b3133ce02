"""The metric's page: paste or upload predictions and references, see scores, tokens and where n-grams match.

As a Hub Space this folder stands alone, and it is no package there; so the page loads it as one.
"""

import sys
import tempfile
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
from soulchat_metrics.inputs import check_pairs  # noqa: E402
from soulchat_metrics.pair_files import FORMATS, read_pairs, write_scores  # noqa: E402

EXAMPLES = [
    [
        "我能理解你的感受，你愿意多说一些吗？\n听起来你最近压力很大。",
        "我理解你的感受，愿意和我多说说吗？\n听起来最近的压力让你很累。",
        "paper",
    ],
    ["你可以试着早点睡，睡前不看手机。", "睡前放下手机，早一点躺下，也许会好一些。", "emollm"],
    ["谢谢你愿意告诉我 3.5 年来的事。", "谢谢你愿意和我说这三年半的事。", "sacrebleu-zh"],
]
LABELS = {
    "en": {
        "about": "# soulchat_metrics\nChinese BLEU and ROUGE: exact, fast, with their settings stated.",
        "predictions": "Predictions, one a line",
        "references": "References, one a line",
        "pairs_file": "Or a file, CSV, JSON lines or Parquet, with the columns prediction and reference",
        "examples": "Examples",
        "preset": "Preset",
        "preset_info": "Whose scripts the scores follow: the README has what each one stands for.",
        "score": "Score",
        "means": "All pairs (x100)",
        "signature": "Signature, to be told beside the scores",
        "csv": "The scores of all pairs as CSV",
        "sentences": "Each pair (the first 200)",
        "pair": "Show the matches of pair",
        "bleu": "BLEU: tokens and their longest matches",
        "rouge": "ROUGE: tokens and their longest matches",
    },
    "zh": {
        "about": "# soulchat_metrics\n中文 BLEU 与 ROUGE：结果准确，计算快，并写明全部设置。",
        "predictions": "模型回复，每行一条",
        "references": "参考回复，每行一条",
        "pairs_file": "或上传文件（CSV、JSON Lines 或 Parquet），须有 prediction 和 reference 两列",
        "examples": "示例",
        "preset": "预设",
        "preset_info": "分数与哪一家的脚本一致；各预设的含义见 README。",
        "score": "计算",
        "means": "全部样本（×100）",
        "signature": "签名，报告分数时请一并写出",
        "csv": "全部样本的分数（CSV）",
        "sentences": "逐条分数（前 200 条）",
        "pair": "显示第几条的匹配",
        "bleu": "BLEU：词元与最长匹配",
        "rouge": "ROUGE：词元与最长匹配",
    },
}
# No name may be one of Gradio's own groups of words ("file", "chatbot", …), which would take its place.
# Browsers say "zh-CN"; without an entry of that name the page would fall back to English.
LABELS["zh-CN"] = LABELS["zh-TW"] = LABELS["zh"]
COLOURS = {"1-gram": "#fde68a", "2-gram": "#d9f99d", "3-gram": "#86efac", "4-gram": "#7dd3fc"}
SHOWN_PAIRS = 200
KEPT_SECONDS = 3600  # of an uploaded file
SIDE_BY_SIDE = 320  # pixels that a text needs; where two do not fit they stand below each other

Highlights = list[tuple[str, str | None]]
Texts = tuple[list[str], list[str]]

downloads = tempfile.TemporaryDirectory()  # numbers only; Gradio copies what it hands out


def refusal(error: Exception) -> gr.Error:
    """What is wrong, for the reader alone: Gradio would print it in the server's log, and it may hold a text."""
    return gr.Error(str(error), print_exception=False)


def score_page(
    predictions: str,
    references: str,
    file: str | None,
    preset: str,
    pair: float | None,
    progress: gr.Progress = gr.Progress(),
) -> tuple:
    """All outputs of the page: the pairs, means, signature, a CSV file, scores of each pair, one pair's matches."""
    try:
        given = read_pairs(Path(file)) if file else (predictions.splitlines(), references.splitlines())
        texts = check_pairs(*given)
        total = len(texts[0])
        result = score(
            *texts, preset, return_sentence_scores=True, progress=lambda done: progress((done, total), unit="pairs")
        )
    except (ValueError, OSError) as error:
        raise refusal(error) from None
    means = [[f"{result[name]:.4f}" for name in METRIC_NAMES]]
    sentences = zip(*(result["sentence_scores"][name][:SHOWN_PAIRS] for name in METRIC_NAMES), strict=True)
    rows = [[number, *(f"{value:.2f}" for value in values)] for number, values in enumerate(sentences, start=1)]
    with tempfile.NamedTemporaryFile(dir=downloads.name, prefix="scores-", suffix=".csv", delete=False) as made:
        write_scores(Path(made.name), result)
    return texts, means, result["signature"], made.name, rows, *show_matches(texts, preset, pair)


def show_matches(texts: Texts, preset: str, pair: float | None) -> tuple[Highlights, Highlights]:
    """The tokens of BLEU and of ROUGE of one pair's prediction, each with its longest match in the reference."""
    number = int(pair or 1)
    if not 1 <= number <= len(texts[0]):
        raise refusal(ValueError(f"pair is {number}; allowed: 1 to {len(texts[0])}"))
    prediction, reference = (side[number - 1] for side in texts)
    settings = PRESETS[preset]
    bleu, rouge = (
        [
            (match.token, f"{match.order}-gram" if match.order else None)
            for match in longest_matches(cut(prediction), cut(reference))
        ]
        for cut in (cutter(settings.bleu_tokenizer, fast=True), cutter(settings.rouge_tokenizer, fast=True))
    )
    return bleu, rouge


def build_page(words: gr.I18n) -> gr.Blocks:
    """The page, ready to launch."""
    with gr.Blocks(title="SoulChat Metrics", delete_cache=(KEPT_SECONDS, KEPT_SECONDS)) as page:
        gr.Markdown(words("about"), elem_id="about")
        texts = gr.State(([], []))
        with gr.Row():
            predictions = gr.Textbox(
                EXAMPLES[0][0], label=words("predictions"), lines=6, min_width=SIDE_BY_SIDE, elem_id="predictions"
            )
            references = gr.Textbox(
                EXAMPLES[0][1], label=words("references"), lines=6, min_width=SIDE_BY_SIDE, elem_id="references"
            )
        file = gr.File(label=words("pairs_file"), file_types=list(FORMATS), height=120, elem_id="file")
        preset = gr.Dropdown(
            list(PRESETS), value="paper", label=words("preset"), info=words("preset_info"), elem_id="preset"
        )
        filled = [predictions, references, preset]
        # Not gr.Examples, whose table is headed by labels that are not translated.
        examples = gr.Dataset(
            components=filled,
            samples=EXAMPLES,
            headers=["prediction", "reference", "preset"],
            label=words("examples"),
            elem_id="examples",
        )
        examples.click(lambda sample: sample, examples, filled, api_visibility="private")
        button = gr.Button(words("score"), variant="primary", elem_id="score")
        means = gr.Dataframe(headers=list(METRIC_NAMES), label=words("means"), elem_id="means")
        signature = gr.Textbox(label=words("signature"), buttons=["copy"], elem_id="signature")
        csv = gr.File(label=words("csv"), interactive=False, elem_id="csv")
        sentences = gr.Dataframe(headers=["#", *METRIC_NAMES], label=words("sentences"), elem_id="sentences")
        pair = gr.Number(1, label=words("pair"), precision=0, minimum=1, elem_id="pair")
        matches = [
            gr.HighlightedText(label=words(name), color_map=COLOURS, show_legend=True, elem_id=name)
            for name in ("bleu", "rouge")
        ]
        button.click(
            score_page,
            [predictions, references, file, preset, pair],
            [texts, means, signature, csv, sentences, *matches],
            api_name="score",
            show_progress_on=means,
        )
        pair.submit(show_matches, [texts, preset, pair], matches, api_name="matches")
    return page


def main() -> None:
    words = gr.I18n(**LABELS)
    build_page(words).launch(i18n=words, max_file_size="20mb", theme=_theme(), run_history=False)


def _theme() -> gr.themes.Default:
    """Texts that stand out from their ground, which Gradio's own are too pale for."""
    primary = "#b45309"
    return gr.themes.Default().set(
        body_text_color_subdued="*body_text_color",
        button_primary_background_fill=primary,
        button_primary_background_fill_dark=primary,
        button_primary_background_fill_hover="#92400e",
        button_primary_background_fill_hover_dark="#92400e",
    )


if __name__ == "__main__":
    main()
