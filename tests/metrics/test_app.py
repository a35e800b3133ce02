"""The Space, run as the Hub runs it: its folder alone, app.py as the program, a browser before it."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

import pytest
import yaml

from tests.paths import ROOT

SPACE = ROOT / "metrics" / "soulchat_metrics"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    folder = tmp_path_factory.mktemp("space") / "app"
    shutil.copytree(SPACE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    port = free_port()
    environment = {
        **os.environ,
        "GRADIO_SERVER_PORT": str(port),
        "GRADIO_ANALYTICS_ENABLED": "False",
        "HF_HOME": str(folder / "home"),
    }
    process = subprocess.Popen([sys.executable, "app.py"], cwd=folder, env=environment)
    deadline = time.monotonic() + 120
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5).close()
            break
        except OSError:
            assert process.poll() is None, "the page ended"
            assert time.monotonic() < deadline, "the page did not start"
            time.sleep(0.3)
    yield f"http://127.0.0.1:{port}/"
    process.terminate()
    process.wait(timeout=30)


@pytest.fixture
def page(address):
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no chromium is installed")
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=flags)
        page = browser.new_page()
        page.set_default_timeout(60_000)
        page.goto(address)
        yield page
        browser.close()


@pytest.mark.browser
def test_paste_score_and_see_the_matches(page):
    from playwright.sync_api import expect

    from soulchat_metrics import score

    predictions, references = ["我很难过。", "你好"], ["我也很难过。", "他好"]
    page.locator("#predictions textarea").fill("\n".join(predictions))
    page.locator("#references textarea").fill("\n".join(references))
    page.locator("#score").click()
    expected = score(predictions, references)
    expect(page.locator("#means")).to_contain_text(f"{expected['bleu-1']:.4f}", timeout=60_000)
    expect(page.locator("#means")).to_contain_text(f"{expected['rouge-l']:.4f}")
    expect(page.locator("#signature textarea")).to_have_value(expected["signature"])
    expect(page.locator("#bleu")).to_contain_text("4-gram")
    words = page.locator("#rouge .textfield").inner_text()
    assert "难过" in words.replace("\n", "")
    page.locator("#pair input").fill("2")
    page.locator("#pair input").press("Enter")
    expect(page.locator("#bleu .textfield")).to_contain_text("你", timeout=60_000)

    page.locator("#references textarea").fill("一行")
    page.locator("#score").click()
    expect(page.get_by_text("2 predictions but 1 references")).to_be_visible(timeout=60_000)


def test_card_is_what_the_hub_asks_of_a_space():
    front_matter = yaml.safe_load((SPACE / "README.md").read_text().split("---")[1])
    assert front_matter["sdk"] == "gradio"
    assert (SPACE / front_matter["app_file"]).exists()
    assert front_matter["sdk_version"].split(".")[0] == "6"
    assert {"evaluate", "metric"} <= set(front_matter["tags"])
    assert len(front_matter["short_description"]) <= 60


def test_requirements_name_all_that_the_modules_import():
    requirements = (SPACE / "requirements.txt").read_text()
    for package in ("evaluate", "jieba", "numpy", "rapidfuzz"):
        assert f"{package}>=" in requirements
