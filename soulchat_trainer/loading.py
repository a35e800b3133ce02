"""A model and its tokenizer from a folder or the Hub, with or without a PEFT adapter, on the device at hand.

Every load of the project goes through here, and none runs code that lies beside the weights: what is not said in
`trust_remote_code`, transformers asks for on standard input.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from huggingface_hub import hf_hub_download
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, HFValidationError
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BitsAndBytesConfig,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.quantizers import AutoQuantizationConfig

from hub_cards.model_name import check_model_name, is_only_cached, weight_files
from soulchatcorpus.files import read_object

from .unreadable import cause_of

if TYPE_CHECKING:
    from peft import PeftModel

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


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
    check_model_name(name)
    where = choose_device(device)
    adapted = adapter_base(name)
    base = adapted or name
    config = load_config(base)
    if adapted is not None:
        check_whole(base, config)
    model = load_weights(base, _choose_dtype(dtype, where), config)
    if adapted is not None:
        model = load_adapter(model, name).merge_and_unload()
    return model.to(where).eval(), load_tokenizer(tokenizer or tokenizer_of(name))


def tokenizer_of(name: str) -> str:
    """Where the tokenizer of a model is: with an adapter, or with its base."""
    return name if (Path(name) / "tokenizer_config.json").is_file() else adapter_base(name) or name


def load_config(name: str, **changes: Any) -> PreTrainedConfig:
    """The configuration of a model, with `changes`; raises OSError where there is none or it cannot be read."""
    with naming(name):
        _check_settings(name)
        return AutoConfig.from_pretrained(
            name, trust_remote_code=False, local_files_only=is_only_cached(name), **changes
        )


def _check_settings(name: str) -> None:
    """Refuse what transformers passes over in silence, or tells of in words of its code.

    Raises:
        ValueError: a file of settings holds no object, or weights are quantised in a way that it does not know.
    """
    files = {filename: find_file(name, filename) for filename in ("config.json", "tokenizer_config.json")}
    settings = {filename: read_object(file) for filename, file in files.items() if file is not None}
    told = settings.get("config.json", {}).get("quantization_config")
    if told is None:
        return
    if not isinstance(told, dict) or not isinstance(told.get("quant_method"), str | None):
        raise ValueError(f"quantization_config is {told!r}; allowed: a JSON object whose quant_method is a name")
    AutoQuantizationConfig.from_dict(dict(told))


def check_whole(base: str, config: PreTrainedConfig) -> None:
    """Raises ValueError where the base of an adapter is quantised: the adapter is merged into whole weights."""
    if vars(config).get("quantization_config"):
        raise ValueError(
            f"base {base} is quantised; allowed: its weights in full, into which an adapter is merged "
            "(quantize: nf4 keeps them in 4 bits while it trains)"
        )


def load_tokenizer(name: str | Path) -> PreTrainedTokenizerBase:
    """The tokenizer of a model; raises OSError where there is none or it cannot be read."""
    with naming(str(name)):
        _check_settings(str(name))
        return AutoTokenizer.from_pretrained(name, trust_remote_code=False, local_files_only=is_only_cached(str(name)))


def load_weights(
    name: str,
    dtype: torch.dtype | str,
    config: PreTrainedConfig | None = None,
    quantization: BitsAndBytesConfig | None = None,
    new_part: str | None = None,
) -> PreTrainedModel:
    """A model with its weights, none of them left to chance but those of a part that is to be trained.

    Args:
        name: a folder or a repository of the Hub.
        dtype: of the weights; "auto": as they are stored.
        config: by default the model's own.
        quantization: how they are kept.
        new_part: what the names of weights hold that need not be there.

    Raises:
        OSError: they are not there, not whole, or not those of the model's sizes.
    """
    config = config or load_config(name)
    with naming(name):
        check_shards(Path(name))
        check_sizes(config, Path(name))
        quantized = {} if quantization is None else {"quantization_config": quantization}
        model, report = AutoModelForCausalLM.from_pretrained(
            name,
            config=config,
            dtype=dtype,
            output_loading_info=True,
            trust_remote_code=False,
            local_files_only=is_only_cached(name),
            adapter_kwargs={"local_files_only": is_only_cached(name)},  # else they are looked for on the Hub
            **quantized,
        )
        missing = [tensor for tensor in report["missing_keys"] if new_part is None or new_part not in tensor]
        if missing:
            raise OSError(f"{len(missing)} tensors are missing, the first is {min(missing)}")
        return model


def load_classifier(name: str) -> PreTrainedModel:
    """A text classifier with its weights.

    Raises:
        OSError: they are not there, not whole, or not those of its sizes.
        ValueError: they are no classifier's.
    """
    config = load_config(name)
    with naming(name):
        check_shards(Path(name))
        check_sizes(config, Path(name))
        model, report = AutoModelForSequenceClassification.from_pretrained(
            name,
            config=config,
            trust_remote_code=False,
            local_files_only=is_only_cached(name),
            adapter_kwargs={"local_files_only": is_only_cached(name)},
            output_loading_info=True,
        )
    if report["missing_keys"]:
        raise ValueError(f"{name} has no weights of a classifier; allowed: a text-classification model")
    return model


def load_adapter(model: PreTrainedModel, name: str, is_trainable: bool = False) -> "PeftModel":
    """The model with a PEFT adapter in it; raises OSError where that cannot be read or is of another model."""
    from peft import PeftModel

    with naming(name, "adapter"):
        adapted = PeftModel.from_pretrained(
            model, name, is_trainable=is_trainable, local_files_only=is_only_cached(name)
        )
        check_tied_tables(adapted)
        return adapted


def check_tied_tables(model: "PeftModel") -> None:
    """Raises ValueError where an adapter changes one of two tables that are one: the other would lose the change."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    whole = model.get_base_model()
    tables = [whole.get_input_embeddings(), whole.get_output_embeddings()]
    plain = [module.get_base_layer() if isinstance(module, BaseTunerLayer) else module for module in tables if module]
    if len({id(module.weight) for module in plain}) == 1 and any(isinstance(m, BaseTunerLayer) for m in tables):
        raise ValueError(
            "the adapter changes the embeddings or the head, which are one table in this model: what is merged or "
            "loaded would not be what was trained; allowed: other modules"
        )


def adapter_base(name: str) -> str | None:
    """The base model that a PEFT adapter names; None for a model that is no adapter.

    Raises:
        OSError: adapter_config.json names none.
    """
    adapter_file = find_file(name, "adapter_config.json")
    if adapter_file is None:
        return None
    with naming(name, "adapter"):
        base = read_object(adapter_file).get("base_model_name_or_path")
        if not isinstance(base, str) or not base:
            raise ValueError(f"base_model_name_or_path is {base!r}; allowed: a folder, a Hub name")
        if base != name and find_file(base, "adapter_config.json") is not None:
            raise ValueError(f"its base {base} is an adapter, too; allowed: a whole model")
        check_model_name(base)
        return base


def find_file(name: str, filename: str) -> Path | None:
    """A file of a model's folder, or of its repository on the Hub; None where that has none or cannot be reached."""
    if Path(name).is_dir():
        path = Path(name) / filename
        return path if path.is_file() else None
    try:
        return Path(hf_hub_download(name, filename, local_files_only=is_only_cached(name)))
    except (EntryNotFoundError, OSError, HfHubHTTPError, HFValidationError):
        return None


@contextmanager
def naming(name: str, kind: str = "model") -> Iterator[None]:
    """Say which model could not be loaded, in one line, whatever it is that libraries raise over a stranger's files.

    Without a network transformers tells of the Hub only. Memory that runs out says nothing of the files and passes.
    """
    try:
        yield
    except (MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:
        known = isinstance(error, OSError | ValueError)
        cause = " ".join(str(error).split()) if known else f"{cause_of(error)} ({type(error).__name__})"
        if "trust_remote_code" in cause:  # advice that nobody should follow, nor can
            cause = "it brings code of its own, which is never run; allowed: a model that transformers knows"
        verdict = "cannot be loaded" if Path(name).is_dir() else "is no folder here, and not to be had from the Hub"
        raise OSError(f"{kind} {name} {verdict}: {cause}") from error


def check_shards(folder: Path) -> None:
    """Raises ValueError where an index of shards names a file that does not lie beside it."""
    for index in folder.glob("*.index.json"):
        shards = read_object(index).get("weight_map")
        if not isinstance(shards, dict):
            raise ValueError(f"{index.name} has no weight_map, which tells the file of each tensor")
        for shard in shards.values():
            if not isinstance(shard, str) or Path(shard).name != shard or not (folder / shard).is_file():
                raise ValueError(f"{index.name} names {shard!r}; allowed: files beside it")


def check_sizes(config: PreTrainedConfig, folder: Path) -> None:
    """Refuse a folder whose weights cannot be those of its config, before a model of that size is made.

    Each layer has a norm of `hidden_size` numbers, and each word of the vocabulary a row of as many, of which the
    coarsest quantisation in use makes two bits.

    Raises:
        ValueError: the files are smaller than that.
    """
    text = config.get_text_config()
    if not folder.is_dir():
        return
    found = sum(path.stat().st_size for path in weight_files(folder))
    numbers = (text.num_hidden_layers + text.vocab_size) * text.hidden_size
    if numbers > 4 * found:
        raise ValueError(
            f"config.json tells of {text.num_hidden_layers} layers and {text.vocab_size} words of {text.hidden_size} "
            f"numbers each, and the weights have {found} bytes"
        )


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
