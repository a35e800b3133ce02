"""The proofreading page, by its functions and in a real Chromium."""

import shutil
from collections.abc import Iterator

import orjson
import pytest

from soulchatcorpus.files import write_lines
from soulchatcorpus.making.options import ReviewOptions
from soulchatcorpus.making.review import ReviewStore

pytest.importorskip("gradio")

from soulchat.review.page import apply_edit, edit_text, make_page, render_record
from soulchat.review.page_words import LABELS, TEXTS
from soulchat.web.launch import launch_page

FLAG = {"step": "special", "reason": "我是", "passage": 0, "start": 0, "end": 2}


def record(number: int, **more) -> dict:
    messages = [{"role": "user", "content": f"我是{number}号"}, {"role": "assistant", "content": "请<b>慢慢</b>说"}]
    return {"id": str(number), "topic": None, "messages": messages, "provenance": {}} | more


def test_spans_are_marked_and_text_is_escaped():
    flagged = record(1, flags=[FLAG, FLAG | {"step": "privacy", "reason": "name", "end": 3}])
    html = render_record(flagged, "en")
    assert '<mark title="privacy: name; special: 我是">我是</mark><mark title="privacy: name">1</mark>号' in html
    assert "请&lt;b&gt;慢慢&lt;/b&gt;说" in html
    assert '<mark title="特殊措辞：我是; 隐私：姓名">我是</mark>' in render_record(flagged, "zh")


def test_the_system_text_of_a_conversation_is_shown():
    old = record(1)
    old["messages"].insert(0, {"role": "system", "content": "你是<b>心理咨询师"})
    assert '<div class="passage system"><b>系统：</b>你是&lt;b&gt;心理咨询师</div>' in render_record(old, "zh")
    assert "<b>System: </b>你是&lt;b&gt;" in render_record(old, "en")


def test_both_languages_have_the_same_words():
    for words in (LABELS, TEXTS):
        assert words["zh"].keys() == words["en"].keys()
        assert set(map(str, words["zh"].values())).isdisjoint(map(str, words["en"].values()))


def test_an_edit_comes_back_as_messages_without_old_flags():
    old = record(1, flags=[FLAG])
    assert edit_text(old) == "用户：我是1号\n心理咨询师：请<b>慢慢</b>说"
    edited = apply_edit(old, "用户：你好\n心理咨询师：你好，请说")
    assert edited["messages"] == [{"role": "user", "content": "你好"}, {"role": "assistant", "content": "你好，请说"}]
    assert "flags" not in edited
    with pytest.raises(ValueError, match="starts with one of"):
        apply_edit(old, "没有角色")


def test_client_and_counsellor_are_shown_and_left_by_an_edit():
    messages = [{"role": "user", "content": "累"}, {"role": "assistant", "content": "嗯"}]
    stated = {"client": {"gender": "female", "about": "<b>爱安静"}, "counsellor": "lin"}
    record = {"id": "1", "topic": "情绪", "messages": messages, **stated}
    html = render_record(record, "zh")
    assert "<b>1</b> · 情绪 · lin" in html
    assert '<div class="passage client"><b>来访者的情况：</b>性别：女\n其他：&lt;b&gt;爱安静</div>' in html
    assert "<b>Client: </b>gender: female\nother: &lt;b&gt;" in render_record(record, "en")
    edited = apply_edit(record, "用户：很累\n心理咨询师：嗯")
    assert {name: edited[name] for name in stated} == stated


def test_an_edit_leaves_the_system_text():
    system = {"role": "system", "content": "你是"}
    old = record(1)
    old["messages"] = [system, *old["messages"]]
    assert "你是" not in edit_text(old)
    assert apply_edit(old, "用户：你好")["messages"] == [system, {"role": "user", "content": "你好"}]


def test_an_edit_is_labelled_by_what_it_says_now():
    old = record(1, labels={"crisis": "suicide"})
    assert apply_edit(old, "用户：我想自杀\n心理咨询师：我在听")["labels"] == {"crisis": "suicide"}
    assert "labels" not in apply_edit(old, "用户：我很累\n心理咨询师：我在听")


def test_an_edited_question():
    question = {"id": "q", "question": "问", "answer": "答"}
    assert apply_edit(question, "用户：新问\n心理咨询师：新答") == {"id": "q", "question": "新问", "answer": "新答"}
    with pytest.raises(ValueError, match="one line"):
        apply_edit(question, "用户：新问")


def remove(tab, key: str) -> None:
    """By keyboard: r asks for a reason, and the key of one removes."""
    tab.keyboard.press("r")
    tab.wait_for_selector("#reasons")
    tab.keyboard.press(key)
    tab.wait_for_selector("#reasons", state="detached")


@pytest.fixture
def browser() -> Iterator:
    executable = shutil.which("chromium") or shutil.which("chromium-browser")
    if executable is None:
        pytest.skip("no chromium is installed")
    sync = pytest.importorskip("playwright.sync_api")
    with sync.sync_playwright() as playwright:
        options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
        browser = playwright.chromium.launch(executable_path=executable, args=options)
        yield browser
        browser.close()


@pytest.mark.browser
def test_two_reviewers_in_chromium(browser, tmp_path):
    from playwright import sync_api as sync

    source, out = tmp_path / "conversations.jsonl", tmp_path / "out"
    write_lines(source, [record(n, flags=[FLAG]) for n in range(5)])
    store = ReviewStore(out / "review.sqlite")
    assert store.fill(source, ReviewOptions(flagged=True, sample=0.0, shared=0.0)) == 5
    page = make_page(store, source, out)
    address = launch_page(page)
    try:
        first, second = (browser.new_page() for _ in range(2))
        for tab, name, number in ((first, "r1", 0), (second, "r2", 1)):
            tab.goto(address)
            tab.fill("#reviewer input, #reviewer textarea", name)
            tab.click("#start")
            sync.expect(tab.locator("#record")).to_contain_text(f"我是{number}号")
        assert first.locator("#record mark").first.inner_text() == "我是"
        first.locator("#record").click()
        first.keyboard.press("k")
        sync.expect(first.locator("#record")).to_contain_text("我是2号")
        second.locator("#record").click()
        remove(second, "1")
        sync.expect(second.locator("#record")).to_contain_text("我是3号")
        second.keyboard.press("u")
        sync.expect(second.locator("#record")).to_contain_text("我是1号")
        remove(second, "1")
        sync.expect(second.locator("#record")).to_contain_text("我是3号")
        first.keyboard.press("e")
        sync.expect(first.locator("#editor textarea")).to_have_value("用户：我是2号\n心理咨询师：请<b>慢慢</b>说")
        first.fill("#editor textarea", "用户：改过的话\n心理咨询师：好的")
        first.click("#save")
        sync.expect(first.locator("#record")).to_contain_text("我是4号")
        sync.expect(first.locator("#standing")).to_contain_text("3 of 5 decisions made, 2 by r1")
        first.click("#export")
        sync.expect(first.locator("#exported")).to_contain_text("1 kept, 1 edited, 1 removed")
    finally:
        page.blocks.close(verbose=False)
    assert '"private detail"' in (out / "removed.jsonl").read_text()
    assert "改过的话" in (out / "conversations.jsonl").read_text()
    audit = (out / "audit.jsonl").read_text()
    assert [audit.count(f'"action":"{name}"') for name in ("keep", "edit", "remove", "undo")] == [1, 1, 2, 1]


@pytest.mark.browser
def test_a_removal_by_keyboard_on_a_chinese_phone(browser, tmp_path):
    from playwright.sync_api import expect

    source, out = tmp_path / "conversations.jsonl", tmp_path / "out"
    system = {"role": "system", "content": "你是心理咨询师"}
    write_lines(source, [record(n) | {"messages": [system, *record(n)["messages"] * 12]} for n in range(2)])
    store = ReviewStore(out / "review.sqlite")
    store.fill(source, ReviewOptions(flagged=False, sample=1.0, shared=0.0))
    page = make_page(store, source, out)
    address = launch_page(page)
    try:
        tab = browser.new_page(locale="zh-HK", viewport={"width": 390, "height": 800}, color_scheme="dark")
        tab.goto(address)
        expect(tab.locator("#start")).to_have_text("开始")
        tab.keyboard.press("k")  # typed into the field, which has the focus
        tab.fill("#reviewer input, #reviewer textarea", "王老师")
        tab.keyboard.press("Enter")
        expect(tab.get_by_text("审阅者代号只能是最多 16 个字母、数字、- 和 _")).to_be_visible()
        tab.fill("#reviewer input, #reviewer textarea", "r1")
        tab.keyboard.press("Enter")
        expect(tab.locator("#record .system")).to_have_text("系统：你是心理咨询师")
        for words in ("#record .user", "#record .user b", "#record .system"):
            assert contrast(tab, words) >= 4.5
        assert tab.evaluate("document.documentElement.scrollWidth") <= 390
        tab.keyboard.press("r")
        expect(tab.locator("#reason-2")).to_be_in_viewport()  # however long the record is
        tab.keyboard.press("Escape")
        expect(tab.locator("#reasons")).to_have_count(0)
        tab.keyboard.press("r")
        tab.locator("#other input, #other textarea").focus()
        tab.keyboard.type("rr 别的")
        tab.keyboard.press("Enter")
        expect(tab.locator("#standing")).to_contain_text("共需 2 个决定，已完成 1 个，其中 r1 完成 1 个")
        remove(tab, "2")
        expect(tab.locator("#record")).to_contain_text("没有需要您审阅的记录了")
    finally:
        page.blocks.close(verbose=False)
    store.export(source, out)
    reasons = [orjson.loads(line)["reason"] for line in (out / "removed.jsonl").read_bytes().splitlines()]
    assert reasons == ["rr 别的", "harmful"]


def contrast(tab, selector: str) -> float:
    """The contrast ratio of a text to its ground, as WCAG 2.1 defines it (from 1 to 21; 4.5 is asked of text)."""
    return tab.locator(selector).first.evaluate(
        """(element) => {
            const parts = (color) => color.match(/[\\d.]+/g).map(Number);
            const light = ([r, g, b]) => [r, g, b].map((c) => c / 255).map(
                (c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
            ).reduce((sum, c, n) => sum + c * [0.2126, 0.7152, 0.0722][n], 0);
            let ground = element;
            while (ground && parts(getComputedStyle(ground).backgroundColor)[3] === 0) ground = ground.parentElement;
            const both = [getComputedStyle(element).color, getComputedStyle(ground).backgroundColor];
            const [low, high] = both.map((color) => light(parts(color))).sort((a, b) => a - b);
            return (high + 0.05) / (low + 0.05);
        }"""
    )
