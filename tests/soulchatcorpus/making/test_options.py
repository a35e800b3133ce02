"""Options of the steps: their bounds, and errors of one form that name them."""

import pytest

from soulchatcorpus.making.options import (
    CleanOptions,
    RequestOptions,
    ReviewOptions,
    RewriteOptions,
    StatsOptions,
    check_address,
    is_loopback,
)

ASKED = {"base_url": "http://127.0.0.1:1/v1", "model": "stub"}


@pytest.mark.parametrize(
    ("options", "given", "message"),
    [
        (RequestOptions, {"concurrency": 0}, "concurrency is 0; allowed: 1 or more"),
        (RequestOptions, {"timeout": 0.0}, "timeout is 0.0; allowed: greater than 0"),
        (RequestOptions, {"timeout": float("inf")}, "timeout is inf; allowed: a finite number"),
        (RequestOptions, {"max_tokens": 0}, "max_tokens is 0; allowed: 1 or more"),
        (RequestOptions, {"max_tokens": True}, "max_tokens is True; allowed: a valid integer"),
        (RequestOptions, {"max_cost": float("nan")}, "max_cost is nan; allowed: a finite number"),
        (RequestOptions, {"max_cost": "5"}, "max_cost is '5'; allowed: a valid number"),
        (RequestOptions, {"max_cost": 1.0}, "max_cost is 1.0; allowed: with the `price` of stub"),
        (RequestOptions, {"base_url": "ftp://here"}, "base_url is 'ftp://here'; allowed: an http(s) address"),
        (RequestOptions, {"model": "a=0"}, "model is 'a=0'; allowed: NAME or NAME=WEIGHT with a weight above 0"),
        (RequestOptions, {"price": "m=1,2"}, "price is 'm=1,2'; allowed: a valid list"),
        (RequestOptions, {"price": [1]}, "price holds 1; allowed: a valid string"),
        (RewriteOptions, {"min_rounds": 0}, "min_rounds is 0; allowed: 1 or more"),
        (RewriteOptions, {"retry": "all"}, "retry is 'all'; allowed: 'rejected'"),
        (
            RewriteOptions,
            {"prompt": "smile"},
            "prompt is 'smile'; allowed: soulchat, soulchat-en, psydt, or a text file",
        ),
        (CleanOptions, {"actions": {"crisis": "mask"}}, "actions is crisis=mask; allowed: length=drop|flag|off, "),
        (CleanOptions, {"actions": {"sweep": "off"}}, "actions is sweep=off; allowed: "),
        (CleanOptions, {"language": "fr"}, "language is 'fr'; allowed: 'zh', 'en' or 'any'"),
        (CleanOptions, {"tasks": 0}, "tasks is 0; allowed: 1 or more"),
        (CleanOptions, {"topics": "endpoint"}, "topics is 'endpoint'; allowed: with `base_url` and `model`"),
        (CleanOptions, {"unknown_topics": "relable"}, "unknown_topics is 'relable'; allowed: 'refuse' or 'relabel'"),
        (ReviewOptions, {"sample": 1.5}, "sample is 1.5; allowed: 1 or less"),
        (ReviewOptions, {"shared": -0.1}, "shared is -0.1; allowed: 0 or more"),
        (ReviewOptions, {"port": 1}, "option 'port' is unknown; allowed: flagged, sample, shared"),
        (StatsOptions, {"font": "none.ttf"}, "font is none.ttf; allowed: a file that is there"),
    ],
)
def test_what_is_not_allowed_is_said_in_one_line(options, given, message):
    asked = ASKED if issubclass(options, RequestOptions) else {}
    with pytest.raises(ValueError) as error:  # noqa: PT011  (compared below)
        options(**asked | given)
    assert str(error.value).startswith(message)
    assert "\n" not in str(error.value)


def test_what_is_missing_is_named():
    with pytest.raises(ValueError, match=r"^model is missing"):
        RequestOptions(base_url="http://127.0.0.1:1/v1")


def test_a_bare_off_of_yaml_is_off():
    assert CleanOptions(actions={"special": False}).action("special") == "off"


def test_nothing_leaves_the_machine_without_a_yes():
    RequestOptions(**ASKED).check_consent("text")
    far = {"base_url": "http://far.example/v1", "model": "m"}
    RequestOptions(**far, yes=True).check_consent("text")
    with pytest.raises(ValueError, match="yes is False; allowed: true, since text would be sent to http://far"):
        RequestOptions(**far).check_consent("text")


@pytest.mark.parametrize(
    ("url", "loopback"),
    [
        ("http://127.0.0.1:8000/v1", True),
        ("http://localhost/v1", True),
        ("http://[::1]:80/v1", True),
        ("https://api.openai.com/v1", False),
        ("http://10.0.0.1/v1", False),
        ("http://127.0.0.1.example.com/v1", False),
        ("http://localhost.example.com/v1", False),
    ],
)
def test_loopback(url, loopback):
    assert is_loopback(url) is loopback


@pytest.mark.parametrize(
    "url",
    ["", "api.example.com/v1", "ftp://127.0.0.1/", "http://127.0.0.1:abc/v1", "http://h:99999/v1", "http://[::1/"],
)
def test_what_is_no_address(url):
    with pytest.raises(ValueError, match="allowed: an http"):
        check_address(url)


@pytest.mark.parametrize("url", ["https://user:hunter2@api.example.com/v1", "https://example.com/v1?key=hunter2"])
def test_an_address_with_a_password_is_refused_and_not_shown(url):
    with pytest.raises(ValueError, match="OPENAI_API_KEY only") as error:
        check_address(url)
    assert "hunter2" not in str(error.value)
