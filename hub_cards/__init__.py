"""Cards filled from what was measured, and publishing to the Hugging Face Hub. Needs no torch.

`stage_dataset`, `stage_metric` and `stage_model` lay out what is published in an empty folder, with its card;
`publish_folder` puts that on the Hub in one commit.
"""

from .cards import render_dataset_card, render_model_card
from .check import check_folder
from .dataset import stage_dataset
from .metric import stage_metric
from .model import stage_model, write_model_card
from .publish import Target, publish_folder

__all__ = [
    "Target",
    "check_folder",
    "publish_folder",
    "render_dataset_card",
    "render_model_card",
    "stage_dataset",
    "stage_metric",
    "stage_model",
    "write_model_card",
]
