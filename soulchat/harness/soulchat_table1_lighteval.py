"""The automatic half of SoulChat's Table 1 for LightEval; it needs the SoulChat toolkit for the scores.

    lighteval accelerate "model_name=…,generation_parameters={top_p:0.75,temperature:0.95}" "soulchat_table1|0" \\
        --custom-tasks THIS_FILE
"""

from pathlib import Path

import numpy as np
from lighteval.metrics.metrics_sample import SampleLevelComputation
from lighteval.metrics.utils.metric_utils import SampleLevelMetricGrouping
from lighteval.models.model_output import ModelResponse
from lighteval.tasks.lighteval_task import LightevalTaskConfig
from lighteval.tasks.requests import Doc, SamplingMethod

from soulchat_metrics import METRIC_NAMES, score
from soulchat_metrics.trainer_metrics import without_thinking


class ReplyScores(SampleLevelComputation):
    """The seven metrics of a reply, x100; their means are those of `soulchat_metrics.score`."""

    def compute(self, doc: Doc, model_response: ModelResponse, **options: object) -> dict[str, float]:
        scores = score([without_thinking(model_response.final_text[0])], [doc.choices[0]])
        return {name: scores[name] for name in METRIC_NAMES}


def to_doc(row: dict[str, str], task_name: str) -> Doc:
    """A turn: the talk in the paper's form, and the counsellor's reply."""
    return Doc(query=row["prompt"], choices=[row["reference"]], gold_index=0, task_name=task_name)


TASKS_TABLE = [
    LightevalTaskConfig(
        name="soulchat_table1",
        prompt_function=to_doc,
        hf_repo=str(Path(__file__).with_name("data")),
        hf_subset="default",
        hf_avail_splits=["test"],
        evaluation_splits=["test"],
        generation_size=512,  # the paper, section 3.2
        stop_sequence=["\n用户："],
        metrics=[
            SampleLevelMetricGrouping(
                metric_name=list(METRIC_NAMES),
                sample_level_fn=ReplyScores(),
                category=SamplingMethod.GENERATIVE,
                corpus_level_fn=dict.fromkeys(METRIC_NAMES, np.mean),
                higher_is_better=dict.fromkeys(METRIC_NAMES, True),
            )
        ],
    )
]
