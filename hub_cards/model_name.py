"""What a model's name means: a folder with weights, or a repository of the Hub, which may be away. Needs no torch."""

import functools
import logging
from pathlib import Path

from huggingface_hub import HfApi, constants, try_to_load_from_cache
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, HTTPError

logger = logging.getLogger(__name__)

HUB_SECONDS = 3.0  # for the Hub to say whether it has a model
CONFIGS = ("config.json", "adapter_config.json")
WEIGHTS = ("*.safetensors", "*.bin")


def check_model_name(name: str) -> None:
    """Raises OSError when `name` is neither a folder with a model nor a repository of the Hub."""
    folder = Path(name).expanduser()
    if not folder.is_dir():
        if folder.exists() or name.startswith((".", "/", "~")) or name.count("/") != 1:
            raise NotADirectoryError(f"{name} is no folder; allowed: a model's folder, or USER/NAME on the Hub")
        is_only_cached(name)
        return
    if not any((folder / file).is_file() for file in CONFIGS):
        raise FileNotFoundError(f"{name} has no config.json; allowed: a folder with config, tokenizer and weights")
    if not weight_files(folder):
        raise FileNotFoundError(f"{name} has no weights; allowed: a folder with {' or '.join(WEIGHTS)}")


def weight_files(folder: Path) -> list[Path]:
    """The files with weights in a model's folder."""
    return sorted(path for pattern in WEIGHTS for path in folder.glob(pattern))


def is_only_cached(name: str) -> bool:
    """Whether a repository is to be read from the cache alone, the Hub being away; a folder never is.

    The Hub is asked once: a library that reads a model asks it for each file, six times over where it does not answer.

    Raises:
        OSError: the Hub gives no such model; or it is away, and the cache has none.
    """
    return not Path(name).is_dir() and _ask_the_hub(name, constants.ENDPOINT, constants.is_offline_mode())


@functools.cache
def _ask_the_hub(name: str, endpoint: str, is_offline: bool) -> bool:
    try:
        HfApi(endpoint).model_info(name, timeout=HUB_SECONDS)
    except (HFValidationError, HfHubHTTPError) as error:
        reason = str(error).splitlines()[0]
        raise OSError(
            f"{name} is no folder here and no model that the Hub gives to you ({reason}); allowed: a model's "
            "folder, or USER/NAME on the Hub"
        ) from error
    except (HTTPError, OSError) as error:
        if not any(
            isinstance(try_to_load_from_cache(name, file), str) for file in ("config.json", "adapter_config.json")
        ):
            raise OSError(
                f"{name} is no folder here and not in the cache, and the Hub cannot be reached ({error}); allowed: a "
                "model's folder, or a model that was downloaded before"
            ) from error
        if not is_offline:
            logger.warning(f"the Hub cannot be reached, so {name} is taken from the cache")
        return True
    return False
