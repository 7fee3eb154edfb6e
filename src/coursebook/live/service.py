"""What live code in the pages runs on: the instructor's own Jupyter server, Binder, or one on the reader's machine.

Configured where Jupyter Book configures it, by `launch_buttons: {thebe: true}` and `repository:`, and by
`coursebook_live_server` below `sphinx: config:`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from ..course import Repository

if TYPE_CHECKING:
    from ..course import Course

MYBINDER = "https://mybinder.org"


@dataclass(frozen=True)
class Live:
    """`server` is a Jupyter server's address with a slash at its end, `token` the one that _config.yml gives away.

    `binder` is the address at which a BinderHub tells of a machine that it starts, `files` the repository and the
    branch whose files the cells find there. What isn't configured is empty.
    """

    server: str = ""
    token: str = ""
    binder: str = ""
    files: tuple[str, str] | None = None

    @classmethod
    def of(cls, course: Course) -> Live | None:
        """What the configuration says; None where live code is off."""
        config = course.config
        buttons = config.get("launch_buttons") or {}
        given = course.setting("coursebook_live_server")
        if isinstance(given, str):
            given = {"url": given}
        server = f"{given['url'].rstrip('/')}/" if given else ""
        token = str(given.get("token") or "") if given else ""
        if not buttons.get("thebe"):
            return cls(server, token) if server else None
        repository = Repository.read(str((config.get("repository") or {}).get("url") or ""))
        if repository is None:
            return cls(server, token)
        hub = str(buttons.get("binderhub_url") or MYBINDER).rstrip("/")
        environment = quote(course.binder_branch, safe="")
        files = (repository.address, course.launch_branch)
        return cls(server, token, f"{hub}/build/{repository.on_binder}/{environment}", files)


def origins(server: str, binder: str) -> list[str]:
    """What a page's live code talks to, as sources of a Content-Security-Policy.

    BinderHub's machines have addresses of their own. Those of mybinder.org are known; for another hub's, a course adds
    them with `coursebook_csp`.
    """
    found = []
    for address in filter(None, (server, binder)):
        parts = urlsplit(address)
        found += [f"{parts.scheme}://{parts.netloc}", f"{parts.scheme.replace('http', 'ws')}://{parts.netloc}"]
    if binder.startswith(f"{MYBINDER}/"):
        machines = ("*.mybinder.org", "notebooks.gesis.org")
        found += [f"{scheme}://{machine}" for machine in machines for scheme in ("https", "wss")]
    return found
