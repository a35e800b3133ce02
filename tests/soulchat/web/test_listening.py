"""Where page and server listen."""

import pytest

from soulchat.web.listening import (
    Front,
    address_of,
    bind,
    check_exposure,
    check_key,
    check_origins,
    check_proxy,
    free_port,
    is_loopback,
    local_names,
    read_password,
)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
def test_loopback_needs_no_password(host):
    assert is_loopback(host)
    check_exposure(host, share=False, password=None)


OTHERS_CAN_REACH = [("0.0.0.0", False), ("192.168.1.2", False), ("127.0.0.1", True), ("::", False)]


@pytest.mark.parametrize(("host", "share"), OTHERS_CAN_REACH)
def test_letting_others_in_needs_a_password(host, share):
    with pytest.raises(ValueError, match=r"lets others in; allowed without a password: 127.0.0.1 \(set SOULCHAT_PASS"):
        check_exposure(host, share, password=None)
    check_exposure(host, share, password="long and good")


@pytest.mark.parametrize(("host", "share"), OTHERS_CAN_REACH)
def test_a_short_password_keeps_nobody_out(host, share):
    with pytest.raises(ValueError, match=r"SOULCHAT_PASSWORD is 11 characters long; allowed .* 12 or more"):
        check_exposure(host, share, password="elevenchars")
    check_exposure(host, share, password="twelve chars")


@pytest.mark.parametrize("password", [None, "short"])
def test_on_this_machine_any_password_will_do(password):
    check_exposure("127.0.0.1", share=False, password=password)


def test_port_in_use_is_told():
    with bind("127.0.0.1", 0) as taken:
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"cannot listen on http://127.0.0.1:{port}: Address already in use"):
            free_port("127.0.0.1", port)
    assert free_port("127.0.0.1", 0) > 0


def test_password_comes_from_the_environment(monkeypatch):
    monkeypatch.delenv("SOULCHAT_PASSWORD", raising=False)
    assert read_password() is None
    monkeypatch.setenv("SOULCHAT_PASSWORD", "secret")
    assert read_password() == "secret"


def test_only_this_machine_s_names_are_answered_on_loopback():
    assert "attacker.example" not in local_names("127.0.0.1")
    assert local_names("0.0.0.0") == ["*"]
    assert local_names("127.0.0.1", share=True) == ["*"]


def test_a_proxy_is_one_address():
    for address in (None, "127.0.0.1", "10.0.0.7", "::1"):
        check_proxy(address)
    for address in ("*", "", "10.0.0.0/8", "proxy.example"):
        with pytest.raises(ValueError, match="allowed: the address of one proxy"):
            check_proxy(address)


def test_the_names_of_a_proxy_are_answered_and_need_a_password():
    front = Front(("chat.example.org",), "/soulchat")
    assert "chat.example.org" in local_names("127.0.0.1", front=front)
    with pytest.raises(ValueError, match=r"public_name is chat\.example\.org, which lets others in; allowed without"):
        check_exposure("127.0.0.1", False, None, front)
    with pytest.raises(ValueError, match="SOULCHAT_PASSWORD is 6 characters long"):
        check_exposure("127.0.0.1", False, "secret", front)
    check_exposure("127.0.0.1", False, "long and good", front)
    check_exposure("127.0.0.1", False, None, Front((), "/soulchat"))


@pytest.mark.parametrize("name", ["https://chat.example.org", "chat.example.org:443", "chat.example.org/a", "*", ""])
def test_what_is_no_name(name):
    with pytest.raises(ValueError, match=r"public_name is .*; allowed: a host name alone"):
        Front((name,))


@pytest.mark.parametrize("path", ["soulchat", "/", "/soulchat/", "https://chat.example.org/soulchat", "/a b", "/a//b"])
def test_what_is_no_path_of_a_proxy(path):
    with pytest.raises(ValueError, match=r"root_path is .*; allowed: a path such as /soulchat"):
        Front((), path)


@pytest.mark.parametrize("password", ["密码密码密码密码密码密码", " in front and long", "a line\nand another"])
def test_a_key_that_no_header_carries_is_refused(password):
    with pytest.raises(ValueError, match="SOULCHAT_PASSWORD is not what every client can send in a header; allowed"):
        check_key(password)


def test_keys_that_headers_carry():
    for password in (None, "long and good", "~!@#$%^&*()_+\"'"):
        check_key(password)


@pytest.mark.parametrize("origin", ["*", "chat.example.org", "https://chat.example.org/", "null", "https://*.example"])
def test_what_is_no_origin(origin):
    with pytest.raises(ValueError, match=r"allow_origin is .*; allowed: scheme and host, such as https://"):
        check_origins(["https://chat.example.org:8443", "http://[::1]:8000", origin])


@pytest.mark.parametrize(
    ("host", "address"), [("127.0.0.1", "http://127.0.0.1:80"), ("::1", "http://[::1]:80"), ("::", "http://[::]:80")]
)
def test_addresses_as_they_are_typed(host, address):
    assert address_of(host, 80) == address
