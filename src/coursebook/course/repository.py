"""The repository on the web that holds a course, however its address is written."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote, urlsplit


@dataclass(frozen=True)
class Repository:
    """A repository on the web: `address` has no slash or `.git` at its end, `path` is what follows the host."""

    address: str
    host: str
    path: str

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    @property
    def on_binder(self) -> str:
        """How a BinderHub names it."""
        if self.host == "github.com":
            return f"gh/{quote(self.path)}"
        if self.host == "gitlab.com":
            return f"gl/{quote(self.path, safe='')}"  # groups may be nested
        return f"git/{quote(self.address, safe='')}"

    @classmethod
    def read(cls, address: str) -> Repository | None:
        """The repository at `address`, written in any of the usual ways; None where it names none on the web."""
        if match := re.fullmatch(r"(?:ssh://)?git@([^:/]+)(?::\d+)?[:/](.+)", address.strip()):
            address = f"https://{match[1]}/{match[2]}"
        try:
            parts = urlsplit(address.strip())
            host = (parts.hostname or "") + (f":{parts.port}" if parts.port else "")
        except ValueError:  # a port that is no number
            return None
        path = re.sub(r"(\.git)?/*$", "", parts.path).strip("/")
        # A name before the host, and a password, are nobody else's business, so they are left out.
        is_one = parts.scheme in ("http", "https") and bool(host and path)
        if host in ("github.com", "gitlab.com"):
            is_one = is_one and "/" in path
        return cls(f"{parts.scheme}://{host}/{path}", host, path) if is_one else None
