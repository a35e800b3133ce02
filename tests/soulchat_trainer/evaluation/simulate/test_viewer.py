"""The page of talks: what is in it, and that a real browser shows five talks side by side and runs nothing."""

import shutil
from pathlib import Path

import pytest

from soulchat_trainer.evaluation.simulate.viewer import write_page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


def talk(name: str, words: str, **provenance: object) -> dict:
    messages = [{"role": "user", "content": words}, {"role": "assistant", "content": "我在听。"}]
    told = {"counsellor": {"name": "c"}, "stop": "turns", **provenance}
    return {"id": name, "topic": "情绪", "messages": messages, "provenance": told}


def test_one_system_has_five_talks_in_a_row_and_several_have_one_client_in_a_row(tmp_path: Path) -> None:
    write_page(tmp_path / "one.html", {"c": [talk(f"t{n}", "我累。") for n in range(7)]}, "verdict")
    page = (tmp_path / "one.html").read_text(encoding="utf-8")
    assert (page.count("<details"), page.count('class="talk"')) == (2, 7)
    two = {"c": [talk("t0", "我累。"), talk("t1", "我慌。")], "d": [talk("t0", "我累。")]}
    write_page(tmp_path / "two.html", two, "verdict")
    page = (tmp_path / "two.html").read_text(encoding="utf-8")
    assert (page.count("<details"), page.count('class="talk"')) == (2, 3)
    assert page.index("12356") < page.index("<details")


def test_what_a_client_keeps_to_itself_stands_beside_its_words(tmp_path: Path) -> None:
    write_page(tmp_path / "p.html", {"c": [talk("t", "我累。", emotions=[40, 37], client_thoughts=["算了"])]}, "")
    assert "情绪 37 · 没有说出口：算了" in (tmp_path / "p.html").read_text(encoding="utf-8")


@pytest.mark.browser
@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
def test_a_browser_shows_five_side_by_side_and_runs_nothing_of_a_talk(tmp_path: Path) -> None:
    sync = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    evil = "<script>document.title = 'evil'</script><img src='http://127.0.0.1:9/x'>"
    talks = {f"system {n}": [talk("t0", evil if n == 2 else "我累。")] for n in range(5)}
    write_page(tmp_path / "page.html", talks, "The client tells.")
    with sync.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto((tmp_path / "page.html").as_uri())
        boxes = [box for section in page.locator("section.talk").all() if (box := section.bounding_box())]
        assert page.get_by_text(evil).count() == 1
        title = page.title()
        page.set_viewport_size({"width": 390, "height": 800})
        width = page.evaluate("document.documentElement.scrollWidth")
        browser.close()
    assert [box["y"] for box in boxes] == [boxes[0]["y"]] * 5
    assert [box["x"] for box in boxes] == sorted({box["x"] for box in boxes})
    assert boxes[-1]["x"] + boxes[-1]["width"] <= 1400
    assert "evil" not in title
    assert all(url.startswith("file:") for url in asked)
    assert width <= 390
