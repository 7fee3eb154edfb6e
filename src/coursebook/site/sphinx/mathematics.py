"""Inline mathematics keeps the punctuation that follows it on its line.

A browser may break the line before and after MathJax's boxes, also before a comma.
"""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

_FOLLOWING = re.compile(r"^[-–’'\"”,.;:!?)\]]+(?:s\b)?")


class KeepPunctuation(SphinxPostTransform):
    """Puts an inline formula and the punctuation after it into one unbreakable span."""

    default_priority = 900
    formats = ("html",)

    def run(self, **kwargs: Any) -> None:
        for formula in list(self.document.findall(nodes.math)):
            parent = formula.parent
            index = parent.index(formula)
            after = parent[index + 1] if index + 1 < len(parent) else None
            if not isinstance(after, nodes.Text) or not (match := _FOLLOWING.match(after.astext())):
                continue
            span = nodes.inline("", "", formula.deepcopy(), nodes.Text(match[0]), classes=["nobreak"])
            # By their places: texts that say the same are equal, and `replace` takes the first of them.
            parent[index + 1] = nodes.Text(after.astext()[match.end() :])
            parent[index] = span


def setup(app: Sphinx) -> None:
    app.add_post_transform(KeepPunctuation)
