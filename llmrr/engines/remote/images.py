"""Images as protocols take them: an address, or their bytes in base64."""

import re
from base64 import b64encode

from llmrr.types import Image

_DATA_URL = r"data:([\w.+-]+/[\w.+-]+);base64,(.*)"


def inline(image: Image) -> tuple[str, str] | None:
    """Media type and base64 of an image whose bytes are here; None for one that has an address.

    >>> inline(Image(data=b"abc")), inline(Image(url="data:image/gif;base64,YWJj"))
    (('image/png', 'YWJj'), ('image/gif', 'YWJj'))
    """
    if image.data is not None:
        return image.media_type, b64encode(image.data).decode()
    match = re.fullmatch(_DATA_URL, image.url or "", re.DOTALL)
    return (match[1], match[2]) if match else None


def url_of(image: Image) -> str:
    """An image as an address; its bytes as a data URL.

    >>> url_of(Image(data=b"abc")), url_of(Image(url="https://a/b.png"))
    ('data:image/png;base64,YWJj', 'https://a/b.png')
    """
    found = inline(image)
    return f"data:{found[0]};base64,{found[1]}" if found else image.url or ""
