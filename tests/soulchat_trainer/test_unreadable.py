"""What is told of weights that cannot be written."""

from pathlib import Path

import pytest
from safetensors import SafetensorError

from soulchat_trainer.unreadable import saving


@pytest.mark.parametrize("error", [OSError(28, "No space left"), RuntimeError("write failed"), SafetensorError("I/O")])
def test_whatever_saving_raises_becomes_one_line(error: Exception, tmp_path: Path) -> None:
    told = pytest.raises(OSError, match=r"the model could not be written to .* \(.*\); go on from 4")
    with told, saving("the model", tmp_path, "go on from 4"):
        raise error
