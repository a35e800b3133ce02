"""A corpus described by stats.json and figures, as PNG and SVG.

Topics (the paper's Figure 3), words (Figures 4 and 6), and a comparison with another corpus.
"""

import logging
import re
from pathlib import Path

import matplotlib

matplotlib.use("Agg")  # files only: no window is opened

from matplotlib import font_manager, pyplot
from wordcloud import WordCloud

from ..files import replacing, working_in, write_json, write_text
from ..schema import TOPICS
from .options import StatsOptions
from .records import find_file
from .stats import compare, describe

logger = logging.getLogger(__name__)

# Fonts with Chinese characters, by how their files are called; the first one installed is taken.
CHINESE_FONTS = (
    *("NotoSansCJK", "NotoSansSC", "SourceHanSans", "wqy-microhei", "wqy-zenhei", "msyh", "simhei"),
    *("PingFang", "STHeiti", "NotoSerifCJK"),
)
NO_FONT = (
    "no Chinese font is installed: pictures with Chinese words are left out. Install fonts-wqy-microhei or "
    "fonts-noto-cjk (Debian, Ubuntu), google-noto-sans-cjk-fonts (Fedora), or give a font file (--font)"
)
_CHINESE = re.compile(r"[\u4e00-\u9fff]")


def write_statistics(source: Path, out: Path, options: StatsOptions) -> dict:
    """Describe `source` into `out`: stats.json, topics and words as .png and .svg; where it is compared, also
    comparison.json and its figure. Returns the description.

    Pictures with Chinese words are left out, with a warning, where no Chinese font is installed and none is given.

    Raises:
        ValueError: an empty corpus.
        OSError: another run is at work in `out`.
    """
    find_file(source)  # nothing is made for what is not there
    with working_in(out, "soulchat corpus stats"):
        return _write_statistics(source, out, options)


def _write_statistics(source: Path, out: Path, options: StatsOptions) -> dict:
    found = describe(source)
    write_json(out / "stats.json", found)
    font = options.font or find_chinese_font()
    labelled = any(topic != "none" for topic in found["topics"])
    if font is None and (labelled or needs_chinese(found["words"])):
        logger.warning(NO_FONT)
    if labelled and font is not None:
        draw_topics(found["topics"], out / "topics", font)
    if font is not None or not needs_chinese(found["words"]):
        draw_word_cloud(found["words"], out / "words", font)
    if options.compare is not None:
        compared = compare(found, describe(options.compare))
        write_json(out / "comparison.json", compared)
        draw_comparison(compared, (source.stem, options.compare.stem), out / "comparison")
    return found


def find_chinese_font() -> Path | None:
    """The file of an installed font with Chinese characters; None where there is none."""
    installed = sorted(font_manager.findSystemFonts())
    for name in CHINESE_FONTS:
        for path in installed:
            if name.lower() in Path(path).name.lower():
                return Path(path)
    return None


def draw_topics(topics: dict[str, int], path: Path, font: Path) -> None:
    """Horizontal bars of how many conversations each topic has, to `path` + .png and .svg."""
    properties = font_manager.FontProperties(fname=str(font))
    named = [(topic, topics[topic]) for topic in TOPICS if topics.get(topic)]
    named.sort(key=lambda pair: pair[1])
    total = sum(topics.values())
    figure, axes = pyplot.subplots(figsize=(8, 0.4 * len(named) + 1))
    axes.barh([f"{topic} {TOPICS[topic]}" for topic, _ in named], [number for _, number in named], color="#4c78a8")
    for place, (_, number) in enumerate(named):
        axes.text(number, place, f" {number:,} ({number / total:.1%})", va="center", fontsize=8)
    axes.set_xlabel("conversations")
    axes.margins(x=0.18)
    axes.spines[["top", "right"]].set_visible(False)
    for label in axes.get_yticklabels():
        label.set_fontproperties(properties)
    _save(figure, path)


def draw_word_cloud(words: dict[str, int], path: Path, font: Path | None) -> None:
    """The most frequent of `words`, larger the more frequent, to `path` + .png and .svg."""
    if not words:
        raise ValueError("no word to draw: the corpus has no counsellor's message")
    cloud = WordCloud(
        font_path=str(font) if font else None,
        width=1200,
        height=700,
        background_color="white",
        max_words=200,
        random_state=0,
        prefer_horizontal=0.95,
    ).generate_from_frequencies(words)
    with replacing(path.with_suffix(".png")) as file:
        cloud.to_image().save(file, format="PNG")
    write_text(path.with_suffix(".svg"), cloud.to_svg())


def draw_comparison(compared: dict[str, dict[str, float]], names: tuple[str, str], path: Path) -> None:
    """The shares of two corpora side by side, to `path` + .png and .svg."""
    shares = {name: pair for name, pair in compared.items() if name.startswith("share")}
    figure, axes = pyplot.subplots(figsize=(8, 0.5 * len(shares) + 1))
    for offset, (side, name) in enumerate(zip(("this", "other"), names, strict=True)):
        places = [place + 0.4 * offset for place in range(len(shares))]
        axes.barh(places, [pair[side] for pair in shares.values()], height=0.38, label=name)
    axes.set_yticks([place + 0.2 for place in range(len(shares))], list(shares))
    axes.invert_yaxis()
    axes.legend(frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    _save(figure, path)


def needs_chinese(words: dict[str, int]) -> bool:
    """Whether any of the words is Chinese."""
    return any(_CHINESE.search(word) for word in words)


def _save(figure: pyplot.Figure, path: Path) -> None:
    figure.tight_layout()
    for suffix in (".png", ".svg"):
        with replacing(path.with_suffix(suffix)) as file:
            figure.savefig(file, format=suffix[1:], dpi=150)
    pyplot.close(figure)
