"""stats.json and the figures of a corpus, ready for its dataset card."""

from pathlib import Path

from ..files import write_json
from .figures import draw_comparison, draw_topics, draw_word_cloud, find_chinese_font, needs_chinese
from .stats import compare, describe


def write_statistics(source: Path, out: Path, other: Path | None = None, font: Path | None = None) -> dict:
    """Describe `source` into `out`: stats.json, topics and words as .png and .svg; with `other`, also comparison.json
    and its figure. Returns the description.

    Raises:
        ValueError: an empty corpus, or a Chinese one where no Chinese font is found and no `font` given.
    """
    if font is not None and not font.is_file():
        raise ValueError(f"--font {font}: no such file")
    found = describe(source)
    labelled = any(topic != "none" for topic in found["topics"])
    if font is None and (needs_chinese(found["words"]) or labelled):
        font = find_chinese_font()
    write_json(out / "stats.json", found)
    if labelled:
        draw_topics(found["topics"], out / "topics", font)
    draw_word_cloud(found["words"], out / "words", font)
    if other is not None:
        compared = compare(found, describe(other))
        write_json(out / "comparison.json", compared)
        draw_comparison(compared, (source.stem, other.stem), out / "comparison")
    return found
