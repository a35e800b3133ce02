"""Where pages and server listen, and who may reach them: this machine only, unless a password is set."""

import ipaddress
import os
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass

# One name for pages and server; a password on the command line would be visible in the process list.
PASSWORD_VARIABLE = "SOULCHAT_PASSWORD"
# Where strangers can guess at it. Eight characters can be tried out, even with the delays of `password.Door`.
PASSWORD_CHARACTERS = 12
_PATH = re.compile(r"(/[\w.~-]+)+", re.ASCII)
_NAME = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)*", re.ASCII | re.IGNORECASE)
_ORIGIN = re.compile(r"https?://[a-z0-9.-]+(:\d+)?|https?://\[[0-9a-f:]+\](:\d+)?", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Front:
    """What a reverse proxy before a page or server changes.

    Attributes:
        names: by which browsers and clients ask the proxy, and which it hands on in Host.
        root_path: under which it has the page or server, such as "/soulchat"; it may cut it off, or hand it on.

    Raises:
        ValueError: a name is none, or has a scheme, port or path; the path does not begin with "/", or ends with one.
    """

    names: tuple[str, ...] = ()
    root_path: str = ""

    def __post_init__(self) -> None:
        for name in self.names:
            if not _NAME.fullmatch(name):
                raise ValueError(f"public_name is {name!r}; allowed: a host name alone, such as chat.example.org")
        if self.root_path and not _PATH.fullmatch(self.root_path):
            raise ValueError(f"root_path is {self.root_path!r}; allowed: a path such as /soulchat")


ALONE = Front()


def read_password() -> str | None:
    """The password from the environment, or None."""
    return os.environ.get(PASSWORD_VARIABLE) or None


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches `host`."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_exposure(host: str, share: bool, password: str | None, front: Front = ALONE) -> None:
    """Raises ValueError when others could reach a page or server that has no password, or a short one."""
    if is_loopback(host) and not share and not front.names:
        return
    if not password:
        where = "share is True" if share else f"host is {host}"
        if is_loopback(host) and front.names:
            where = f"public_name is {front.names[0]}"
        raise ValueError(
            f"{where}, which lets others in; allowed without a password: 127.0.0.1 (set {PASSWORD_VARIABLE} for more)"
        )
    if len(password) < PASSWORD_CHARACTERS:
        raise ValueError(
            f"{PASSWORD_VARIABLE} is {len(password)} characters long; allowed where others can reach the page or "
            f"server: {PASSWORD_CHARACTERS} or more"
        )


def check_proxy(address: str | None) -> None:
    """Raises ValueError for what is not the address of one machine."""
    if address is None:
        return
    try:
        ipaddress.ip_address(address)
    except ValueError:
        raise ValueError(f"proxy is {address!r}; allowed: the address of one proxy, such as 127.0.0.1") from None


def check_key(password: str | None) -> None:
    """Raises ValueError for a password that no client can send in a header."""
    if password is None:
        return
    if not (password.isascii() and password.isprintable() and password == password.strip()):
        raise ValueError(
            f"{PASSWORD_VARIABLE} is not what every client can send in a header; allowed for a server: ASCII letters, "
            "digits and signs, no space at either end"
        )


def check_origins(origins: Sequence[str]) -> None:
    """Raises ValueError for what is not the origin of one site."""
    for origin in origins:
        if not _ORIGIN.fullmatch(origin):
            raise ValueError(f"allow_origin is {origin!r}; allowed: scheme and host, such as https://chat.example.org")


def address_of(host: str, port: int) -> str:
    """The address of a page or server, as it is typed into a browser."""
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def bind(host: str, port: int) -> socket.socket:
    """A socket bound to `host` and `port` (0: any free one).

    Raises:
        ValueError: there is no such port.
        OSError: it is in use, or not ours to use.
    """
    if not 0 <= port <= 65_535:
        raise ValueError(f"port is {port}; allowed: 0 (any free one) to 65535")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise OSError(
            f"cannot listen on {address_of(host, port)}: {error.strerror}; allowed: a free port, or 0 for any"
        ) from None
    return listener


def free_port(host: str, port: int) -> int:
    """`port`, or any free one for 0, for a server that binds by itself. Raises as `bind` does."""
    with bind(host, port) as listener:
        return listener.getsockname()[1]


def local_names(host: str, share: bool = False, front: Front = ALONE) -> list[str]:
    """The Host headers that are answered on `host`.

    On loopback only this machine's own names and those of a proxy in front: a page elsewhere that lets its name point
    to 127.0.0.1 (DNS rebinding) gets no answer. Elsewhere the password guards.
    """
    if not is_loopback(host) or share:
        return ["*"]
    return ["localhost", "127.0.0.1", "[::1]", "::1", host, *front.names]
