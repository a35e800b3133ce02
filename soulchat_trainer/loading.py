"""A model and its tokenizer from a folder or the Hub, with or without a PEFT adapter, on the device at hand."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from huggingface_hub import hf_hub_download
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, HFValidationError
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
WEIGHTS = ("*.safetensors", "*.bin")


def load_model(
    name: str, device: str = "auto", dtype: str = "auto", tokenizer: str | None = None
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Model and tokenizer, ready for replies; an adapter is merged into the base model that it names.

    Args:
        name: a folder (as `train.py` or `save_pretrained` writes it), or a repository of the Hub.
        device: a torch device, or "auto": the first GPU, else the CPU.
        dtype: float32, bfloat16, float16, or "auto": float32 on the CPU, elsewhere the checkpoint's own.
        tokenizer: where another tokenizer than the model's is.

    Raises:
        OSError: there is no model of that name.
        ValueError: the device is not there; the dtype is none of these.
    """
    check_model_folder(name)
    where = choose_device(device)
    adapted = adapter_base(name)
    base = adapted or name
    own = name if (Path(name) / "tokenizer_config.json").is_file() else base
    weights = _choose_dtype(dtype, where)
    with naming(base):
        model = AutoModelForCausalLM.from_pretrained(base, dtype=weights)
    if adapted is not None:
        if model.config.to_dict().get("quantization_config"):
            raise ValueError(f"base {base} of {name} is quantised; allowed: its weights in full, into which to merge")
        from peft import PeftModel

        model = PeftModel.from_pretrained(model, name).merge_and_unload()
    return model.to(where).eval(), AutoTokenizer.from_pretrained(tokenizer or own)


def adapter_base(name: str) -> str | None:
    """The base model that a PEFT adapter names; None for a model that is no adapter."""
    adapter_file = find_file(name, "adapter_config.json")
    return None if adapter_file is None else json.loads(adapter_file.read_text())["base_model_name_or_path"]


def find_file(name: str, filename: str) -> Path | None:
    """A file of a model's folder, or of its repository on the Hub; None where that has none or cannot be reached."""
    if Path(name).is_dir():
        path = Path(name) / filename
        return path if path.is_file() else None
    try:
        return Path(hf_hub_download(name, filename))
    except (EntryNotFoundError, HfHubHTTPError, HFValidationError):
        return None


@contextmanager
def naming(name: str) -> Iterator[None]:
    """Say which model could not be loaded: without a network transformers tells of the Hub only."""
    try:
        yield
    except (OSError, ValueError) as error:
        raise OSError(
            f"model {name} is no folder here, or not whole, and not to be had from the Hub: {error}"
        ) from error


def check_model_folder(name: str) -> None:
    """Raises OSError when `name` looks like a folder of this machine and holds no model."""
    folder = Path(name).expanduser()
    if not folder.is_dir():
        if folder.exists() or name.startswith((".", "/", "~")) or name.count("/") > 1:
            raise NotADirectoryError(f"{name} is no folder; allowed: a model's folder, or a repository of the Hub")
        return
    if not (folder / "config.json").is_file() and not (folder / "adapter_config.json").is_file():
        raise FileNotFoundError(f"{name} has no config.json; allowed: a folder with config, tokenizer and weights")
    if not weight_files(folder):
        raise FileNotFoundError(f"{name} has no weights; allowed: a folder with {' or '.join(WEIGHTS)}")


def weight_files(folder: Path) -> list[Path]:
    """The files with weights in a model's folder."""
    return sorted(path for pattern in WEIGHTS for path in folder.glob(pattern))


def model_revision(name: str) -> str | None:
    """What tells this model from its other versions: the Hub's commit, or a hash of a folder's weights."""
    if not Path(name).is_dir():
        config = find_file(name, "adapter_config.json") or find_file(name, "config.json")
        return None if config is None else config.parent.name  # the cache has a folder for each commit
    digest = hashlib.sha256()
    for path in weight_files(Path(name)):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return f"sha256:{digest.hexdigest()[:16]}"


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


def _choose_dtype(dtype: str, device: torch.device) -> torch.dtype | str:
    if dtype == "auto":
        return torch.float32 if device.type == "cpu" else "auto"
    if dtype not in DTYPES:
        raise ValueError(f"dtype is {dtype!r}; allowed: auto, {', '.join(DTYPES)}")
    return DTYPES[dtype]
