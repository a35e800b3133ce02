"""Help lines on a page: numbers that a phone dials, the reader's country first, the others folded away."""

from html import escape

from soulchatcorpus.care.help_lines import WORDS, Country, HelpLine, Language, directory_address, order_countries


def render_help_box(language: Language, country: str | None = None, brief: bool = False) -> str:
    """Help lines as HTML.

    Args:
        language: of the text.
        country: whose lines come first and in full, such as "CN"; by default the language decides.
        brief: without the sentence above the numbers, and all but the first line and the emergency numbers folded.

    Raises:
        ValueError: there are no help lines for `country`.
    """
    words = WORDS[language]
    first, others = order_countries(language, country)
    shown, folded = [] if brief else [f'<p class="opening">{escape(words["opening"])}</p>'], []
    if first:
        lines = [_line(line, language) for line in first.lines]
        kept = lines[:1] if brief else lines
        shown.append(_paragraph(first.name[language], kept, language))
        shown.append(_paragraph(words["emergency"], [_line(line, language) for line in first.emergency], language))
        folded += [_paragraph("", lines[1:], language)] if brief and lines[1:] else []
    folded += [_paragraph(row.name[language], [_in_short(row, language)], language) for row in others]
    site = directory_address()
    link = f'<a href="https://{site}" target="_blank" rel="noopener noreferrer">{site}</a>'
    folded.append(_paragraph(words["elsewhere"], [link], language))
    title = escape(words["more"])
    shown.append(f"<details{'' if first else ' open'}><summary>{title}</summary>{''.join(folded)}</details>")
    return f'<div class="help-box" lang="{language}">{"".join(shown)}</div>'


def _paragraph(title: str, lines: list[str], language: Language) -> str:
    words = WORDS[language]
    return f"<p>{escape(title) + words['colon'] if title else ''}{words['separator'].join(lines)}</p>"


def _line(line: HelpLine, language: Language) -> str:
    """`hours` is empty for an emergency number."""
    if not line.hours:
        return f"{escape(line.name[language])} {_number(line.number)}"
    template = escape(WORDS[language]["line"])
    return template.format(
        name=escape(line.name[language]), number=_number(line.number), hours=escape(line.hours[language])
    )


def _in_short(country: Country, language: Language) -> str:
    words = WORDS[language]
    emergency = f"{words['emergency']} {_number(country.emergency[0].number)}"
    return f"{_number(country.lines[0].number)}{words['separator']}{emergency}"


def _number(number: str) -> str:
    digits = "".join(character for character in number if character.isdigit())
    return f'<a href="tel:{digits}">{number}</a>'
