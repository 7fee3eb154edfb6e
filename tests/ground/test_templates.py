"""Templates escape what they are given, and know what they aren't."""

from __future__ import annotations

from pathlib import Path

import pytest
from jinja2 import UndefinedError

from coursebook.ground.templates import html_template


def test_a_template_escapes_and_misses_what_it_is_not_given(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text('<p title="{{ name }}">\n{% if name %}\n{{ name }}</p>\n{% endif %}\n')
    template = html_template(tmp_path, "a.html")
    odd = "<b>&\"' {{ 1 }}"
    escaped = "&lt;b&gt;&amp;&#34;&#39; {{ 1 }}"
    assert template.render(name=odd) == f'<p title="{escaped}">\n{escaped}</p>\n'
    with pytest.raises(UndefinedError, match="'name' is undefined"):
        template.render(title=odd)
