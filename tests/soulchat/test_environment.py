"""What a report of a fault says of the machine, and what it does not."""

import getpass
import platform
import socket

from soulchat import environment
from soulchat.environment import describe_environment


def test_versions_and_hardware() -> None:
    found = dict(describe_environment())
    assert found["Python"].startswith(platform.python_version())
    assert found["transformers"][0].isdigit()
    assert found["GPU"]
    text = str(found)
    assert socket.gethostname() not in text
    assert f"/{getpass.getuser()}/" not in text


def test_what_is_not_installed_is_said() -> None:
    assert environment._version("no-such-package") == "not installed"
