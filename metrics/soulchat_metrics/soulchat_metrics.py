"""The `evaluate` metric: a thin face of `scoring.score`."""

# `evaluate.load` copies this file and the modules it imports by `from .name import`, but not what those import: so all
# modules stand here. It reads the rest of such a line as an address, so no comment may follow.
# ruff: noqa: F401
from collections.abc import Iterable
from typing import Any

import datasets
import evaluate

from .bleu import bleu_scores
from .bootstrap import resample
from .counting import count_pairs
from .inputs import check_pairs
from .mteval import mteval_zh_tokens
from .ngrams import TokenBatch
from .pltrdy import pltrdy_rouge_counts
from .reference import reference_sentence_scores
from .rouge import rouge_scores
from .scoring import score
from .segment import word_cutter
from .settings import PRESETS, check_choice

_DESCRIPTION = "Chinese BLEU-1..4 and ROUGE-1/2/L as the field computes them: exact, fast, and telling their settings."

_CITATION = """\
@inproceedings{chen-etal-2023-soulchat,
  title = "{S}oul{C}hat: Improving {LLM}s' Empathy, Listening, and Comfort Abilities
           through Fine-tuning with Multi-turn Empathy Conversations",
  author = "Chen, Yirong and Xing, Xiaofen and Lin, Jingkai and Zheng, Huimin
            and Wang, Zhenyu and Liu, Qi and Xu, Xiangmin",
  booktitle = "Findings of the Association for Computational Linguistics: EMNLP 2023",
  year = "2023",
}
"""

_INPUTS = """
Args:
    predictions: list of strings.
    references: list of strings, or of lists with one string.
    Every option of `soulchat_metrics.score` may be given as well.
    The preset may also be the name of the configuration: `evaluate.load("soulchat_metrics", "llamafactory")`.
"""


class SoulchatMetrics(evaluate.Metric):
    """Chinese BLEU and ROUGE for `evaluate.load("soulchat_metrics")`."""

    def _info(self) -> evaluate.MetricInfo:
        check_choice("configuration", self.config_name, ("default", *PRESETS))
        return evaluate.MetricInfo(
            description=_DESCRIPTION,
            citation=_CITATION,
            inputs_description=_INPUTS,
            features=datasets.Features(
                {"predictions": datasets.Value("string"), "references": datasets.Value("string")}
            ),
        )

    def add_batch(
        self,
        *,
        predictions: Any = None,
        references: Any = None,
        **kwargs: Any,
    ) -> None:
        """Add pairs, checked here, where the row of a bad one is still known."""
        predictions, references = check_pairs(predictions, references)
        super().add_batch(predictions=predictions, references=references, **kwargs)

    def add(self, *, prediction: Any = None, reference: Any = None, **columns: Any) -> None:
        """Add one pair, by the names of the arguments or, as `evaluate.combine` does, by those of the columns."""
        prediction = columns.pop("predictions", prediction)
        reference = columns.pop("references", reference)
        [prediction], [reference] = check_pairs([prediction], [reference])
        super().add(prediction=prediction, reference=reference, **columns)

    def _compute(self, predictions: list[str], references: list[str], **options: Any) -> dict:
        if self.config_name != "default":
            options = {"preset": self.config_name, **options}
        return score(predictions, references, **options)
