"""The page in a real Chromium: talks in both languages, hostile text, and no word to any other host."""

import json
import shutil
import time
from collections.abc import Callable, Iterator

import httpx
import pytest

from soulchat.talk.care import Care
from soulchat.talk.limits import Limits
from soulchat.talk.page import make_page
from soulchat.talk.page_words import EXAMPLES
from soulchat.talk.service import ReplyService
from soulchat.talk.wording import NOTICE
from soulchat.web.launch import launch_page
from soulchat.web.listening import Front
from soulchat_trainer.generation import ReplyEngine
from soulchat_trainer.loading import load_model
from soulchatcorpus.care.help_lines import render_help_lines
from soulchatcorpus.thoughts import Thinking
from tests.paths import ROOT
from tests.soulchat.web.reverse_proxy import proxying

playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [pytest.mark.browser, pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")]
MESSAGE = "#message textarea"
OPENING = {language: render_help_lines(language).splitlines()[0] for language in ("zh", "en")}
# Of the ground behind the text: 0 (black) to 255.
LIGHTNESS = "Math.max(...getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3).map(Number))"
HOSTILE = (
    '<script>window.harm=1</script><img src="http://elsewhere.example/a.png" onerror="window.harm=2"> '
    "![x](http://elsewhere.example/b.png) [y](javascript:window.harm=3) <iframe src='http://elsewhere.example/'> "
    "<style>@import 'http://elsewhere.example/c.css'</style> <svg onload=window.harm=4> &lt;b&gt; $$\\href{x}{z}$$"
)


@pytest.fixture(scope="module")
def browser() -> Iterator:
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
    with playwright.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


class Visit:
    """A page opened by a reader of `locale`; every request to another host is cut off and noted in `elsewhere`."""

    def __init__(self, browser, address: str, locale: str, **settings) -> None:
        self.context = browser.new_context(locale=locale, **settings)
        self.page = self.context.new_page()
        self.elsewhere: list[str] = []
        self.address = address
        self.context.route("**/*", self._guard)
        self.page.goto(address)
        self.page.wait_for_selector(MESSAGE)

    def _guard(self, route) -> None:
        if route.request.url.startswith((self.address, "data:", "blob:")):
            route.continue_()
        else:
            self.elsewhere.append(route.request.url)
            route.abort()

    def say(self, text: str) -> None:
        self.page.fill(MESSAGE, text)
        self.page.press(MESSAGE, "Enter")

    def wait_for_replies(self, count: int) -> list[str]:
        """The texts of the counsellor's entries, once there are `count` and the last one is complete."""
        self.page.wait_for_function(
            "count => document.querySelectorAll('#talk .message.bot').length >= count", arg=count, timeout=20_000
        )
        self.page.wait_for_selector("#message button.submit-button", timeout=20_000)
        return [entry.inner_text() for entry in self.page.query_selector_all("#talk .message.bot")]

    def words_of_user(self) -> list[str]:
        return [entry.inner_text() for entry in self.page.query_selector_all("#talk .message.user")]


def is_on_top(page, selector: str) -> bool:
    """Whether nothing lies over the middle of what `selector` names."""
    return page.locator(selector).evaluate(
        "e => {const r = e.getBoundingClientRect();"
        " return e.contains(document.elementFromPoint(r.x + r.width / 2, r.y + r.height / 2));}"
    )


@pytest.fixture
def visit(browser) -> Iterator[Callable[..., Visit]]:
    pages, visits = [], []

    def open_page(
        service: ReplyService,
        locale: str = "zh-CN",
        password: str | None = None,
        thinking: Thinking = "off",
        system: str = "",
        **settings,
    ) -> Visit:
        pages.append(make_page(service, thinking, system))
        visits.append(Visit(browser, launch_page(pages[-1], password=password) + "/", locale, **settings))
        return visits[-1]

    yield open_page
    for opened in visits:
        opened.context.close()
    for page in pages:
        page.blocks.close(verbose=False)


@pytest.fixture(scope="module")
def demo_model(small_model: tuple) -> tuple:
    """The model and tokenizer that the recipe "demo" has trained here, else the small one with random weights."""
    folder = ROOT / "outputs" / "demo"
    return load_model(str(folder)) if (folder / "model.safetensors").is_file() else small_model


@pytest.mark.parametrize(
    ("locale", "words", "screen"),
    [
        (
            "zh-CN",
            ["我最近很焦虑。", "我不想活了，想自杀。", "谢谢你。"],
            {"viewport": {"width": 1200, "height": 800}},
        ),
        (
            "en-US",
            ["I feel anxious.", "I want to kill myself.", "Thank you."],
            {"viewport": {"width": 390, "height": 800}, "color_scheme": "dark"},
        ),
    ],
)
def test_three_turns_with_the_demo_model(visit, demo_model, tmp_path, monkeypatch, locale, words, screen):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    with ReplyService(lambda: ReplyEngine(*demo_model), limits=Limits(messages_per_minute=0)) as service:
        opened = visit(service, locale, **screen)
        language = locale[:2]
        opened.page.click("#controls button")
        opened.page.fill("#controls input[type=number] >> nth=2", "24")
        for turn, text in enumerate(words, start=1):
            opened.say(text)
            opened.page.wait_for_function(
                "count => document.querySelectorAll('#talk .message.user').length === count", arg=turn
            )
            entries = opened.wait_for_replies(turn + (turn >= 2))
            notice = opened.page.locator("#notice")
            assert NOTICE[language] in notice.inner_text()
            box = notice.bounding_box()
            assert 0 <= box["y"] < box["y"] + box["height"] <= screen["viewport"]["height"]
        help_lines = [index for index, entry in enumerate(entries) if OPENING[language] in entry]
        assert help_lines[0] == 1  # below the first reply, above the second; more where a reply calls for them
        assert ("12356" if language == "zh" else "988") in entries[1]
        assert len(entries) >= 4
        assert all(entry.strip() for entry in entries)
        assert opened.words_of_user() == words
        assert opened.page.evaluate("document.documentElement.scrollWidth") <= screen["viewport"]["width"]
        assert (opened.page.evaluate(LIGHTNESS) < 100) == ("color_scheme" in screen)
        opened.page.screenshot(path=tmp_path / f"{locale}.png")
        assert (tmp_path / f"{locale}.png").stat().st_size > 10_000
        stored = [
            path.name for path in tmp_path.rglob("*") if path.is_file() and words[1].encode() in path.read_bytes()
        ]
        assert stored == []
        assert opened.elsewhere == []


@pytest.mark.parametrize(
    ("locale", "first", "placeholder"),
    [("zh-SG", "1767", "想说什么都可以"), ("zh", "12356", "想说什么都可以"), ("en-GB", "116 123", "Say whatever")],
)
def test_help_lines_stay_in_sight_on_a_phone_until_they_are_closed(visit, scripted, locale, first, placeholder):
    """A long talk by keyboard alone, with thoughts that are folded away."""
    service, _ = scripted(
        "<think>他很难受。</think>" + "我在听，愿意多说一点吗？" * 20, limits=Limits(messages_per_minute=0)
    )
    opened = visit(service, locale, thinking="keep", viewport={"width": 390, "height": 800})
    page, pinned = opened.page, opened.page.locator("#help .help-box")
    expect = playwright.expect
    expect(page.get_by_placeholder(placeholder)).to_be_focused()
    examples = page.locator("#talk .example").all_inner_texts()
    assert [text.strip() for text in examples] == EXAMPLES[locale[:2]]
    for turn, text in enumerate(
        ["I want to kill myself." if locale == "en-GB" else "我想自杀", "在吗", "还在吗"], start=1
    ):
        page.keyboard.type(text)
        page.keyboard.press("Enter")
        opened.wait_for_replies(2 * turn + 1)
        page.locator(MESSAGE).focus()
        expect(pinned.locator("a").first).to_have_text(first)
        expect(pinned.locator("a").first).to_be_in_viewport()
        assert is_on_top(page, "#help .help-box a >> nth=0")
    assert pinned.locator("a").first.get_attribute("href") == f"tel:{first.replace(' ', '')}"
    thought = page.locator("#talk .thought-group").last
    expect(thought).not_to_contain_text("他很难受")
    thought.locator("[role=button]").focus()
    page.keyboard.press("Enter")
    expect(thought).to_contain_text("他很难受")
    page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
    expect(pinned.locator("a").first).to_be_in_viewport()
    page.locator("#close").focus()
    page.keyboard.press("Enter")
    expect(pinned).to_have_count(0)


def test_help_lines_end_with_the_talk_and_not_with_an_edit(visit, scripted):
    service, _ = scripted("我在听。", limits=Limits(messages_per_minute=0))
    opened = visit(service)
    page, pinned = opened.page, opened.page.locator("#help .help-box")
    opened.say("我想自杀")
    opened.wait_for_replies(2)
    playwright.expect(pinned).to_be_visible()
    page.click("#talk button[title=编辑]")
    page.fill("#talk textarea", "我很累")
    page.click("#talk button[title=发送]")
    page.wait_for_function("() => document.querySelector('#talk .message.user').innerText === '我很累'")
    opened.wait_for_replies(1)
    playwright.expect(pinned).to_be_visible()
    page.click("#talk button[title^=清]")
    playwright.expect(pinned).to_have_count(0)


def test_hostile_text_of_model_and_user_is_only_text(visit, scripted):
    service, engine = scripted(HOSTILE)
    opened = visit(service)
    said = HOSTILE.replace("$$", "")
    opened.say(said)
    [reply] = opened.wait_for_replies(1)
    assert reply.replace("\u200b", "").split() == HOSTILE.split()
    assert opened.words_of_user()[0].replace("\u200b", "").split() == said.split()
    opened.page.wait_for_timeout(500)
    assert opened.page.evaluate("window.harm") is None
    assert (
        opened.page.query_selector("#talk iframe, #talk img[src*=elsewhere], #talk svg[onload], #talk .katex") is None
    )
    assert opened.elsewhere == []
    assert engine.seen[0][-1]["content"] == said


@pytest.mark.slow
def test_retry_undo_edit_and_example(visit, scripted):
    service, engine = scripted(lambda messages: f"回复{len(engine.seen)}，{messages[-1]['content']}")
    opened = visit(service)
    page = opened.page
    page.click(f"text={EXAMPLES['zh'][0]}")
    page.wait_for_function("text => document.querySelector('#message textarea').value === text", arg=EXAMPLES["zh"][0])
    opened.say("甲")
    assert opened.wait_for_replies(1) == ["回复1，甲"]
    page.click("#talk button[title=重试]")
    page.wait_for_selector("text=回复2，甲")
    page.click("#talk button[title=编辑]")
    page.fill("#talk textarea", "乙 <b>")
    page.click("#talk button[title=发送]")
    page.wait_for_selector("text=回复3，乙")
    assert engine.seen[-1] == [{"role": "user", "content": "乙 <b>"}]
    opened.wait_for_replies(1)
    page.click("#talk button[title=撤销]")
    page.wait_for_function("document.querySelector('#message textarea').value === '乙 <b>'")
    assert page.query_selector("#talk .message.bot") is None


@pytest.mark.slow
def test_stop_ends_the_generation(visit, scripted):
    service, engine = scripted("很长的回复。" * 200_000)
    opened = visit(service)
    opened.say("你好")
    opened.page.wait_for_selector("#talk .message.bot")
    opened.page.click("#message button.stop-button")
    opened.page.wait_for_selector("#message button.submit-button")
    for _ in range(100):
        if engine.cancelled:
            break
        opened.page.wait_for_timeout(50)
    assert engine.cancelled


@pytest.mark.slow
def test_words_sent_while_a_reply_comes_stay_where_they_were_typed(visit, scripted, monkeypatch):
    service, engine = scripted("很长的回复。" * 10_000)
    step = engine.step
    monkeypatch.setattr(engine, "step", lambda: time.sleep(0.1) or step())
    opened = visit(service)
    opened.say("你好")
    opened.page.wait_for_selector("#talk .message.bot")
    opened.say("还有")
    opened.page.wait_for_timeout(1000)
    assert opened.page.input_value(MESSAGE) == "还有"
    assert opened.words_of_user() == ["你好"]
    assert len(engine.seen) == 1
    opened.page.click("#message button.stop-button")
    opened.page.wait_for_selector("#message button.submit-button")


@pytest.mark.slow
def test_a_fault_of_the_page_is_logged_without_anybody_s_words(visit, scripted, monkeypatch, capfd, caplog):
    service, _ = scripted("好。")

    def fail(*arguments, **settings):
        raise KeyError("秘密")

    monkeypatch.setattr(service, "astream", fail)
    opened = visit(service)
    opened.say("我的秘密")
    opened.page.wait_for_selector("text=KeyError")
    opened.page.wait_for_selector("#message button.submit-button")
    assert "the page failed: KeyError" in caplog.text
    printed = capfd.readouterr()
    assert "秘密" not in printed.out + printed.err + caplog.text


@pytest.mark.slow
@pytest.mark.parametrize("width", [320, 375, 390])
def test_the_notice_covers_nothing_of_the_talk(visit, scripted, width):
    page = visit(scripted("好。")[0], "en-US", viewport={"width": width, "height": 640}).page
    notice, talk = page.locator("#notice").bounding_box(), page.locator("#talk").bounding_box()
    assert notice["y"] + notice["height"] <= talk["y"]


@pytest.mark.slow
def test_refusals_are_told_and_the_page_goes_on(visit, scripted):
    service, engine = scripted("好。", limits=Limits(messages_per_minute=1))
    opened = visit(service)
    opened.say("   ")
    opened.page.wait_for_selector("text=无法回复：消息是空的，请先写点什么。")
    opened.page.fill(MESSAGE, "")
    opened.page.keyboard.insert_text("长" * 100_000)
    opened.page.press(MESSAGE, "Enter")
    opened.page.wait_for_selector("text=这条消息有 100,000 个字，最多 4,000 个字。")
    opened.page.wait_for_selector("#message button.submit-button")
    opened.page.fill(MESSAGE, "你好")
    while not opened.words_of_user():  # Gradio drops an Enter that comes before the refused message is done with
        opened.page.press(MESSAGE, "Enter")
        opened.page.wait_for_timeout(1_000)
    assert opened.wait_for_replies(1) == ["好。"]
    opened.say("你好")
    opened.page.wait_for_selector("text=请稍后再试：消息发得太快")
    opened.page.wait_for_selector("#message button.submit-button")
    assert len(engine.seen) == 1
    assert (opened.words_of_user(), opened.page.input_value(MESSAGE)) == (["你好"], "你好")
    assert is_on_top(opened.page, "#notice")
    assert is_on_top(opened.page, "#talk .message.bot")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("locale", "grave"), [("zh-CN", "我想自杀"), ("zh-TW", "我想自殺"), ("en-US", "I want to die")]
)
def test_whatever_is_refused_or_fails_shows_help_lines_once_more_after_they_were_closed(
    visit, scripted, locale, grave
):
    service, engine = scripted("好。", limits=Limits(messages_per_minute=0))
    opened = visit(service, locale)
    page, pinned = opened.page, opened.page.locator("#help .help-box")
    expect = playwright.expect

    def close() -> None:
        expect(pinned).to_be_visible()
        page.wait_for_selector("#message button.submit-button")
        page.click("#close")
        expect(pinned).to_have_count(0)

    opened.say(grave)
    close()
    page.fill(MESSAGE, f"{grave}。" + "长" * 4_001)
    page.press(MESSAGE, "Enter")
    close()
    page.wait_for_timeout(1_000)
    step, engine.step = engine.step, lambda: 1 / 0
    page.fill(MESSAGE, grave)
    page.press(MESSAGE, "Enter")
    close()
    engine.step = step


@pytest.mark.slow
def test_save_makes_a_file_of_the_reader_s(visit, scripted):
    opened = visit(scripted("a < b")[0], accept_downloads=True)
    opened.say("你好")
    opened.wait_for_replies(1)
    with opened.page.expect_download() as download:
        opened.page.click("#save")
    saved = json.loads(download.value.path().read_text(encoding="utf-8"))
    assert saved == {"messages": [{"role": "user", "content": "你好"}, {"role": "assistant", "content": "a < b"}]}


@pytest.mark.slow
def test_without_care_there_are_no_help_lines(visit, scripted):
    opened = visit(scripted("我在听。", care=Care(enabled=False))[0])
    opened.say("我不想活了，想自杀。")
    assert opened.wait_for_replies(1) == ["我在听。"]


@pytest.mark.parametrize(("strips", "forwards_host"), [(True, True), (False, False)])
def test_behind_a_reverse_proxy(browser, scripted, strips, forwards_host):
    """Under another name and a path of its own: the door, and a talk; nothing is there for programs either."""
    page = make_page(scripted("我在听。")[0])
    front = Front(("chat.localhost",), "/soulchat")  # which a browser takes for this machine
    address = launch_page(page, password="a long password", front=front)
    context = browser.new_context(locale="zh-CN")
    try:
        with proxying(address, "/soulchat", strips, forwards_host) as outside:
            opened = context.new_page()
            urls: list[str] = []
            named = outside.replace("127.0.0.1", "chat.localhost")
            opened.on("request", lambda asked: urls.append(asked.url))
            opened.goto(named + "/")
            opened.fill("input >> nth=0", "soulchat")
            opened.fill("input[type=password]", "a long password")
            opened.press("input[type=password]", "Enter")
            opened.wait_for_selector(MESSAGE)
            opened.fill(MESSAGE, "你好")
            opened.press(MESSAGE, "Enter")
            opened.wait_for_selector("#talk .message.bot >> text=我在听。")
            assert [url for url in urls if not url.startswith((named, "data:", "blob:"))] == []
            for path in ("/gradio_api/call/show", "/gradio_api/upload", "/soulchat/soulchat/gradio_api/upload"):
                assert httpx.post(outside + path, json={"data": []}).status_code == 404
    finally:
        context.close()
        page.blocks.close(verbose=False)


@pytest.mark.slow
def test_password_is_asked_for(browser, scripted):
    page = make_page(scripted("好。")[0])
    address = launch_page(page, password="secret")
    context = browser.new_context(locale="en-US")
    try:
        opened = context.new_page()
        opened.goto(address)
        opened.wait_for_selector("input[type=password]")
        assert opened.query_selector(MESSAGE) is None
        opened.fill("input >> nth=0", "soulchat")
        opened.fill("input[type=password]", "secret")
        opened.press("input[type=password]", "Enter")
        opened.wait_for_selector(MESSAGE)
    finally:
        context.close()
        page.blocks.close(verbose=False)


STATED = {"age": "23岁", "gender": "女", "occupation": "护士", "about": "爱安静"}
FIELDS = {name: f"#{name} textarea, #{name} input" for name in STATED}


def open_about_me(page) -> None:
    page.click("#about-me > button")
    page.wait_for_selector("#tells input")


def test_what_a_user_states_is_off_by_default_and_cleared_with_the_talk(visit, scripted):
    service, engine = scripted("我在听。")
    opened = visit(service, system="像林老师那样说话。")
    page = opened.page
    system = {"role": "system", "content": "像林老师那样说话。"}
    opened.say("你好")
    opened.wait_for_replies(1)
    assert engine.seen[0][0] == system

    open_about_me(page)
    assert not page.is_checked("#tells input")
    assert page.query_selector(FIELDS["gender"]) is None
    page.check("#tells input")
    for name, text in STATED.items():
        page.fill(FIELDS[name], text)
    opened.say("我很累")
    opened.wait_for_replies(2)
    told = "来访者自己说明的情况：\n年龄：18-25\n性别：女\n职业：护士\n其他：爱安静"
    assert engine.seen[1][0]["content"] == f"像林老师那样说话。\n\n{told}"
    assert [entry["role"] for entry in engine.seen[1]] == ["system", "user", "assistant", "user"]
    assert "护士" not in page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])")

    page.click("#talk button[aria-label='清空对话']")
    page.wait_for_function("!document.querySelector('#tells input').checked")
    opened.say("又来了")
    opened.wait_for_replies(1)
    assert engine.seen[2][0] == system
    page.check("#tells input")
    page.wait_for_selector(FIELDS["about"])
    assert [page.input_value(FIELDS[name]) for name in STATED] == [""] * 4
    assert opened.elsewhere == []


def test_switched_off_nothing_of_what_was_stated_is_left(visit, scripted):
    service, engine = scripted("I am listening.")
    opened = visit(service, "en-US")
    page = opened.page
    open_about_me(page)
    page.check("#tells input")
    page.fill(FIELDS["about"], "shy")
    opened.say("hello")
    opened.wait_for_replies(1)
    assert engine.seen[0][0]["content"] == "What the client states of themselves:\nother: shy"
    page.uncheck("#tells input")
    page.wait_for_selector(FIELDS["about"], state="detached")
    opened.say("hello again")
    page.wait_for_selector("#talk .message.bot >> text=I am listening. >> nth=1")
    assert [message["role"] for message in engine.seen[1]] == ["user", "assistant", "user"]
    page.check("#tells input")
    page.wait_for_selector(FIELDS["about"])
    assert page.input_value(FIELDS["about"]) == ""


def test_help_lines_for_what_is_stated_come_once(visit, scripted):
    service, _ = scripted("我在听。")
    opened = visit(service)
    open_about_me(opened.page)
    opened.page.check("#tells input")
    opened.page.fill(FIELDS["about"], "我不想活了，想自杀")
    opened.say("你好")
    assert "12356" in opened.wait_for_replies(2)[0]
    opened.say("在吗")
    assert ["12356" in entry for entry in opened.wait_for_replies(3)] == [True, False, False]
