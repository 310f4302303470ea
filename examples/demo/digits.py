"""Images of handwritten digits from the example's smoke requests, and how to draw them in a terminal."""

import json
from collections.abc import Sequence
from pathlib import Path

from rich.text import Text

SMOKE_REQUESTS = Path(__file__).parents[1] / "digits" / "smoke" / "digits.jsonl"
SIDE = 8
INK = 16  #: the darkest pixel
_SHADES = " ░▒▓█"

#: 64 pixels, line by line, from 0 (paper) to 16 (ink).
Image = Sequence[int]


def images() -> dict[int, Image]:
    """One image of each digit."""
    found: dict[int, Image] = {}
    for line in SMOKE_REQUESTS.read_text().splitlines():
        smoke = json.loads(line)
        found.update(zip(smoke["expected"]["digits"], smoke["request"]["images"], strict=True))
    return found


def drawing(image: Image) -> Text:
    """An image as eight lines of sixteen characters."""
    lines = (image[start : start + SIDE] for start in range(0, SIDE * SIDE, SIDE))
    return Text("\n".join("".join(_shade(pixel) * 2 for pixel in line) for line in lines))


def _shade(pixel: int) -> str:
    return _SHADES[round(pixel * (len(_SHADES) - 1) / INK)]
