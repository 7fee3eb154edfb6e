"""Where a page's notebook opens: addresses for Colab, Binder, JupyterHub and others, for any repository.

The notebooks lie on a branch of their own (`coursebook publish-notebooks`), so that Colab, which opens no Markdown,
and a hub, which fetches a branch, find them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from ..course import Repository

SERVICES = {
    "colab_url": "Colab",
    "binderhub_url": "Binder",
    "jupyterhub_url": "JupyterHub",
    "jupyterlite_url": "JupyterLite",
    "deepnote_url": "Deepnote",
}
# What a notebook's address begins with on a Jupyter server.
INTERFACES = {"classic": "tree", "jupyterlab": "lab/tree", "retrolab": "retro/tree"}


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
        for key, name in SERVICES.items():
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
