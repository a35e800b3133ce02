"""A model to talk to: from a folder or the Hub, on the device at hand."""

from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

WEIGHTS = ("*.safetensors", "*.bin")


def load_model(name: str, device: str = "auto") -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Model and tokenizer, ready for replies.

    Args:
        name: a folder (as `train.py` or `save_pretrained` writes it), or a repository of the Hub.
        device: a torch device, or "auto": the first GPU, else the CPU. On the CPU half precision becomes float32.

    Raises:
        OSError: there is no model of that name.
        ValueError: the device is not there.
    """
    check_model_folder(name)
    where = choose_device(device)
    tokenizer = AutoTokenizer.from_pretrained(name)
    model = AutoModelForCausalLM.from_pretrained(name, dtype=torch.float32 if where.type == "cpu" else "auto")
    return model.to(where).eval(), tokenizer


def check_model_folder(name: str) -> None:
    """Raises OSError when `name` looks like a folder of this machine and holds no model."""
    folder = Path(name).expanduser()
    if not folder.is_dir():
        if folder.exists() or name.startswith((".", "/", "~")) or name.count("/") > 1:
            raise NotADirectoryError(f"{name} is no folder; allowed: a model's folder, or a repository of the Hub")
        return
    if not (folder / "config.json").is_file():
        raise FileNotFoundError(f"{name} has no config.json; allowed: a folder with config, tokenizer and weights")
    if not any(path for pattern in WEIGHTS for path in folder.glob(pattern)):
        raise FileNotFoundError(f"{name} has no weights; allowed: a folder with {' or '.join(WEIGHTS)}")


def choose_device(device: str) -> torch.device:
    """The torch device that is meant; raises ValueError when it is not there."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError:
        raise ValueError(f"device is {device!r}; allowed: auto, cpu, cuda, cuda:1, …") from None
    if chosen.type == "cuda" and not torch.cuda.is_available():
        raise ValueError(f"device is {device!r}, but this torch sees no GPU; allowed here: auto, cpu")
    return chosen
