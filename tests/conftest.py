"""Every test runs with a Hugging Face home of its own, no telemetry, no window system, and time for each example."""

import os
import shutil
import tempfile
from pathlib import Path

from hypothesis import settings

from tests.bare import hide_tools

# An example that loads something, or meets a machine at work, may take longer than hypothesis' 0.2 seconds.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

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
