"""Where a page's notebook opens: addresses for Colab, Binder, JupyterHub and others, for any repository.

The notebooks lie on a branch of their own (`coursebook publish-notebooks`), so that Colab, which opens no Markdown,
and a hub, which fetches a branch, find them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

NAMES = {
    "colab_url": "Colab",
    "binderhub_url": "Binder",
    "jupyterhub_url": "JupyterHub",
    "jupyterlite_url": "JupyterLite",
    "deepnote_url": "Deepnote",
}
# What a notebook's address begins with on a Jupyter server.
INTERFACES = {"classic": "tree", "jupyterlab": "lab/tree", "retrolab": "retro/tree"}


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


@dataclass(frozen=True)
class Launcher:
    """Makes the addresses. `services` are Jupyter Book's `launch_buttons`; the notebooks lie on the branch `notebooks`,
    and Binder builds its machine from the branch `environment`.
    """

    repository: Repository
    services: Mapping[str, Any]
    notebooks: str
    environment: str

    def addresses(self, docname: str) -> Iterator[tuple[str, str]]:
        """The services at which the notebook of that page can be opened, by name, each with the address."""
        for key, name in NAMES.items():
            base = str(self.services.get(key) or "").rstrip("/")
            address = getattr(self, f"_{key.removesuffix('_url')}")(base, f"{docname}.ipynb") if base else ""
            if address:
                yield name, address

    def _colab(self, base: str, path: str) -> str:
        if self.repository.host != "github.com":  # Colab opens notebooks from nowhere else
            return ""
        return f"{base}/github/{quote(self.repository.path)}/blob/{quote(self.notebooks, safe='')}/{quote(path)}"

    def _deepnote(self, base: str, path: str) -> str:
        if self.repository.host != "github.com":
            return ""
        file = f"{self.repository.address}/blob/{quote(self.notebooks, safe='')}/{quote(path)}"
        return f"{base}/launch?{urlencode({'url': file})}"

    def _jupyterlite(self, base: str, path: str) -> str:
        return f"{base}?{urlencode({'path': path}, quote_via=quote, safe='/')}"

    def _binderhub(self, base: str, path: str) -> str:
        place, branch = self.repository.on_binder, quote(self.environment, safe="")
        return f"{base}/v2/{place}/{branch}?{urlencode({'urlpath': self._pull(path)}, quote_via=quote, safe='')}"

    def _jupyterhub(self, base: str, path: str) -> str:
        return f"{base}/hub/user-redirect/{self._pull(path)}"

    def _pull(self, path: str) -> str:
        """What nbgitpuller, on a hub or on Binder, fetches and opens."""
        interface = INTERFACES[str(self.services.get("notebook_interface") or "classic")]
        wanted = {
            "repo": self.repository.address,
            "branch": self.notebooks,
            "urlpath": f"{interface}/{self.repository.name}/{path}",
        }
        return f"git-pull?{urlencode(wanted, quote_via=quote, safe='')}"
