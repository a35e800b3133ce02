"""Holds each preset of soulchat_metrics to the code of the project it is named after, and shows how far they differ.

    python benchmarks/recipes.py            # 2,000 pairs, then the demo's replies, then the tables of docs/recipes.md
    python benchmarks/recipes.py --page     # only the tables, from benchmarks/results/recipes.json

Each `print_of_…` goes the way of its project's file (`soulchat_metrics.RECIPES` names it) with the packages that the
project installs: jieba, nltk, rouge-chinese, rouge and sacrebleu.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from measuring import RESULTS, circumstances, write_results
from metric import sample_pairs
from readme import with_block

from hub_cards.markdown import Marked, code, table

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "recipes.md"
ROUGE = ("rouge-1", "rouge-2", "rouge-l")
BLEU = ("bleu-1", "bleu-2", "bleu-3", "bleu-4")
WEIGHTS = [(1.0,), (1 / 2, 1 / 2), (1 / 3, 1 / 3, 1 / 3), (1 / 4, 1 / 4, 1 / 4, 1 / 4)]
Printed = dict[str, float]
Texts = Sequence[str]


def print_of_ptuning(predictions: Texts, references: Texts) -> Printed:
    """ChatGLM-6B's and LLaMA-Factory's: BLEU-4 over characters, ROUGE over words, each sentence rounded."""
    import jieba
    from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu
    from rouge_chinese import Rouge

    rows = []
    for prediction, reference in zip(predictions, references, strict=True):
        found = Rouge().get_scores(" ".join(jieba.cut(prediction)), " ".join(jieba.cut(reference)))[0]
        smooth = SmoothingFunction().method3
        bleu = sentence_bleu([[*reference]], [*prediction], smoothing_function=smooth)
        rows.append([round(100 * value, 4) for value in (bleu, *(found[name]["f"] for name in ROUGE))])
    return means(("bleu-4", *ROUGE), rows)


def print_of_ms_swift(predictions: Texts, references: Texts) -> Printed:
    """BLEU-4 over words, ROUGE of the package rouge; ms-swift rounds the means to six decimals, which is left out."""
    import jieba
    from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu
    from rouge import Rouge

    rows = []
    for texts in zip(predictions, references, strict=True):
        prediction, reference = ([word.strip(" ") for word in jieba.cut(text) if word.strip(" ")] for text in texts)
        found = Rouge().get_scores(" ".join(prediction), " ".join(reference))[0]
        bleu = sentence_bleu([reference], prediction, smoothing_function=SmoothingFunction().method3)
        rows.append([100 * value for value in (bleu, *(found[name]["f"] for name in ROUGE))])
    return means(("bleu-4", *ROUGE), rows)


def print_of_emollm(predictions: Texts, references: Texts) -> Printed:
    """All over the words of the texts without their spaces; BLEU with method 1, ROUGE of the package rouge."""
    import jieba
    from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu
    from rouge import Rouge

    cut = [[" ".join(jieba.cut(text.replace(" ", ""))) for text in texts] for texts in (predictions, references)]
    bleu = [
        sentence_bleu([reference.split(" ")], prediction.split(" "), WEIGHTS, SmoothingFunction().method1)
        for prediction, reference in zip(*cut, strict=True)
    ]
    rouge = Rouge().get_scores(*cut, avg=True)
    return means(BLEU, [[100 * value for value in row] for row in bleu]) | {
        name: 100 * rouge[name]["f"] for name in ROUGE
    }


def print_of_longbench(predictions: Texts, references: Texts) -> Printed:
    """ROUGE-L of the package rouge over words; LongBench rounds the mean to two decimals, which is left out."""
    import jieba
    from rouge import Rouge

    scores = [
        Rouge().get_scores([" ".join(jieba.cut(prediction))], [" ".join(jieba.cut(reference))], avg=True)
        for prediction, reference in zip(predictions, references, strict=True)
    ]
    return means(("rouge-l",), [[100 * score["rouge-l"]["f"]] for score in scores])


def print_of_sacrebleu(tokenizer: str) -> Callable[[Texts, Texts], Printed]:
    """BLEU of the corpus; BLEU-1 to -3 with its option max_ngram_order."""
    from sacrebleu.metrics import BLEU as SacreBLEU

    def print_of(predictions: Texts, references: Texts) -> Printed:
        metrics = [SacreBLEU(tokenize=tokenizer, max_ngram_order=order) for order in range(1, 5)]
        scores = [metric.corpus_score([*predictions], [[*references]]).score for metric in metrics]
        return dict(zip(BLEU, scores, strict=True))

    return print_of


PRINTS: dict[str, Callable[[Texts, Texts], Printed]] = {
    "ptuning": print_of_ptuning,
    "llamafactory": print_of_ptuning,
    "ms-swift": print_of_ms_swift,
    "emollm": print_of_emollm,
    "longbench": print_of_longbench,
    "sacrebleu-zh": print_of_sacrebleu("zh"),
    "sacrebleu-char": print_of_sacrebleu("char"),
}


def means(names: Sequence[str], rows: Sequence[Sequence[float]]) -> Printed:
    """The mean of each column."""
    return {name: sum(column) / len(rows) for name, column in zip(names, zip(*rows, strict=True), strict=True)}


def compare(predictions: Texts, references: Texts) -> dict[str, dict[str, Any]]:
    """Of each preset what the project's way prints, and how far ours lies from it at most.

    Raises:
        ValueError: the project prints other metrics than our recipe says.
    """
    from soulchat_metrics import RECIPES, score

    found = {}
    for preset, print_of in PRINTS.items():
        printed = print_of(predictions, references)
        if set(printed) != set(RECIPES[preset].metrics):
            raise ValueError(f"{preset} prints {', '.join(printed)}; its recipe says {RECIPES[preset].metrics}")
        ours = score(predictions, references, preset)
        difference = max(abs(ours[name] - value) for name, value in printed.items())
        found[preset] = {"source": RECIPES[preset].source, "printed": printed, "largest_difference": difference}
    return found


def demo_table() -> dict[str, Any]:
    """`compare_recipes` on the replies of the demo's model."""
    from soulchat_metrics import compare_recipes

    rows = [json.loads(line) for line in (RESULTS / "demo_predictions.jsonl").read_bytes().splitlines()]
    texts = [row["prediction"] for row in rows], [row["reference"] for row in rows]
    return {"replies": len(rows), "recipes": compare_recipes(*texts)}


def updated() -> str:
    """The text of docs/recipes.md with its tables rendered anew."""
    results = json.loads((RESULTS / "recipes.json").read_text(encoding="utf-8"))
    text = PAGE.read_text(encoding="utf-8")
    text = with_block(text, "demo", render_demo(results["demo"]["recipes"]))
    return with_block(text, "sources", render_sources(results["presets"]))


def render_demo(recipes: dict[str, dict[str, Any]]) -> str:
    """A row for each preset, and how far the least and the most of a column lie apart."""
    names = (*BLEU, *ROUGE)
    rows = [
        [code(preset), *("" if row[name] is None else f"{row[name]:.2f}" for name in names)]
        for preset, row in recipes.items()
    ]
    columns = [[row[name] for row in recipes.values() if row[name] is not None] for name in names]
    rows.append(["most less least", *(f"{max(values) - min(values):.2f}" for values in columns)])
    return table(["preset", *(name.upper() for name in names)], rows) + "\n"


def render_sources(presets: dict[str, dict[str, Any]]) -> str:
    """Where each preset comes from, and how far it lay from its project's way."""
    rows = [
        [code(preset), Marked(row["source"]), ", ".join(row["printed"]), f"{row['largest_difference']:.0e}"]
        for preset, row in presets.items()
    ]
    return table(["preset", "source", "prints", "largest difference (x100)"], rows) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=2000)
    parser.add_argument("--page", action="store_true", help="only write the tables")
    arguments = parser.parse_args()
    if not arguments.page:
        packages = ("jieba", "nltk", "rouge-chinese", "rouge", "sacrebleu", "soulchat")
        presets = compare(*sample_pairs(arguments.pairs))
        results = {"pairs": arguments.pairs, "presets": presets, "demo": demo_table()}
        write_results("recipes", circumstances(*packages) | results)
    PAGE.write_text(updated(), encoding="utf-8")


if __name__ == "__main__":
    main()
