"""The ChatGLM model, the training of it, and what is done with a trained model.

Importing this package makes ChatGLM-6B (v1) known to transformers' Auto classes. The trainer is loaded when it is
asked for: who only loads a model does not wait for it.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from hub_cards.install import needs_extra

for _package in ("torch", "transformers"):
    if find_spec(_package) is None:
        raise ModuleNotFoundError(needs_extra(_package, "train"), name=_package)

from .chatglm import register_auto_classes  # noqa: E402 (told in a line where a package is missing)

if TYPE_CHECKING:
    from .training.arguments import SoulChatTrainingArguments
    from .training.preference import PreferenceTrainer
    from .training.trainer import SoulChatTrainer

__all__ = ["PreferenceTrainer", "SoulChatTrainer", "SoulChatTrainingArguments"]

register_auto_classes()


def __getattr__(name: str) -> Any:
    """The public names, from the modules they live in."""
    modules = {
        "PreferenceTrainer": ".training.preference",
        "SoulChatTrainer": ".training.trainer",
        "SoulChatTrainingArguments": ".training.arguments",
    }
    if name not in modules:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(modules[name], __name__), name)
