"""Makes `evaluate.load("soulchat_metrics")` work from any directory.

`evaluate` looks a bare name up beside the current directory, on the Hub, and then among the modules that it has loaded
before, under `$HF_MODULES_CACHE/evaluate_modules/metrics/evaluate-metric--<name>/<64 characters>/<name>.py`, newest
first. Importing this package puts its modules there.
"""

import logging
import os
import shutil
import tempfile
import warnings
from hashlib import sha256
from pathlib import Path

METRIC_NAME = "soulchat_metrics"
MODULES = (
    "soulchat_metrics",
    "bleu",
    "bootstrap",
    "counting",
    "inputs",
    "mteval",
    "ngrams",
    "pltrdy",
    "reference",
    "rouge",
    "scoring",
    "segment",
    "settings",
)


def install_metric() -> None:
    """Put the metric where `evaluate` finds it by its bare name; warns, and changes nothing, where it may not write.

    The folder's name is a hash of its files, and it appears by one rename: a second call finds it there, a new version
    gets a folder of its own, and of two processes at once the slower puts the same files in their places again.
    """
    sources = {f"{module}.py": Path(__file__).with_name(f"{module}.py").read_bytes() for module in MODULES}
    sources["__init__.py"] = b""
    logging.getLogger("evaluate.loading").addFilter(_is_news)
    digest = sha256(b"".join(name.encode() + content for name, content in sources.items())).hexdigest()
    parent = _modules_cache() / "evaluate_modules" / "metrics" / f"evaluate-metric--{METRIC_NAME}"
    try:
        if not all((parent / digest / name).is_file() for name in sources):
            _write_folder(parent, digest, sources)
        _make_newest(parent, digest)
    except OSError as error:
        warnings.warn(
            f'evaluate.load("{METRIC_NAME}") will not find the metric by this name, because its modules folder cannot '
            f"be written ({error}); set HF_MODULES_CACHE to a folder that can",
            stacklevel=2,
        )


def _is_news(record: logging.LogRecord) -> bool:
    """False for `evaluate`'s warning that it takes the metric from where it was put for it."""
    said = record.getMessage()
    return not (said.startswith("Using the latest cached version of the module from") and METRIC_NAME in said)


def _modules_cache() -> Path:
    """As `evaluate.config` has it; importing that would take a second."""
    xdg_cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    hf_home = os.environ.get("HF_HOME", os.path.join(xdg_cache, "huggingface"))
    # Not Path.expanduser: it raises where a user, as in a container, has no home.
    return Path(os.path.expanduser(os.environ.get("HF_MODULES_CACHE", os.path.join(hf_home, "modules"))))


def _write_folder(parent: Path, digest: str, sources: dict[str, bytes]) -> None:
    parent.mkdir(parents=True, exist_ok=True)
    for package in (parent, *parent.parents[:2]):
        (package / "__init__.py").touch()
    folder = Path(tempfile.mkdtemp(prefix=".writing-", dir=parent))
    try:
        for name, content in sources.items():
            (folder / name).write_bytes(content)
        folder.chmod(0o755)
        try:
            folder.rename(parent / digest)
        except OSError:
            if not (parent / digest).is_dir():
                raise
            for name in sources:  # another process was faster, or a cleaner of old files took some
                (folder / name).replace(parent / digest / name)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _make_newest(parent: Path, digest: str) -> None:
    """`evaluate` takes the newest file, so an older version that is imported again must become it."""
    times = {path.parent.name: path.stat().st_mtime_ns for path in parent.glob(f"*/{METRIC_NAME}.py")}
    if times[digest] < max(times.values()):
        os.utime(parent / digest / f"{METRIC_NAME}.py")
