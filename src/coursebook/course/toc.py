"""`_toc.yml`: the pages in their order, each with its line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import yaml
from sphinx.util.matching import patfilter
from sphinx_external_toc.api import SiteMap
from sphinx_external_toc.parsing import MalformedError, parse_toc_data

from ..ground import TOC, CourseError
from .config import alone, load_yaml


def load_toc(root: Path, names: list[str]) -> dict[str, int | None]:
    """Docnames in reading order, each with its line in `_toc.yml`; a glob stands for the `names` that it matches."""
    data, text = load_yaml(root, TOC, "it lists the pages in their order")
    lines = {value: n for n, value in sorted(_scalars_of(text, ("file", "root")))}
    try:
        site_map = parse_toc_data(data)
    except MalformedError as error:
        named = next((n for value, n in lines.items() if repr(value) in str(error)), None)
        raise alone(CourseError(TOC, named, " ".join(str(error).split()))) from None
    return {_strip_suffix(name): lines.get(name) for name in _walk(site_map, site_map.root.docname, names)}


def _walk(site_map: SiteMap, docname: str, names: list[str]) -> Iterator[str]:
    yield docname
    for child in site_map[docname].child_files():
        yield from _walk(site_map, child, names)
    for pattern in site_map[docname].child_globs():
        yield from patfilter(names, pattern)


def _scalars_of(text: str, keys: tuple[str, ...]) -> Iterator[tuple[int, str]]:
    stack = [yaml.compose(text, Loader=yaml.SafeLoader)]
    while stack:
        node = stack.pop()
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                if key.value in keys and isinstance(value, yaml.ScalarNode):
                    yield value.start_mark.line + 1, value.value
                stack.append(value)
        elif isinstance(node, yaml.SequenceNode):
            stack.extend(node.value)


def _strip_suffix(name: str) -> str:
    return re.sub(r"\.(md|ipynb)$", "", name)
