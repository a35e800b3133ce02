"""Every page in a real browser, on a phone and a desk, light and dark, in Chinese and English, by keyboard alone."""

import re
import shutil
from collections.abc import Iterator

import pytest

from soulchat.rate.page import make_page as make_rating_page
from soulchat.review.page import make_page as make_review_page
from soulchat.talk.page import make_page as make_chat_page
from soulchat.talk.wording import language_of
from soulchat.web.launch import Page, launch_page
from soulchatcorpus.files import write_lines
from soulchatcorpus.making.options import ReviewOptions
from soulchatcorpus.making.review import ReviewStore
from tests.contrast import PALE
from tests.soulchat.rate.rating_parts import make_study
from tests.soulchat.talk.conftest import scripted  # noqa: F401

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")]


@pytest.fixture(scope="module")
def browser() -> Iterator:
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
    with playwright.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def chat(scripted) -> Page:  # noqa: F811
    return make_chat_page(scripted("我在听。")[0])


@pytest.fixture
def rating(tmp_path) -> Page:
    return make_rating_page(make_study(tmp_path)[0])


@pytest.fixture
def review(tmp_path) -> Page:
    messages = [{"role": "user", "content": "在吗"}, {"role": "assistant", "content": "在"}]
    source = tmp_path / "conversations.jsonl"
    write_lines(source, [{"id": "1", "topic": None, "messages": messages, "provenance": {}}])
    store = ReviewStore(tmp_path / "out" / "review.sqlite")
    store.fill(source, ReviewOptions(sample=1.0))
    return make_review_page(store, source, tmp_path / "out")


# What is done at each page by keyboard alone, and what is waited for then.
WAITED = {"chat": "#talk .message.bot", "rating": ".toast-body", "review": "#record .passage"}
TYPED = {"chat": "在吗", "rating": "no token", "review": "r1"}


@pytest.mark.slow
@pytest.mark.parametrize("name", list(WAITED))
def test_in_every_size_colour_and_language(request, browser, name, tmp_path):
    page = request.getfixturevalue(name)
    address = launch_page(page)
    try:
        for locale in ("zh-CN", "en-US"):
            for width in (390, 1280):
                for colour in ("light", "dark"):
                    look(browser, address, name, locale, width, colour, tmp_path)
    finally:
        page.blocks.close(verbose=False)


def look(browser, address, name, locale, width, colour, folder):
    context = browser.new_context(
        locale=locale, viewport={"width": width, "height": 800}, color_scheme=colour, reduced_motion="reduce"
    )
    tab = context.new_page()
    tab.goto(address)
    field = tab.locator("input[type=password], #message textarea, #reviewer input, #reviewer textarea").first
    field.wait_for()
    other = {"zh": "Start|Say whatever|Your token", "en": "开始|想说什么|您的口令"}[locale[:2]]
    tab.wait_for_function("other => !new RegExp(other).test(document.querySelector('main').innerHTML)", arg=other)
    for _ in range(40):  # the field is reached by Tab where it does not have the focus already
        if field.evaluate("field => field === document.activeElement"):
            break
        tab.keyboard.press("Tab")
    tab.keyboard.type(TYPED[name])
    tab.keyboard.press("Enter")
    tab.wait_for_selector(WAITED[name])
    tab.wait_for_timeout(400)
    assert tab.evaluate("document.documentElement.scrollWidth") <= width
    assert tab.evaluate(PALE) == []
    if locale == "en-US":
        buttons = tab.locator("main button").all_inner_texts()
        assert {language_of(text) for text in buttons} == {"en"}
    if locale == "zh-CN":  # no English left over, be it Gradio's
        assert not re.search("Error|Warning|Chatbot|Textbox|Submit", tab.locator("body").inner_text())
    tab.screenshot(path=folder / f"{name}-{locale}-{width}-{colour}.png", full_page=True)
    context.close()
