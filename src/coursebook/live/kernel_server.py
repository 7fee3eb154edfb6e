"""`coursebook serve-kernel`: a Jupyter server for this machine alone that serves the built site as well.

A reader of a local build has live code by it, without Binder. It listens on the loopback interface, wants a token that
is new each time, and answers pages of its own origin only.
"""

from __future__ import annotations

import hmac
import ipaddress
import json
import os
import secrets
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

from jupyter_server.auth.identity import IdentityProvider
from jupyter_server.serverapp import ServerApp
from tornado.web import HTTPError, RequestHandler, StaticFileHandler
from traitlets.config import Config

from ..course import HEADER, HEADERS, Course, policy_of, script_digest, sources_of
from ..ground import CONFIG, SITE, CourseError
from .service import Live

HOST, PORT = "127.0.0.1", 8888
BASE, OPEN = "/jupyter/", "/jupyter/open"
# Kernels of pages that went without a word, as when a browser crashes.
IDLE_SECONDS = 3600
# No other page shows ours in a frame, to have a reader press what isn't seen.
_UNFRAMED = {"frame-ancestors": ["'none'"]}


class _Identity(IdentityProvider):
    def should_check_origin(self, handler: Any) -> bool:
        """Always: Jupyter itself lets any page in that has the token."""
        return True


class _Server(ServerApp):
    def load_config_file(self, *arguments: Any, **options: Any) -> None:
        """None is read: what somebody has set up for another server could open this one to the network."""


class _Site(StaticFileHandler):
    """The built site, with its own page for what is missing."""

    def initialize(self, path: str) -> None:  # type: ignore[override]
        super().initialize(path, default_filename="index.html")

    def prepare(self) -> None:
        _require_local_name(self)

    def set_extra_headers(self, path: str) -> None:
        self.set_header("Cache-Control", "no-cache")
        self._guard(f"ws://{self.request.host}")

    def _guard(self, *kernels: str) -> None:
        """Send the policy that the build made: what stands in a page could use the token, which is kept here."""
        try:
            allowed = sources_of((Path(self.root) / HEADERS).read_text(encoding="utf-8"))
        except OSError:
            allowed = {}
        self.set_header(HEADER, policy_of([allowed | _UNFRAMED, {"connect-src": kernels}]))

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        self._guard()
        page = Path(self.root) / "404.html"
        if status_code == 404 and page.is_file():
            self.finish(page.read_bytes())
        else:
            self.finish(f"{status_code}: {self._reason}\n")


class _Open(RequestHandler):
    """Hands the token over to the pages of this origin, for whoever has it, and leads to the home page."""

    def initialize(self, token: str) -> None:
        self._token = token

    def set_default_headers(self) -> None:
        self.set_header(HEADER, "default-src 'none'; frame-ancestors 'none'")

    def prepare(self) -> None:
        _require_local_name(self)

    def get(self) -> None:
        if not hmac.compare_digest(self.get_query_argument("token", "").encode(), self._token.encode()):
            raise HTTPError(403)
        told = json.dumps(json.dumps({"url": BASE, "token": self._token}))
        script = f'localStorage.setItem("coursebook-live", {told}); location.replace("/")'
        self.set_header(HEADER, f"default-src 'none'; script-src {script_digest(script)}; frame-ancestors 'none'")
        self.set_header("Cache-Control", "no-store")
        self.set_header("Referrer-Policy", "no-referrer")
        self.finish(f'<!doctype html><meta charset="utf-8"><title>Live code</title><script>{script}</script>\n')


def _require_local_name(handler: RequestHandler) -> None:
    """Refuse a request for another name that has been made to lead here."""
    name = handler.request.host_name
    try:
        is_local = name == "localhost" or ipaddress.ip_address(name.strip("[]")).is_loopback
    except ValueError:
        is_local = False
    if not is_local:
        raise HTTPError(403)


def serve_kernels(root: Path, port: int | None, allow_origin: str, tell: Callable[[str], None]) -> None:
    """Serve the site and kernels of the course at `root` until SIGINT or SIGTERM; then its kernels end.

    `port` None is the first free one from `PORT`. `tell` gets the address to open once the server listens. Raises
    CourseError when there is nothing to serve, or the port is taken.
    """
    course = Course.load(root)
    site = course.root / SITE
    if Live.of(course) is None:
        raise CourseError(CONFIG, None, "live code is off; `launch_buttons: {thebe: true}` turns it on")
    if not (site / "index.html").is_file():
        raise CourseError(SITE, None, "there is no site yet; `coursebook build` makes it")
    if not (site / "_static/live/jupyter.js").is_file():
        raise CourseError(SITE, None, "the site has no live code; `coursebook build` says why, or adds it")
    token, port = secrets.token_urlsafe(24), _free_port(port)
    config = _config(course.root, token, port, allow_origin)
    server = _Server(config=config, no_browser_open_file=True)
    server.initialize(argv=[], find_extensions=False)
    server.web_app.add_handlers(  # type: ignore[no-untyped-call]
        r".*$",
        [
            (OPEN, _Open, {"token": token}),
            (rf"/(?!{BASE[1:]})(.*)", _Site, {"path": str(site)}),
        ],
    )
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: server.stop(from_signal=True))
    server.io_loop.add_callback(tell, f"http://{HOST}:{port}{OPEN}?token={token}")
    server.start()


def _config(root: Path, token: str, port: int, allow_origin: str) -> Config:
    config = Config()
    config.ServerApp.update(
        {
            "ip": HOST,
            "port": port,
            "port_retries": 0,
            "base_url": BASE,
            "root_dir": str(root),
            "open_browser": False,
            "allow_remote_access": False,
            "allow_root": True,  # as in a container; it is for this machine alone anyway
            "allow_origin": allow_origin,
            "identity_provider_class": _Identity,
            "log_level": "ERROR",
            "terminals_enabled": False,
        }
    )
    config.IdentityProvider.token = token
    if os.name == "posix":
        # Kernels talk over files of this user's, not over ports that everybody on the machine can reach.
        config.KernelManager.transport = "ipc"
    config.MappingKernelManager.cull_idle_timeout = IDLE_SECONDS
    config.MappingKernelManager.cull_interval = 300
    return config


def _free_port(port: int | None) -> int:
    for number in range(PORT, PORT + 50) if port is None else [port]:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, number))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    what = f"the port {port} is taken" if port is not None else f"no port from {PORT} to {PORT + 49} is free"
    raise CourseError("coursebook serve-kernel", None, f"{what}; `--port N` takes another, `--port 0` any that is free")
