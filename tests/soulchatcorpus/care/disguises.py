"""Ways to write a sentence so that a reader still reads it and a plain search does not."""

from collections.abc import Callable

DISGUISES: dict[str, Callable[[str], str]] = {
    "zero-width": lambda text: "\u200b".join(text),
    "blank": " ".join,
    "wide blank": "\u3000".join,
    "full stop": "。".join,
    "comma": "，".join,
    "hyphen": "-".join,
    "dot": "·".join,
    "star": "*".join,
    "underscore": "_".join,
    "line": "\n".join,
    "heart": "❤".join,
    "smiley": "🙂".join,
    "combining stroke": lambda text: "".join(character + "\u0336" for character in text),
    "selector": lambda text: "".join(character + "\ufe0f" for character in text),
    "full width": lambda text: "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text),
    "capitals": str.upper,
    "boxed": lambda text: "".join(chr(ord(c) - ord("a") + 0x1F170) if "a" <= c <= "z" else c for c in text),
    "circled": lambda text: "".join(chr(ord(c) - ord("a") + 0x24D0) if "a" <= c <= "z" else c for c in text),
    "traditional": lambda text: text.translate(str.maketrans("杀轻离这个间从楼断结", "殺輕離這個間從樓斷結")),
    "radicals": lambda text: text.translate(str.maketrans("自生死人水火刀力大", "⾃⽣死⼈⽔⽕⼑⼒⼤")),
}
