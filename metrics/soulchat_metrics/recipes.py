"""What other projects print for the same texts: where each recipe comes from, and all of them side by side."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from .bleu import BLEU_NAMES
from .inputs import check_pairs
from .rouge import ROUGE_NAMES
from .scoring import METRIC_NAMES, score
from .settings import PRESETS

_BLEU_4_AND_ROUGE = ("bleu-4", *ROUGE_NAMES)


@dataclass(frozen=True)
class Recipe:
    """Where a preset comes from.

    Attributes:
        source: the repository and the file that computes the scores.
        metrics: those of the seven that it prints; of the others the preset says nothing.
    """

    source: str
    metrics: tuple[str, ...]


RECIPES = {
    "paper": Recipe("SoulChat (EMNLP Findings 2023), Table 1: no code; the closest fit", METRIC_NAMES),
    "ptuning": Recipe("THUDM/ChatGLM-6B, ptuning/main.py", _BLEU_4_AND_ROUGE),
    "llamafactory": Recipe("hiyouga/LLaMA-Factory, src/llamafactory/train/sft/metric.py", _BLEU_4_AND_ROUGE),
    "ms-swift": Recipe("modelscope/ms-swift, swift/metrics/nlg.py", _BLEU_4_AND_ROUGE),
    "emollm": Recipe("SmartFlowAI/EmoLLM, evaluate/metric.py", METRIC_NAMES),
    "longbench": Recipe("THUDM/LongBench, LongBench/metrics.py, rouge_zh_score", ("rouge-l",)),
    "sacrebleu-zh": Recipe("mjpost/sacrebleu, sacrebleu/metrics/bleu.py, tokenize zh", BLEU_NAMES),
    "sacrebleu-char": Recipe("mjpost/sacrebleu, sacrebleu/metrics/bleu.py, tokenize char", BLEU_NAMES),
}


def compare_recipes(
    predictions: Iterable[str], references: Iterable[str] | Iterable[list[str]], **options: Any
) -> dict[str, dict[str, Any]]:
    """The same texts under every preset: a row a preset, as `pandas.DataFrame(…).T` takes it.

    Args:
        predictions, references, options: as `score`.

    Returns:
        For each preset the seven metrics, None for those that its project does not print, and `signature`.

    Raises:
        ValueError: as `score`.
    """
    texts = check_pairs(predictions, references)
    table: dict[str, dict[str, Any]] = {}
    for preset in PRESETS:
        scores = score(*texts, preset, **options)
        printed = {name: scores[name] if name in RECIPES[preset].metrics else None for name in METRIC_NAMES}
        table[preset] = {**printed, "signature": scores["signature"]}
    return table
