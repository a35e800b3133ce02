"""The documentation cannot drift: its site builds, its code runs, and its commands are ones that exist."""

import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer

from soulchat.cli import app
from soulchat_trainer.training.recipe_files import OneLineParser, recipe_names
from tests.hub_cards.conftest import hub, logged_in  # noqa: F401
from tests.hub_cards.server import LoopbackHub
from tests.paths import ROOT
from tests.soulchat_trainer import training_parts

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
COMMANDS = typer.main.get_command(app)
RECIPES = (*recipe_names(), "RECIPE", "NAME")  # the last two stand for a reader's own
ANY_FLAG = ("[--any_field", "value", "…]")


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: str
    number: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.number}"


def blocks(page: Path) -> list[Block]:
    found = FENCE.findall(page.read_text(encoding="utf-8"))
    name = str(page.relative_to(ROOT))
    return [Block(name, number, language, text) for number, (language, text) in enumerate(found, 1)]


ALL_BLOCKS = [block for page in PAGES for block in blocks(page)]
PYTHON = [block for block in ALL_BLOCKS if block.language == "python"]
TRANSLATED = [str(page.relative_to(ROOT)) for page in PAGES if page.stem.endswith("_zh")]
FRAGMENTS = ("CONTRIBUTING.md",)  # pages whose code belongs inside a module: it is compiled, not run
SERVED = ("docs/talk.md",)  # pages whose code asks a server: tests/soulchat/talk/test_deploying.py


def command_lines() -> Iterator[tuple[str, list[str], bool]]:
    """Where a command stands, its words, and whether it is whole (in a block) or a mention (in a sentence)."""
    for block in ALL_BLOCKS:
        if block.language == "python":
            continue
        for line in block.text.replace("\\\n", " ").splitlines():
            yield str(block), shlex.split(line, comments=True), True
    for page in PAGES:
        prose = FENCE.sub("", page.read_text(encoding="utf-8"))
        for code in INLINE.findall(prose):
            if "…" not in code and re.match(r"(soulchat|accelerate|make|python|sbatch) ", code):
                yield str(page.relative_to(ROOT)), shlex.split(code, comments=True), False


LINES = list(command_lines())


def lines_of(program: str) -> list:
    found = [(place, words[1:], whole) for place, words, whole in LINES if words[:1] == [program]]
    return [pytest.param(*line, id=f"{line[0]} {' '.join(line[1])}") for line in found]


def parse_soulchat(words: list[str], whole: bool) -> None:
    """Raises what click raises: no such command or option, a value of the wrong type, something missing."""
    command, path, rest = COMMANDS, ["soulchat"], list(words)
    while isinstance(command, typer.core.TyperGroup) and rest:
        path.append(rest.pop(0))
        command = command.get_command(typer.Context(command), path[-1])
        assert command is not None, f"no command {' '.join(path)}"
    if whole:
        assert not isinstance(command, typer.core.TyperGroup), f"{' '.join(path)} is a group of commands"
        command.make_context(path[-1], rest)
        return
    options = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    assert {word for word in rest if word.startswith("--")} <= options


def parse_recipe(words: list[str]) -> None:
    """A recipe that ships, and flags that are fields."""
    recipe, *flags = words
    if "--processes" in flags:  # the command's own
        at = flags.index("--processes")
        del flags[at : at + 2]
    assert recipe in RECIPES, f"no recipe {recipe}"
    parser = OneLineParser()
    assert parser.parse_known_args(flags)[1] == []


@pytest.mark.parametrize(("place", "words", "whole"), lines_of("soulchat"))
def test_soulchat_commands_parse(place: str, words: list[str], whole: bool) -> None:
    if words[0] == "train" and words[1:]:
        parse_recipe([word for word in words[1:] if word not in ANY_FLAG])
    else:
        parse_soulchat(words, whole)


@pytest.mark.parametrize(("place", "words", "whole"), lines_of("accelerate"))
def test_training_commands_parse(place: str, words: list[str], whole: bool) -> None:
    assert words.pop(0) == "launch"
    if words[0] == "--quiet":
        del words[0]
    if words[0] == "--config_file":
        assert (ROOT / words[1]).is_file()
        del words[:2]
    script = ["-m", "soulchat_trainer.train"] if words[0] == "-m" else ["train.py"]
    assert words[: len(script)] == script
    if words[len(script) :]:
        parse_recipe(words[len(script) :])


@pytest.mark.parametrize(("place", "words", "whole"), lines_of("sbatch"))
def test_slurm_commands_parse(place: str, words: list[str], whole: bool) -> None:
    script, *rest = words
    assert (ROOT / script).is_file()
    parse_recipe(rest)


@pytest.mark.parametrize(("place", "words", "whole"), lines_of("make"))
def test_make_targets_exist(place: str, words: list[str], whole: bool) -> None:
    targets = re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(words) <= set(targets)


@pytest.mark.parametrize(("place", "words", "whole"), lines_of("python"))
def test_scripts_exist(place: str, words: list[str], whole: bool) -> None:
    assert (ROOT / words[0]).is_file()


@pytest.fixture(scope="module")
def demo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where outputs/demo is a ChatGLM of 30,000 weights; my.jsonl and cases.json hold conversations."""
    folder = tmp_path_factory.mktemp("reader")
    demo = folder / "outputs" / "demo"
    tokenizer = training_parts.make_chatglm_tokenizer(demo)
    training_parts.make_chatglm(tokenizer, max_sequence_length=512).save_pretrained(demo)
    tokenizer.save_pretrained(demo)
    (folder / "my.jsonl").write_bytes((ROOT / "examples/conversations.jsonl").read_bytes())
    line = {"speaker": "来访", "words": "我很累"}
    (folder / "cases.json").write_text(json.dumps([{"number": "A-1", "dialog": [line]}]))
    return folder


def run_python(text: str, namespace: dict) -> None:
    exec(compile(text, "documentation", "exec"), namespace)


@pytest.mark.parametrize("page", sorted({block.page for block in PYTHON} - {*FRAGMENTS, *SERVED, *TRANSLATED}))
def test_python_runs(page: str, demo_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The blocks of a page run one after the other, in a folder that is not the checkout.

    A page in Chinese has the code of the English one: `test_a_page_in_chinese_has_the_code_…`.
    """
    monkeypatch.chdir(demo_folder)
    namespace = {"__name__": "documentation"}
    for block in PYTHON:
        if block.page == page:
            run_python(block.text, namespace)


@pytest.mark.parametrize("block", [block for block in PYTHON if block.page == "README.md"], ids=str)
def test_each_block_of_the_readme_runs_by_itself(block: Block, demo_folder: Path) -> None:
    """A reader may begin with any of them: each brings its own imports."""
    run = [sys.executable, "-c", block.text]
    done = subprocess.run(run, cwd=demo_folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def test_fragments_compile() -> None:
    for block in PYTHON:
        if block.page in FRAGMENTS:
            compile(block.text, str(block), "exec")


@pytest.mark.slow
def test_the_four_usages_of_the_readme(
    tmp_path: Path,
    logged_in: LoopbackHub,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Load, train, score, publish, as written there but for the number of steps, one after the other."""
    usages = (ROOT / "README.md").read_text(encoding="utf-8").split("## Load, train, score, publish")[1]
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "documentation"}
    ran = []
    for language, text in FENCE.findall(usages):
        if language == "python":
            run_python(text, namespace)
            continue
        words = shlex.split(text, comments=True)
        ran.append(words[1])
        if words[1] == "train":
            few = ["--max_steps", "2", "--num_test_turns", "2"]
            subprocess.run([sys.executable, ROOT / "train.py", *words[2:], *few], check=True)
        else:
            app(words[1:], standalone_mode=False)
    assert ran == ["train", "publish"]
    assert set(namespace["turns"]) == {"train", "validation", "test"}
    assert "files change" in capsys.readouterr().out
    assert not logged_in.has("model", "USER/my-model")


@pytest.mark.parametrize("name", ["README.md", "README_zh.md"])
def test_both_readmes_have_the_same_code(name: str) -> None:
    def code(page: str) -> list[str]:
        return [re.sub(r"\s*#.*", "", block.text) for block in blocks(ROOT / page)]

    assert code(name) == code("README.md")


@pytest.mark.parametrize("name", ["judge", "making", "own-conversations", "safety", "simulate", "style", "training"])
def test_a_page_in_chinese_has_the_code_and_the_figures_of_the_english_one(name: str) -> None:
    english, chinese = ROOT / f"docs/{name}.md", ROOT / f"docs/{name}_zh.md"
    assert f"({name}_zh.md)" in english.read_text(encoding="utf-8")
    assert f"({name}.md)" in chinese.read_text(encoding="utf-8")

    def commands(page: Path) -> list[str]:
        return [
            re.sub(r"\s*#.*", "", block.text) for block in blocks(page) if block.language in ("python", "text", "bash")
        ]

    def mentions(page: Path) -> set[str]:
        return set(INLINE.findall(FENCE.sub("", page.read_text(encoding="utf-8"))))

    def shares(page: Path) -> list[str]:
        return sorted(re.findall(r"[\d.]+ %", page.read_text(encoding="utf-8")))

    assert commands(chinese) == commands(english)
    assert shares(chinese) == shares(english)
    assert mentions(chinese) == mentions(english)


def test_the_cost_page_counts_as_the_benchmark_does(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its function is the benchmark's, its comments are what its code prints, its table what its function gives."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import training_flops

    from soulchat_trainer.chatglm import ChatGLMConfig

    page = ROOT / "docs/cost.md"
    namespace: dict = {}
    code = blocks(page)[0].text
    run_python(code, namespace)
    assert re.findall(r"^# (.*)$", code, re.MULTILINE) == capsys.readouterr().out.splitlines()
    assert namespace["train_flop"](311, 125_113, 54) == training_flops.train_flops(ChatGLMConfig(), 311, 125_113, 54)
    rows = re.findall(r"^\| (\d+) % \| (\d+) \| (\d+) \| (\d+) \|$", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(rows) == 4
    hours, ours, padded = (namespace[name] for name in ("gpu_hours", "ours", "padded"))
    for row in rows:
        mfu, a100, h100, padded_a100 = map(int, row)
        computed = hours(ours, 312e12, mfu / 100), hours(ours, 989e12, mfu / 100), hours(padded, 312e12, mfu / 100)
        assert (a100, h100, padded_a100) == tuple(round(value) for value in computed)


def test_code_is_in_blocks_that_are_run() -> None:
    """Python in a block of another name would not be tested."""
    unnamed = [block for block in ALL_BLOCKS if block.language != "python"]
    assert [str(block) for block in unnamed if re.search(r"^(import|from) \w+", block.text, re.MULTILINE)] == []
    assert len(PYTHON) >= 8
    assert len(LINES) >= 40


def test_the_checks_can_fail() -> None:
    with pytest.raises(AssertionError, match="no command soulchat corpus bake"):
        parse_soulchat(["corpus", "bake"], True)
    with pytest.raises(Exception, match="No such option"):
        parse_soulchat(["chat", "outputs/demo", "--loud"], True)
    with pytest.raises(Exception, match="Missing"):
        parse_soulchat(["corpus", "rewrite", "q.jsonl"], True)
    with pytest.raises(AssertionError):
        parse_soulchat(["corpus", "rewrite", "--loud"], False)
    with pytest.raises(AssertionError, match="no recipe papers"):
        parse_recipe(["papers"])
    with pytest.raises(AssertionError):
        parse_recipe(["paper", "--datasets", "x"])


def test_the_architecture_names_files_and_tests_that_exist() -> None:
    """Rooms, the way of a conversation, private parts: each path and each test stands in the tree."""
    page = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    tree = [path for path in ROOT.rglob("*.*") if not {".venv", ".git", "outputs"} & set(path.relative_to(ROOT).parts)]
    names = {code for code in INLINE.findall(page) if re.fullmatch(r"[\w/]+\.(py|json)", code)} - {"results.json"}
    assert len(names) > 60
    assert sorted(name for name in names if not any(str(path).endswith(f"/{name}") for path in tree)) == []
    tests = set(re.findall(r"`(test_\w+)`", page))
    defined = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("test_*.py"))
    assert sorted(test for test in tests if f"def {test}(" not in defined) == []
    way = page.split("A conversation passes")[1].split("A causal model takes")[0]
    assert int(way.split()[0]) == len(set(re.findall(r"`([\w/]+\.py)`", way)))


def test_the_site_builds_strictly(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs", reason="the extra docs is not installed")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", tmp_path],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert built.returncode == 0, built.stderr
    assert "prefix dict" not in built.stderr  # jieba's, of the search
    assert (tmp_path / "api" / "index.html").stat().st_size > 50_000


def test_every_page_is_in_the_navigation() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    assert [page.name for page in ROOT.glob("docs/*.md") if f": {page.name}" not in navigation] == []
