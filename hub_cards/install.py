"""How the toolkit is to be had. Where it is published stands in one place: `url` in setup.cfg."""

from importlib.metadata import metadata


def pip_install(extra: str) -> str:
    """The command that installs an extra: from where the toolkit is published, or else inside a checkout."""
    url = metadata("soulchat")["Home-page"]
    return f"pip install 'soulchat[{extra}] @ git+{url}'" if url else f"pip install '.[{extra}]'"


def origin() -> str:
    """Where that command finds the toolkit."""
    url = metadata("soulchat")["Home-page"]
    return f"from {url}" if url else "from a checkout or its wheel"


def needs_extra(package: str, extra: str) -> str:
    """The line for a package that is missing."""
    return f"{package} is not installed; allowed: the extra `{extra}`, {origin()}: {pip_install(extra)}"
