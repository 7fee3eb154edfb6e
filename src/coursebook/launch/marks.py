"""Marks for what Markdown's rules must not touch: mathematics, and the place of a part."""

from __future__ import annotations

import re

# Characters for private use, which no page has.
MATH, PART, END = "\ue000", "\ue001", "\ue002"
PLACE = re.compile(rf"^[ \t>]*{PART}([^{END}]*){END}[ \t]*$", re.MULTILINE)
