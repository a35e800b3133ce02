"""Three raters rate to the end in a real browser; one of them is interrupted, the server too."""

import re
import shutil
import subprocess
import sys

import pytest

from soulchat.rate.questions import ASPECTS
from tests.soulchat.rate.rating_parts import SYSTEMS, make_study

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
KEYS = "2101"


def serve(folder):
    """`soulchat rate serve` in a process of its own: the process and its address."""
    command = [
        sys.executable,
        "-c",
        "from soulchat.cli import main; main()",
        "rate",
        "serve",
        str(folder),
        "--port",
        "0",
    ]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    line = process.stderr.readline()
    [address] = re.findall(r"http://127\.0\.0\.1:\d+", line)
    return process, address


def stop(process):
    process.terminate()
    process.wait(timeout=30)


@pytest.fixture
def browser():
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no chromium is installed")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


def enter(browser, address, token, qualification=""):
    page = browser.new_page()
    page.set_default_timeout(60_000)
    page.goto(address)
    page.locator("#token input").fill(token)
    page.locator("#qualification textarea, #qualification input").first.fill(qualification)
    page.locator("#enter").click()
    return page


def expect_progress(page, rated, total=6):
    from playwright.sync_api import expect

    expect(page.locator("#progress")).to_contain_text(f"{rated} / {total}", timeout=60_000)


def rate_by_keyboard(page, keys=KEYS):
    for number, key in enumerate(keys):
        page.keyboard.press(key)
        page.wait_for_function(
            "n => document.querySelectorAll('.question input:checked').length === n", arg=number + 1, timeout=60_000
        )
    page.keyboard.press("Enter")


def rate_by_mouse(page, keys=KEYS):
    for aspect, key in zip(ASPECTS, keys, strict=True):
        page.locator(f"#{aspect.name} input[type=radio]").nth(int(key)).check()
    page.locator("#save").click()


@pytest.mark.slow
@pytest.mark.browser
def test_three_raters_to_the_end(browser, tmp_path):
    from playwright.sync_api import expect

    study, tokens = make_study(tmp_path)
    process, address = serve(study.path.parent)

    # The first rater uses the keyboard, goes back once and corrects.
    page = enter(browser, address, tokens["rater-1"], "MSc Psychology")
    expect_progress(page, 0)
    first = study.items("rater-1")[0]
    expect(page.locator("#reply textarea")).to_have_value(first.reply)
    expect(page.locator("#dialogue textarea")).to_have_value(first.dialogue)
    expect(page.locator("#empathy")).to_contain_text("grasp their inner feelings")
    expect(page.locator("#empathy")).to_contain_text("把握其内心感受")
    rate_by_keyboard(page)
    expect_progress(page, 1)
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#reply textarea")).to_have_value(first.reply, timeout=60_000)
    expect(page.locator("#content input:checked")).to_have_count(1)
    page.locator("#content input[type=radio]").nth(0).check()
    page.locator("#save").click()
    expect(page.locator("#reply textarea")).to_have_value(study.items("rater-1")[1].reply, timeout=60_000)
    assert {item.number: item.scores for item in study.items("rater-1")}[first.number]["content"] == 0
    for rated in range(1, 6):
        rate_by_keyboard(page)
        expect_progress(page, rated + 1)
    expect(page.locator("#progress")).to_contain_text("All items are rated")
    page.close()

    # The second is interrupted: the window closes, the server is killed and started again.
    page = enter(browser, address, tokens["rater-2"], "PhD student")
    for rated in range(2):
        expect_progress(page, rated)
        rate_by_mouse(page)
    expect_progress(page, 2)
    page.keyboard.press("1")  # an answer that is not saved
    process.kill()
    process.wait()
    page.close()
    process, address = serve(study.path.parent)
    old = enter(browser, address, tokens["rater-2"])
    expect_progress(old, 2)
    expect(old.locator("#reply textarea")).to_have_value(study.items("rater-2")[2].reply)

    # The token is used again: the new window goes on, the old one is told, and nothing is lost.
    page = enter(browser, address, tokens["rater-2"])
    expect_progress(page, 2)
    rate_by_mouse(old)
    expect(old.get_by_text("used again in another window")).to_be_visible(timeout=60_000)
    old.close()
    page.locator("#save").click()
    expect(page.get_by_text("content is None; allowed: whole numbers from 0 to 2")).to_be_visible(timeout=60_000)
    for rated in range(2, 6):
        rate_by_mouse(page)
        expect_progress(page, rated + 1)
    page.close()

    # The third has a wrong token first; nothing on the page ever names a system.
    page = enter(browser, address, "wrong")
    expect(page.get_by_text("no rater has this token")).to_be_visible(timeout=60_000)
    page.close()
    page = enter(browser, address, tokens["rater-3"])
    for rated in range(6):
        expect_progress(page, rated)
        assert not any(system in page.locator("#progress").inner_text() for system in SYSTEMS)
        rate_by_keyboard(page)
    expect_progress(page, 6)
    page.close()
    stop(process)

    assert [(rater.name, rater.rated, rater.qualification) for rater in study.raters()] == [
        ("rater-1", 6, "MSc Psychology"),
        ("rater-2", 6, "PhD student"),
        ("rater-3", 6, ""),
    ]
    corrected = [rating for rating in study.ratings() if rating.scores["content"] != 2]
    assert [(rating.rater, rating.item) for rating in corrected] == [("rater-1", first.number)]
    assert all(0 < rating.seconds < 300 for rating in study.ratings())
