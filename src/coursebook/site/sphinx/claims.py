"""Cells tagged `claim` assert what the text says about the outputs: they run with the page and are not shown."""

from __future__ import annotations

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

from ...course import CLAIM


class RemoveClaims(SphinxTransform):
    """Takes claim cells out of the page. What they glue stays: MyST-NB collects that before the page is parsed."""

    default_priority = 210

    def apply(self, **kwargs: object) -> None:
        for node in list(self.document.findall(nodes.container)):
            if node.get("nb_element") == "cell_code" and f"tag_{CLAIM}" in node["classes"]:
                node.parent.remove(node)


def setup(app: Sphinx) -> None:
    app.add_transform(RemoveClaims)
