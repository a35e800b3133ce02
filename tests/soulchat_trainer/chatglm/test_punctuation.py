"""What the normaliser took is put back beside Chinese, and nothing else is touched."""

import pytest

from soulchat_trainer.chatglm.punctuation import restore_punctuation


@pytest.mark.parametrize(
    ("decoded", "restored"),
    [
        ("你好,世界!", "你好，世界！"),
        ("真的吗?!你说:好;行", "真的吗？！你说：好；行"),
        ("(别急)慢慢来", "（别急）慢慢来"),
        ("他说:“好”,然后走了", "他说：“好”，然后走了"),
        ("紧张......不知该怎么办", "紧张……不知该怎么办"),
        ("3,000 元, 12:30 见", "3,000 元， 12:30 见"),
        ("Hello, world! (ok)", "Hello, world! (ok)"),
        ("", ""),
        (",,,", ",,,"),
    ],
)
def test_marks_beside_chinese_become_full_width(decoded: str, restored: str):
    assert restore_punctuation(decoded) == restored
    assert restore_punctuation(restored) == restored
