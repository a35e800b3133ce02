"""The page for raters in a real browser: three rate to the end, one of them and the server interrupted; a phone."""

import re
import shutil
import subprocess
import sys

import pytest

from soulchat.rate.page import make_page
from soulchat.rate.study import RatingStudy, create_study
from soulchat.web.launch import launch_page
from soulchat_trainer.evaluation.rubric import read_rubric
from tests.soulchat.rate.rating_parts import CEHS, SYSTEMS, make_study, write_system

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


def enter(browser, address, token, qualification="", **settings):
    page = browser.new_page(**settings)
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
    for aspect, key in zip(CEHS.aspects, keys, strict=True):
        page.locator(f"#question-{aspect.name} input[type=radio]").nth(int(key)).check()
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
    expect(page.locator("#reply textarea")).to_have_value(first.texts[0])
    assert page.locator("#dialogue .talk").inner_text().strip() == first.history
    expect(page.locator("#question-empathy")).to_contain_text("grasp their inner feelings")
    rate_by_keyboard(page)
    expect_progress(page, 1)
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#reply textarea")).to_have_value(first.texts[0], timeout=60_000)
    expect(page.locator("#question-content input:checked")).to_have_count(1)
    page.locator("#question-content input[type=radio]").nth(0).check()
    page.locator("#save").click()
    expect(page.locator("#reply textarea")).to_have_value(study.items("rater-1")[1].texts[0], timeout=60_000)
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
    expect(old.locator("#reply textarea")).to_have_value(study.items("rater-2")[2].texts[0])

    # The token is used again: the new window goes on, the old one is told, and nothing is lost.
    page = enter(browser, address, tokens["rater-2"])
    expect_progress(page, 2)
    rate_by_mouse(old)
    expect(old.get_by_text("used again in another window")).to_be_visible(timeout=60_000)
    old.close()
    page.locator("#save").click()
    expect(page.get_by_text("Not answered yet: Content naturalness, Empathy, ")).to_be_visible(timeout=60_000)
    for rated in range(2, 6):
        rate_by_mouse(page)
        expect_progress(page, rated + 1)
    page.close()

    # The third has a wrong token first; nothing on the page ever names a system.
    page = enter(browser, address, "wrong")
    expect(page.get_by_text("No rater has this token")).to_be_visible(timeout=60_000)
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


LONG = "".join(f"用户：我睡不着，已经第{n}天了，{{id}}\n心理咨询师：睡不着的时候你会想些什么？\n" for n in range(20))
LAST = "最后我想说，我很怕让家人失望。"


@pytest.mark.browser
def test_a_phone_shows_a_warning_first_and_then_the_words_that_are_answered(browser, tmp_path):
    """By keyboard alone, on a phone set to Chinese of Singapore, for which Gradio has no words."""
    from playwright.sync_api import expect

    prompt = f"{LONG}用户：{LAST}\n心理咨询师："
    folders = [
        write_system(tmp_path / name, {"a": f"{name}的回复", "b": "听起来不容易。"}, prompt) for name in SYSTEMS
    ]
    tokens = create_study(folders, 1, 2, 0, tmp_path / "study", CEHS)
    page_of_study = make_page(RatingStudy(tmp_path / "study"))
    address = launch_page(page_of_study)
    try:
        page = browser.new_page(locale="zh-SG", viewport={"width": 390, "height": 800})
        page.goto(address)
        expect(page.locator("#enter")).to_have_text("我已读完，开始或继续评分")
        warning = page.locator("#warning")
        expect(warning).to_contain_text("自杀")
        expect(page.locator("#help-lines")).to_contain_text("12356")
        page.locator("#token input").focus()
        page.keyboard.type("wrong")
        page.keyboard.press("Enter")
        expect(page.get_by_text("这个口令不对")).to_be_visible()
        page.locator("#token input").fill(tokens["rater-1"])
        page.keyboard.press("Enter")
        expect_progress(page, 0, total=4)
        expect(warning).not_to_be_visible()
        assert seen(page, "#dialogue .talk", LAST)
        assert page.locator("#reply").bounding_box()["y"] < 400
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        page.locator("#dialogue .talk").focus()
        page.keyboard.press("Home")  # the beginning is a key away
        page.wait_for_function("() => document.querySelector('#dialogue .talk').scrollTop < -100")
        page.keyboard.press("Enter")
        expect(page.get_by_text("还没有回答：内容自然度、共情、有用性、安全性")).to_be_visible()
        rate_by_keyboard(page)
        expect_progress(page, 1, total=4)
        page.locator("#back").focus()
        page.keyboard.press("Enter")  # of the button that has the focus, not of the page
        page.wait_for_function("() => document.querySelectorAll('.question input:checked').length === 4")
    finally:
        page_of_study.blocks.close(verbose=False)


@pytest.mark.browser
def test_a_pair_is_compared_by_keys_on_a_phone_in_the_readers_language(browser, tmp_path):
    from playwright.sync_api import expect

    folders = [write_system(tmp_path / name, {"a": f"{name}的回复", "b": f"{name}说"}) for name in SYSTEMS]
    tokens = create_study(folders, 1, 2, 0, tmp_path / "study", read_rubric("pair"))
    study = RatingStudy(tmp_path / "study")
    page_of_study = make_page(study)
    address = launch_page(page_of_study)
    try:
        page = enter(browser, address, tokens["rater-1"], locale="zh", viewport={"width": 390, "height": 800})
        expect_progress(page, 0, total=2)
        first, second = study.items("rater-1")[0].texts
        expect(page.locator("#reply textarea")).to_have_value(first)
        expect(page.locator("#second textarea")).to_have_value(second)
        expect(page.locator("#question-preference")).to_contain_text("1 甲更好")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        rate_by_keyboard(page, "31")
        expect_progress(page, 1, total=2)
        assert study.items("rater-1")[0].scores == {"preference": 1, "safety": 1}
        page.close()
        page = enter(browser, address, tokens["rater-1"], locale="en-GB", viewport={"width": 1280, "height": 800})
        expect(page.locator("#question-preference")).to_contain_text("1 the first is better")
        left, right = (page.locator(name).bounding_box() for name in ("#reply", "#second"))
        assert abs(left["y"] - right["y"]) < 5  # side by side
        page.close()
    finally:
        page_of_study.blocks.close(verbose=False)


def seen(page, box, text):
    """Whether `text` stands in the part of `box` that is scrolled into view, on a screen not scrolled itself."""
    return page.evaluate(
        """([box, text]) => {
            const outer = document.querySelector(box), walker = document.createTreeWalker(outer, NodeFilter.SHOW_TEXT);
            const range = document.createRange(), frame = outer.getBoundingClientRect();
            for (let node; (node = walker.nextNode()); ) {
                const start = node.data.lastIndexOf(text);
                if (start < 0) continue;
                range.setStart(node, start);
                range.setEnd(node, start + text.length);
                const words = range.getBoundingClientRect();
                return words.top >= frame.top && words.bottom <= frame.bottom && words.bottom <= window.innerHeight;
            }
            return false;
        }""",
        [box, text],
    )
