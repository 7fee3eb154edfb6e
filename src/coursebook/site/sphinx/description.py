"""A page in plain words, for those who see it elsewhere: its title and a description, without markup or mathematics."""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from sphinx import addnodes

LONGEST = 300  # characters of a description; search engines and networks show fewer
_TAG = re.compile(r"</?[a-zA-Z][^<>]*>|<!--.*?-->", re.DOTALL)
# As MyST has it: no space inside the dollars, and no digit after them, so that prices stay.
_DOLLARS = re.compile(r"(?<![\\$])\$(?![\s$])([^$]+?)(?<![\s\\])\$(?![\d$])")
_SIMPLE = re.compile(r"(?:[^\W_]|[\s+\-−=<>≤≥.,:;()/|'’])+")
# What XML can't say, be it as a character of its own or as a number.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_LEFT_OUT = (nodes.raw, nodes.image, nodes.footnote_reference, nodes.Invisible, nodes.problematic, nodes.system_message)


def text_of(node: nodes.Node) -> str:
    """What a reader reads in `node`, on one line; a formula that isn't plain letters is an ellipsis."""
    return tidy("".join(_texts(node)))


def _texts(node: nodes.Node) -> list[str]:
    if isinstance(node, nodes.Text):
        return [node.astext()]
    if isinstance(node, (nodes.math, nodes.math_block)):
        return [_formula(node.astext())]
    if isinstance(node, _LEFT_OUT) or (isinstance(node, addnodes.pending_xref) and not node.children):
        return []
    return [text for child in node.children for text in _texts(child)]


def description_of(doctree: nodes.document, given: Any) -> str:
    """The page's own description, from `html_meta` or `given` in its front matter, else its first paragraph."""
    for meta in doctree.findall(nodes.meta):
        if meta.get("name") == "description":
            return shortened(tidy(str(meta.get("content", ""))))
    if isinstance(given, str) and given.strip():
        return shortened(tidy(_DOLLARS.sub(lambda formula: _formula(formula[1]), _TAG.sub("", given))))
    for paragraph in doctree.findall(nodes.paragraph):
        # Not what stands in a list, a note or an output, and not what was put in for something else.
        if isinstance(paragraph.parent, (nodes.document, nodes.section)) and "not-released" not in paragraph["classes"]:
            text = text_of(paragraph)
            if any(character.isalpha() for character in text):
                return shortened(text)
    return ""


def tidy(text: str) -> str:
    """`text` on one line, with nothing in it that XML can't carry."""
    return " ".join(_FORBIDDEN.sub("", text).split())


def shortened(text: str, longest: int = LONGEST) -> str:
    """`text`, cut after a word where it has more characters than that."""
    if len(text) <= longest:
        return text
    kept = text[: longest - 1]
    words = kept.rpartition(" ")[0] if text[longest - 1] != " " else kept
    # A text without spaces is cut where it has to be.
    return (words or kept).rstrip(" ,;:.–—-(") + "…"


def _formula(tex: str) -> str:
    return tex if _SIMPLE.fullmatch(tex) else "…"
