"""Chinese BLEU and ROUGE as the field computes them: exact, fast, and telling their settings."""

from .agreement import (
    agreement_interval,
    fleiss_kappa,
    intraclass_correlation,
    krippendorff_alpha,
    percent_agreement,
    quadratic_kappa,
)
from .evaluate_cache import install_metric
from .recipes import RECIPES, Recipe, compare_recipes
from .scoring import METRIC_NAMES, bleu, paired_bootstrap, rouge, score
from .settings import PRESETS, Settings, __version__
from .trainer_metrics import ComputeMetrics, likeliest_tokens

__all__ = [
    "METRIC_NAMES",
    "PRESETS",
    "RECIPES",
    "ComputeMetrics",
    "Recipe",
    "Settings",
    "__version__",
    "agreement_interval",
    "bleu",
    "compare_recipes",
    "fleiss_kappa",
    "intraclass_correlation",
    "krippendorff_alpha",
    "likeliest_tokens",
    "paired_bootstrap",
    "percent_agreement",
    "quadratic_kappa",
    "rouge",
    "score",
]

install_metric()
