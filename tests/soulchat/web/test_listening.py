"""Where page and server listen."""

import pytest

from soulchat.web.listening import (
    bind,
    check_exposure,
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
        with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1:{port}: Address already in use"):
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
