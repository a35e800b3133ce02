"""Bytes of text files to text, whatever program on whichever system wrote them."""

import codecs

_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


def decode(data: bytes) -> str:
    """UTF-8, UTF-16 by its byte-order mark, else GB18030 (which includes GBK).

    Raises:
        ValueError: none of them.
    """
    encoding = next((name for mark, name in _MARKS.items() if data.startswith(mark)), "utf-8")
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        problem = f"not UTF-8: byte {error.start} is 0x{data[error.start]:02x}"
    if encoding == "utf-8" and b"\0" not in data:
        try:
            return data.decode("gb18030")
        except UnicodeDecodeError:
            pass
    raise ValueError(f"{problem}; allowed: UTF-8, UTF-16 or GBK")
