"""Other people's tools, each in an environment of its own, with this package installed from a wheel."""

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

from tests.paths import ROOT

ENVIRONMENTS = ROOT / ".venv-tools"
REQUIREMENTS = Path(__file__).with_name("tools")


def tool_environment(tool: str, folder: Path) -> Path:
    """The folder of a tool's programs, made first where its versions changed or it is not there.

    What the tool does not bring itself comes from the environment of the tests, torch above all.

    Args:
        tool: a file of `tools/`, without its ending.
        folder: an empty one, for the wheel.
    """
    home, requirements = ENVIRONMENTS / tool, REQUIREMENTS / f"{tool}.txt"
    installed, programs = home / "installed.txt", home / "bin"
    if not installed.exists() or installed.read_bytes() != requirements.read_bytes():
        venv.create(home, with_pip=True, clear=True)
        site = next(home.glob("lib/python*/site-packages"))
        (site / "tests.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
        torch = f"torch=={subprocess.check_output([sys.executable, '-c', TORCH], text=True)}"
        run(programs / "python", "-m", "pip", "install", "--quiet", torch, "-r", requirements, cwd=folder)
        installed.write_bytes(requirements.read_bytes())
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT, cwd=folder)
    [wheel] = folder.glob("soulchat-*.whl")
    run(programs / "python", "-m", "pip", "install", "--quiet", "--no-deps", "--force-reinstall", wheel, cwd=folder)
    return programs


TORCH = "import torch; print(torch.__version__.split('+')[0], end='')"


def run(*command: str | Path, cwd: Path, **environment: str) -> str:
    """Run a program away from the checkout, without the Hub; what it printed is in the failure, if it fails."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    offline = {"HF_HOME": str(cwd / "hf"), "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, cwd=cwd, env=inherited | offline | environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
