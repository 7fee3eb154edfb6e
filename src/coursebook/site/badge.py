"""A badge as many READMEs have them: what it says is dated, so that it is true whenever it is read.

Drawn here and served by the site itself; widths are those of Open Sans, and `textLength` holds other fonts to them.
"""

from __future__ import annotations

from functools import cache
from html import escape
from importlib.metadata import distribution
from typing import Literal

Color = Literal["good", "warn", "bad"]
# White letters on them have a contrast of 4.5 and more.
_COLORS: dict[Color, str] = {"good": "#1a7f37", "warn": "#9a6700", "bad": "#cf222e"}
_HEIGHT, _SIZE, _PAD = 20, 11, 7  # pixels


def badge_svg(label: str, text: str, color: Color) -> bytes:
    """An SVG with `label` on gray and `text` on `color`, which reads the same to who can't see it."""
    left, right = (round(_width(part)) + 2 * _PAD for part in (label, text))
    width, said = left + right, escape(f"{label}: {text}")
    words = "".join(
        f'<text x="{x + _PAD}" y="14" textLength="{length - 2 * _PAD}" lengthAdjust="spacingAndGlyphs">'
        f"{escape(part)}</text>"
        for part, x, length in ((label, 0, left), (text, left, right))
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{_HEIGHT}" role="img" aria-label="{said}">'
        f"<title>{said}</title>"
        f'<clipPath id="round"><rect width="{width}" height="{_HEIGHT}" rx="3"/></clipPath>'
        f'<g clip-path="url(#round)"><rect width="{left}" height="{_HEIGHT}" fill="#444c56"/>'
        f'<rect x="{left}" width="{right}" height="{_HEIGHT}" fill="{_COLORS[color]}"/></g>'
        f'<g fill="#fff" font-family="Open Sans,Verdana,DejaVu Sans,sans-serif" font-size="{_SIZE}">{words}</g></svg>\n'
    ).encode()


@cache
def _width(text: str) -> float:
    """Of a text in Open Sans, in pixels."""
    from PIL import ImageFont

    path = str(distribution("ttf-opensans").locate_file("ttf_opensans/ttf/OpenSans-Regular.ttf"))
    # Measured ten times as large: letters are whole pixels wide.
    return ImageFont.truetype(path, 10 * _SIZE, layout_engine=ImageFont.Layout.BASIC).getlength(text) / 10
