import gradio as gr
import pytest

from soulchat.web.language import reader_country, reader_language


def asked(accepted: str) -> gr.Request:
    return gr.Request(headers={"accept-language": accepted} if accepted else {})


@pytest.mark.parametrize(
    ("accepted", "language", "country"),
    [
        ("zh", "zh", None),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh", "CN"),
        ("zh-HK", "zh", "HK"),
        ("zh-Hant-TW;q=0.9", "zh", "TW"),
        ("ZH-sg", "zh", "SG"),
        ("en-GB,zh;q=0.5", "en", "GB"),
        ("en", "en", None),
        ("de-DE,zh", "en", None),
        ("", "en", None),
    ],
)
def test_the_browser_s_first_language_decides(accepted, language, country):
    assert reader_language(asked(accepted)) == language
    assert reader_country(asked(accepted)) == country
