"""Every test runs with a Hugging Face home of its own, no telemetry, and no window system."""

import os
import shutil
import tempfile
from pathlib import Path

from tests.bare import hide_tools

# These are read when the libraries are imported, so they are set before any test module is.
_HF_HOME = tempfile.mkdtemp(prefix="soulchat-hf-home-")
os.environ |= {
    "HF_HOME": _HF_HOME,
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "GRADIO_ANALYTICS_ENABLED": "False",
    "MPLBACKEND": "Agg",
    "TOKENIZERS_PARALLELISM": "false",
    "NO_COLOR": "1",
}
if os.environ.get("SOULCHAT_BARE") == "1":
    _programs = Path(_HF_HOME) / "programs"
    _programs.mkdir()
    hide_tools(_programs)


def pytest_unconfigure() -> None:
    shutil.rmtree(_HF_HOME, ignore_errors=True)
