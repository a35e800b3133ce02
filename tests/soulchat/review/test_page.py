"""The proofreading page, by its functions and in a real Chromium."""

import shutil

import pytest

from soulchatcorpus.files import write_lines
from soulchatcorpus.making.options import ReviewOptions
from soulchatcorpus.making.review import ReviewStore

pytest.importorskip("gradio")

from soulchat.review.page import apply_edit, edit_text, make_page, render_record
from soulchat.web.launch import launch_page

FLAG = {"step": "special", "reason": "我是", "passage": 0, "start": 0, "end": 2}


def record(number: int, **more) -> dict:
    messages = [{"role": "user", "content": f"我是{number}号"}, {"role": "assistant", "content": "请<b>慢慢</b>说"}]
    return {"id": str(number), "topic": None, "messages": messages, "provenance": {}} | more


def test_spans_are_marked_and_text_is_escaped():
    html = render_record(record(1, flags=[FLAG, FLAG | {"step": "privacy", "reason": "name", "end": 3}]))
    assert '<mark title="privacy: name; special: 我是">我是</mark><mark title="privacy: name">1</mark>号' in html
    assert "请&lt;b&gt;慢慢&lt;/b&gt;说" in html


def test_an_edit_comes_back_as_messages_without_old_flags():
    old = record(1, flags=[FLAG])
    assert edit_text(old) == "用户：我是1号\n心理咨询师：请<b>慢慢</b>说"
    edited = apply_edit(old, "用户：你好\n心理咨询师：你好，请说")
    assert edited["messages"] == [{"role": "user", "content": "你好"}, {"role": "assistant", "content": "你好，请说"}]
    assert "flags" not in edited
    with pytest.raises(ValueError, match="starts with one of"):
        apply_edit(old, "没有角色")


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


@pytest.mark.browser
def test_two_reviewers_in_chromium(tmp_path):
    executable = shutil.which("chromium") or shutil.which("chromium-browser")
    if executable is None:
        pytest.skip("no chromium is installed")
    sync = pytest.importorskip("playwright.sync_api")
    source, out = tmp_path / "conversations.jsonl", tmp_path / "out"
    write_lines(source, [record(n, flags=[FLAG]) for n in range(5)])
    store = ReviewStore(out / "review.sqlite")
    assert store.fill(source, ReviewOptions(flagged=True, sample=0.0, shared=0.0)) == 5
    page = make_page(store, source, out)
    address = launch_page(page)
    try:
        with sync.sync_playwright() as playwright:
            options = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
            browser = playwright.chromium.launch(executable_path=executable, args=options)
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
            second.keyboard.press("r")
            sync.expect(second.locator("#record")).to_contain_text("我是3号")
            second.keyboard.press("u")
            sync.expect(second.locator("#record")).to_contain_text("我是1号")
            second.keyboard.press("r")
            sync.expect(second.locator("#record")).to_contain_text("我是3号")
            first.keyboard.press("e")
            sync.expect(first.locator("#editor textarea")).to_have_value("用户：我是2号\n心理咨询师：请<b>慢慢</b>说")
            first.fill("#editor textarea", "用户：改过的话\n心理咨询师：好的")
            first.click("#save")
            sync.expect(first.locator("#record")).to_contain_text("我是4号")
            sync.expect(first.locator("#standing")).to_contain_text("3 of 5 decisions made, 2 by r1")
            first.click("#export")
            sync.expect(first.locator("#exported")).to_contain_text("1 kept, 1 edited, 1 removed")
            browser.close()
    finally:
        page.blocks.close(verbose=False)
    assert '"private detail"' in (out / "removed.jsonl").read_text()
    assert "改过的话" in (out / "conversations.jsonl").read_text()
    audit = (out / "audit.jsonl").read_text()
    assert [audit.count(f'"action":"{name}"') for name in ("keep", "edit", "remove", "undo")] == [1, 1, 2, 1]
