"""The Space, run as the Hub runs it: its folder alone, app.py as the program, a browser before it."""

import csv
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

import pytest
import yaml

from soulchat_metrics import score
from tests.contrast import PALE
from tests.paths import ROOT

SPACE = ROOT / "metrics" / "soulchat_metrics"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """What the page's program prints."""
    return tmp_path_factory.mktemp("log") / "page.txt"


@pytest.fixture(scope="module")
def address(tmp_path_factory, log):
    folder = tmp_path_factory.mktemp("space") / "app"
    shutil.copytree(SPACE, folder, ignore=shutil.ignore_patterns("__pycache__"))
    port = free_port()
    environment = {
        **os.environ,
        "GRADIO_SERVER_PORT": str(port),
        "GRADIO_ANALYTICS_ENABLED": "False",
        "HF_HOME": str(folder / "home"),
    }
    with log.open("w") as printed:
        process = subprocess.Popen(
            [sys.executable, "app.py"], cwd=folder, env=environment, stdout=printed, stderr=subprocess.STDOUT
        )
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
def open_page(address):
    """Opens the page in a browser of a language."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no chromium is installed")
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=flags)

        def open_page(language: str, **settings):
            context = browser.new_context(
                locale=language, permissions=["clipboard-read", "clipboard-write"], **settings
            )
            page = context.new_page()
            page.set_default_timeout(60_000)
            page.goto(address)
            return page

        yield open_page
        browser.close()


@pytest.mark.browser
def test_paste_score_and_see_the_matches(open_page):
    from playwright.sync_api import expect

    page = open_page("en-US")
    predictions, references = ["我很难过。", "你好"], ["我也很难过。", "他好"]
    page.locator("#predictions textarea").fill("\n".join(predictions))
    page.locator("#references textarea").fill("\n".join(references))
    page.locator("#score").click()
    expected = score(predictions, references)
    expect(page.locator("#means")).to_contain_text(f"{expected['bleu-1']:.4f}", timeout=60_000)
    expect(page.locator("#means")).to_contain_text(f"{expected['rouge-l']:.4f}")
    expect(page.locator("#signature textarea")).to_have_value(expected["signature"])
    page.locator("#signature button").click()
    assert page.evaluate("navigator.clipboard.readText()") == expected["signature"]
    expect(page.locator("#bleu")).to_contain_text("4-gram")
    words = page.locator("#rouge .textfield").inner_text()
    assert "难过" in words.replace("\n", "")
    page.locator("#pair input").fill("2")
    page.locator("#pair input").press("Enter")
    expect(page.locator("#bleu .textfield")).to_contain_text("你", timeout=60_000)

    page.locator("#references textarea").fill("一行")
    page.locator("#score").click()
    expect(page.get_by_text("2 predictions but 1 references")).to_be_visible(timeout=60_000)


@pytest.mark.browser
def test_an_example_is_put_in_and_scored(open_page):
    from playwright.sync_api import expect

    page = open_page("en-US")
    page.locator("#examples").get_by_text("你可以试着早点睡").first.click()
    expect(page.locator("#predictions textarea")).to_have_value("你可以试着早点睡，睡前不看手机。")
    expect(page.locator("#preset input")).to_have_value("emollm")
    page.locator("#score").click()
    expected = score(["你可以试着早点睡，睡前不看手机。"], ["睡前放下手机，早一点躺下，也许会好一些。"], "emollm")
    expect(page.locator("#means")).to_contain_text(f"{expected['rouge-1']:.4f}", timeout=60_000)


@pytest.mark.browser
@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("zh-CN", ("模型回复，每行一条", "全部样本的分数（CSV）", "计算")),
        ("en-US", ("Predictions, one a line", "The scores of all pairs as CSV", "Score")),
    ],
)
@pytest.mark.parametrize("ending", ["csv", "jsonl"])
def test_upload_and_take_the_scores_home(open_page, tmp_path, language, words, ending):
    from playwright.sync_api import expect

    predictions = [f"我很难过，第{number}天了。" for number in range(300)]
    references = [f"你难过了{number}天。\n我在听。" for number in range(300)]
    upload = tmp_path / f"pairs.{ending}"
    rows = [{"prediction": p, "reference": r} for p, r in zip(predictions, references, strict=True)]
    if ending == "csv":
        with upload.open("w", encoding="utf-8-sig", newline="") as file:
            writer = csv.DictWriter(file, ["prediction", "reference"])
            writer.writeheader()
            writer.writerows(rows)
    else:
        upload.write_text("\n".join(json.dumps(row) for row in rows))

    page = open_page(language)
    for word in words:
        expect(page.get_by_text(word, exact=True).first).to_be_visible()
    untranslated = re.compile(r"\[object|i18n")
    expect(page.locator("body")).not_to_contain_text(untranslated)
    page.locator("#file input[type=file]").set_input_files(upload)
    expect(page.locator("#file")).to_contain_text("pairs", timeout=60_000)
    page.locator("#score").click()
    expected = score(predictions, references)
    expect(page.locator("#means")).to_contain_text(f"{expected['bleu-4']:.4f}", timeout=60_000)
    expect(page.locator("body")).not_to_contain_text(untranslated)
    with page.expect_download() as download:
        page.locator("#csv a").first.click()
    with open(download.value.path(), encoding="utf-8", newline="") as file:
        scores = [*csv.DictReader(file)]
    assert len(scores) == 301
    assert float(scores[0]["rouge-l"]) == expected["rouge-l"]
    assert scores[0]["signature"] == expected["signature"]


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.parametrize("colour", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("language", ["zh-CN", "en-US"])
def test_in_every_size_colour_and_language(open_page, language, width, colour):
    from playwright.sync_api import expect

    size = {"width": width, "height": 844}
    page = open_page(language, viewport=size, color_scheme=colour, reduced_motion="reduce")
    page.locator("#score").click()
    expect(page.locator("#bleu")).to_contain_text("4-gram")
    page.mouse.move(0, 0)
    page.wait_for_timeout(400)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(PALE) == []
    boxes = [page.locator(f"#{side}").bounding_box() for side in ("predictions", "references")]
    assert (boxes[0]["y"] < boxes[1]["y"]) == (width == 390)  # below each other on a phone


@pytest.mark.browser
def test_a_file_that_cannot_be_read_is_told_and_nothing_of_it_is_logged(open_page, tmp_path, log):
    from playwright.sync_api import expect

    upload = tmp_path / "pairs.jsonl"
    upload.write_text('{"prediction": "不可外传的话", "reference": 3}', encoding="utf-8")
    page = open_page("en-US")
    page.locator("#file input[type=file]").set_input_files(upload)
    expect(page.locator("#file")).to_contain_text("pairs", timeout=60_000)
    page.locator("#score").click()
    expect(page.get_by_text("reference 0 is int (3); allowed: a string")).to_be_visible(timeout=60_000)
    assert "不可外传的话" not in log.read_text()
    assert "reference 0" not in log.read_text()


def test_every_label_has_both_languages():
    source = (SPACE / "app.py").read_text(encoding="utf-8")
    names = set(re.findall(r"words\(\"(\w+)\"\)", source)) | {"bleu", "rouge"}
    labels = re.findall(r"^        \"(\w+)\": \"", source, re.MULTILINE)
    assert sorted(labels) == sorted([*names, *names])


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
