"""Live code: what is written into the pages, and the whole of it in Chromium against a real Jupyter server."""

from __future__ import annotations

import functools
import http.server
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from chromium import AXE, browsing
from conftest import CONFIG, FILES, HEAD, Tiny, until
from coursebook.cli import main
from coursebook.course.course import Course
from coursebook.course.csp import policy_of, sources_of
from coursebook.live.bundler import BUNDLED, Unavailable, make_bundle
from coursebook.live.service import Live

POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "object-src 'none'; base-uri 'self'; connect-src 'self'"
)
GITHUB = {"url": "https://github.com/a/b", "branch": "main"}
PAGE = f"""{HEAD}# Day one

```{{code-cell}} python
:tags: [remove-cell]
hidden = 2  # </script><script>alert(1)</script>
```

```{{code-cell}} python
:tags: [hide-input]
folded = 1
```

```{{code-cell}} python
total = hidden + folded
print("total", total)
```

```{{code-cell}} python
:tags: [claim]
assert total == 3, "nobody sees this"
```

```{{code-cell}} python
:tags: [claim, remove-cell]
assert folded == 1, "nobody sees this"
```

```{{code-cell}} python
:tags: [remove-input]
print("only the output", total)
```

```{{code-cell}} python
total * 2
```
"""
SOLUTION = f"""---
coursebook: {{solutions: 2999-01-01}}
{HEAD.removeprefix("---")}# Lab

```{{code-cell}} python
:tags: [remove-cell]
before = 1
```

````{{exercise}}
:label: sum
Add.
````

```{{solution-start}} sum
```

```{{code-cell}} python
:tags: [remove-cell]
secret = 1
```

```{{code-cell}} python
answer = 42
```

```{{solution-end}}
```

```{{code-cell}} python
before + 1
```
"""


@pytest.fixture(scope="session", autouse=True)
def _library() -> None:
    """Made once for each user and lock; without a network there is nothing to test, except in CI, which has one."""
    for attempt in (1, 2):
        try:
            make_bundle()
            return
        except Unavailable as reason:
            if not os.environ.get("CI"):
                pytest.skip(f"the JavaScript can't be had: {reason}")
            if attempt == 2:
                raise


def told(html: str) -> dict[str, Any]:
    """What a page's script is told."""
    data = re.search(r'<script type="application/json" id="live-code">(.*?)</script>', html, re.DOTALL)
    assert data
    return json.loads(data[1])  # type: ignore[no-any-return]


def live_of(config: dict[str, Any]) -> Live | None:
    return Live.of(Course(Path(), config, ()))


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("https://github.com/a/b", "gh/a/b"),
        ("https://github.com/a/b/", "gh/a/b"),
        ("https://github.com/a/b.git", "gh/a/b"),
        ("https://github.com/a b/ü%", "gh/a%20b/%C3%BC%25"),
        ("https://gitlab.com/group/sub/b.git/", "gl/group%2Fsub%2Fb"),
        ("https://git.example.org/a/b", "git/https%3A%2F%2Fgit.example.org%2Fa%2Fb"),
        ("git@github.com:a/b.git", "gh/a/b"),
        ("https://github.com/a", ""),
        ("https://user:pass@github.com/a/b", "gh/a/b"),
        ("javascript:alert(1)//a/b", ""),
        ("", ""),
    ],
)
def test_binder(url: str, place: str) -> None:
    live = live_of({"launch_buttons": {"thebe": True}, "repository": {"url": url}})
    assert live is not None
    assert live.binder == (f"https://mybinder.org/build/{place}/binder" if place else "")


def test_what_is_configured() -> None:
    assert live_of({"launch_buttons": {"thebe": False}, "repository": GITHUB}) is None
    assert live_of({}) is None
    own = live_of({"sphinx": {"config": {"coursebook_live_server": "http://127.0.0.1:8888"}}})
    assert own == Live(server="http://127.0.0.1:8888/")
    given = {"url": "https://jupyter.example.org/x/", "token": "t"}
    both = live_of(
        {
            "launch_buttons": {"thebe": True, "binderhub_url": "https://hub.example.org/"},
            "repository": GITHUB,
            "sphinx": {"config": {"coursebook_live_server": given, "coursebook_binder_branch": "env"}},
        }
    )
    assert both == Live(
        "https://jupyter.example.org/x/",
        "t",
        "https://hub.example.org/build/gh/a/b/env",
        ("https://github.com/a/b", "launch"),
    )


def with_server(value: str) -> str:
    return CONFIG.replace("myst_heading_anchors: 3", f"myst_heading_anchors: 3, coursebook_live_server: {value}")


@pytest.mark.sphinx
@pytest.mark.parametrize(
    "value",
    ["8888", "ftp://x", "http:///", "http://u:p@x", "'http://x/?token=t'", "{token: t}", "{url: 'http://x', a: b}"],
)
def test_a_server_that_is_none(tiny: Tiny, value: str) -> None:
    built = tiny.write({"_config.yml": with_server(value)}).build()
    assert built.code == 1
    assert "_config.yml:9: `coursebook_live_server` takes the address of a Jupyter server" in built.err


def configured(server: str = "http://127.0.0.1:9", hub: str = "", repository: str = "https://github.com/a/b") -> str:
    return (
        f"{with_server(repr(server))}"
        f"launch_buttons: {{thebe: true, binderhub_url: '{hub}'}}\nrepository: {{url: '{repository}', branch: main}}\n"
    )


@pytest.mark.kernel
def test_what_is_in_the_pages(tiny: Tiny) -> None:
    config = configured().replace("[coursebook]", "[coursebook, sphinx_exercise]")
    toc = FILES["_toc.yml"] + "  - file: days/lab\n"
    index = "# Home\n\n```{thebe-button} Run it <b>\n```\n"
    lab = SOLUTION.replace("before = 1", "before = len(open('x.csv').read())")
    lab = lab.replace("secret = 1", "secret = open('secret.csv').read()")
    tiny.write(
        {"_config.yml": str(config), "_toc.yml": toc, "days/one.md": PAGE, "days/lab.md": lab, "index.md": index}
    ).write({"days/x.csv": "1", "days/secret.csv": "1"})
    built = tiny.build()
    assert built.code == 0, built.err
    page = told(tiny.html())
    hidden, folded, total, output, last = page["cells"]
    assert hidden == {"source": "hidden = 2  # </script><script>alert(1)</script>"}
    assert (folded, total, last) == ({}, {}, {})
    assert output == {"source": 'print("only the output", total)', "shown": True}
    assert "alert(1)</script>" not in tiny.html()
    assert "nobody sees this" not in tiny.html()
    assert (page["server"], page["folder"], page["kernel"]) == ("http://127.0.0.1:9/", "days", "python3")
    assert "token" not in page
    assert page["binder"] == "https://mybinder.org/build/gh/a/b/binder"

    assert told(tiny.html("days/lab"))["cells"] == [{"source": "before = len(open('x.csv').read())"}, {}]
    assert "secret" not in tiny.html("days/lab")
    # What is run must find its files, where the notebooks are.
    assert {name for name in tiny.site() if name.endswith(".csv")} == {"notebooks/days/x.csv"}
    # A page without code cells has no button of its own, and no script.
    assert "live-button" not in tiny.html("index")
    assert "Run it &lt;b&gt;</button>" in tiny.html("index")

    for name, content in tiny.site().items():
        if name.endswith(".html"):
            assert b"unpkg.com" not in content, name
            assert b"thebe-config" not in content, name
            assert b"initThebe" not in content, name
    assert {f"_static/live/{name}" for name in BUNDLED} <= tiny.site().keys()
    assert b"BSD-3-Clause" in tiny.site()["_static/live/licenses.txt"]
    assert not re.findall(rb"https?://[^\"'` ]*(?:cdn|unpkg|jsdelivr)", tiny.site()["_static/live/jupyter.js"])


@pytest.mark.kernel
@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the cache has one place")
def test_without_npm_there_is_no_button(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    aside = tmp_path_factory.mktemp("aside")
    tiny.write({"_config.yml": configured(), "days/one.md": PAGE})
    with monkeypatch.context() as cut:
        cut.setenv("XDG_CACHE_HOME", str(aside / "cache"))
        cut.setenv("npm_config_cache", str(aside / "npm"))
        cut.setenv("npm_config_registry", "http://127.0.0.1:9/")
        built = tiny.build()
        assert built.code == 0, built.err
        assert "live code is left out: its JavaScript can't be had (" in built.out
        assert "live-code" not in tiny.html()
        assert not (tiny.root / "_build/html/_static/live").exists()
        assert not list((aside / "cache/coursebook/npm").glob("*/"))
        # Whoever is offline doesn't wait for npm in each build.
        assert "nothing has changed" in tiny.build().out
        cut.setattr("coursebook.build.building.RETRY", 0.0)
        assert "live code is left out" in tiny.build("--force").out
        assert tiny.build().code == 0
    # What can't be had today may be had tomorrow.
    assert tiny.build().code == 0
    assert 'id="live-code"' in tiny.html()


# In Chromium --------------------------------------------------------------------------------------------------------


@dataclass
class Server:
    """`coursebook serve-kernel` on a course, in a process of its own."""

    process: subprocess.Popen[str]
    address: str
    token: str

    @classmethod
    def start(cls, root: Path, *arguments: str) -> Server:
        command = [sys.executable, "-m", "coursebook", "serve-kernel", "--root", str(root), *arguments]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        line = process.stdout.readline()
        match = re.fullmatch(r"open (http://127\.0\.0\.1:\d+)/jupyter/open\?token=(\S{20,}) .*\n", line)
        assert match, line
        return cls(process, match[1], match[2])

    def ask(self, path: str, method: str = "GET", body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
        request = urllib.request.Request(f"{self.address}{path}", method=method, data=body, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def kernels(self) -> list[dict[str, Any]]:
        status, body = self.ask("/jupyter/api/kernels", Authorization=f"token {self.token}")
        assert status == 200
        return json.loads(body)  # type: ignore[no-any-return]

    def children(self) -> list[str]:
        """The processes that it has started, where the system tells."""
        listed = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return listed.read_text().split() if listed.exists() else []

    def end(self) -> str:
        self.process.send_signal(signal.SIGINT)
        said, _ = self.process.communicate(timeout=20)
        return said


class Hub(http.server.SimpleHTTPRequestHandler):
    """Serves a site, and does what a BinderHub does: tells of a machine, here a server that is there already."""

    machine: Server | None = None
    elsewhere = ""
    asked: list[str] = []  # noqa: RUF012

    def log_message(self, *args: object) -> None:
        pass

    def end_headers(self) -> None:
        # What the guide recommends: nothing is evaluated, and nothing is asked but where kernels are.
        if not self.path.startswith("/build/"):
            self.send_header("Content-Security-Policy", f"{POLICY} {Hub.elsewhere}")
        super().end_headers()

    def do_GET(self) -> None:
        if not self.path.startswith("/build/"):
            return super().do_GET()
        Hub.asked.append(self.path)
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        phases: list[dict[str, str]] = [{"phase": "building", "message": "Step 1"}]
        if Hub.machine is None:
            phases.append({"phase": "failed", "message": "No space left.\n"})
        else:
            phases.append({"phase": "ready", "url": f"{Hub.machine.address}/jupyter/", "token": Hub.machine.token})
        for phase in phases:
            self.wfile.write(f"data: {json.dumps(phase)}\n\n".encode())
        return None


@dataclass
class Site:
    root: Path
    address: str
    server_port: int


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A course whose pages know of a server that isn't there yet and of a hub, served by the hub."""
    root = tmp_path_factory.mktemp("live")
    handler = functools.partial(Hub, directory=str(root / "_build/html"))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    address = f"http://127.0.0.1:{server.server_address[1]}"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    config = configured(f"http://127.0.0.1:{port}/jupyter", address, f"{address}/no/repository")
    # The theme wants to know whose address that is.
    config = config.replace("  config: {", "  config: {html_theme_options: {repository_provider: gitlab}, ")
    icon = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 1 1"/>'
    files = {**FILES, "_config.yml": f"{config}html: {{favicon: icon.svg}}\n", "days/one.md": PAGE, "icon.svg": icon}
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    # In a process of its own: Playwright may have a loop running in this one.
    subprocess.run([sys.executable, "-m", "coursebook", "build", "--root", str(root)], check=True)
    Hub.elsewhere = f"http://127.0.0.1:{port} ws://127.0.0.1:{port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield Site(root, address, port)
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def local(site: Site) -> Iterator[Server]:
    server = Server.start(site.root, "--port", "0")
    yield server
    if server.process.poll() is None:
        server.end()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with browsing() as chromium:
        yield chromium


@dataclass
class Tab:
    page: Any
    errors: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", lambda m: self.errors.append(m.text) if m.type == "error" else None)
        self.page.on("pageerror", lambda e: self.errors.append(str(e)))
        self.page.on("request", lambda r: self.asked.append(r.url))
        self.page.on("websocket", lambda w: self.asked.append(w.url))

    def says(self, words: str) -> None:
        """Wait until the status says so."""
        said = "(words) => document.querySelector('.live-status')?.textContent.includes(words)"
        try:
            self.page.wait_for_function(said, arg=words, timeout=15_000)
        except Exception:
            raise AssertionError(f"{words!r} was not said, but {self.page.inner_text('.live-bar')!r}") from None

    def tab_to(self, selector: str, presses: int = 60) -> None:
        """Go there as a reader without a mouse does."""
        for _ in range(presses):
            self.page.keyboard.press("Tab")
            if self.page.evaluate("(s) => document.activeElement.matches(s)", selector):
                return
        raise AssertionError(f"{selector} can't be reached with Tab")

    def type(self, code: str) -> None:
        self.page.keyboard.press("Control+a")
        self.page.keyboard.insert_text(code)
        self.page.keyboard.press("Shift+Enter")

    def outputs(self) -> list[str]:
        return [text.strip() for text in self.page.locator("div.cell_output:visible").all_inner_texts()]


@pytest.fixture
def tab(browser: Any) -> Iterator[Tab]:
    context = browser.new_context()
    yield Tab(context.new_page())
    context.close()


@pytest.mark.browser
def test_live_code_with_the_keyboard(tab: Tab, local: Server) -> None:
    page = tab.page
    page.goto(f"{local.address}/jupyter/open?token={local.token}")
    page.wait_for_url(f"{local.address}/")
    assert local.token not in page.content()
    page.goto(f"{local.address}/days/one.html")
    page.wait_for_load_state("networkidle")
    of_live_code = [url for url in tab.asked if "live" in url]
    assert len(of_live_code) == 1, of_live_code
    assert "/_static/live-button.js" in of_live_code[0]
    assert local.kernels() == []

    tab.tab_to(".btn-live-code")
    page.keyboard.press("Enter")
    tab.says("Ready. Change a cell and press Shift-Enter to run it.")
    assert page.locator(".live-status").get_attribute("aria-live") == "polite"
    (kernel,) = local.kernels()
    # The page's own outputs stay until a cell runs.
    assert tab.outputs() == ["total 3", "only the output 3", "6"]

    tab.tab_to("[aria-label^='Code of cell 3']")
    tab.type("import os\nprint('new', total * 3)\nos.path.basename(os.getcwd())")
    tab.says("Done: 5 cells have run.")  # and the hidden one first
    assert tab.outputs() == ["total 3", "only the output 3", "new 9\n\n'days'"]

    tab.type("total + undefined_name")
    tab.says("Cell 3 failed: NameError: name 'undefined_name' is not defined.")
    assert "NameError" in tab.outputs()[-1]
    page.evaluate(AXE.read_text(encoding="utf-8"))
    # The tiny course has no header to speak of; what live code adds is looked at.
    broken = page.evaluate(
        "axe.run('.live-bar, div.cell, .btn-live-code', {preload: false}).then(found => found.violations)"
    )
    assert [(rule["id"], [node["html"] for node in rule["nodes"]]) for rule in broken] == []
    tab.type("total + 39")
    tab.says("Cell 3 is done.")
    assert tab.outputs()[-1] == "42"

    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.textContent") == "Run"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Run all above"

    page.get_by_role("button", name="Restart").press("Enter")
    tab.says("The kernel is fresh: no cell has run yet.")
    assert [k["id"] for k in local.kernels()] == [kernel["id"]]
    page.get_by_label("run the cells above first").uncheck()
    page.get_by_role("group", name="Cell 3").get_by_role("button", name="Run", exact=True).press("Enter")
    tab.says("Cell 3 failed: NameError: name 'total' is not defined.")
    page.get_by_role("group", name="Cell 3").get_by_role("button", name="Run all above").press("Enter")
    tab.says("Done: 4 cells have run.")
    page.get_by_role("group", name="Cell 3").get_by_role("button", name="Original").press("Enter")
    page.get_by_role("button", name="Run all", exact=True).press("Enter")
    tab.says("Done: 5 cells have run.")
    assert tab.outputs() == ["total 3", "only the output 3", "6"]

    origin = local.address.removeprefix("http")
    assert [url for url in tab.asked if not url.startswith((f"http{origin}/", f"ws{origin}/", "data:"))] == []
    assert tab.errors == []
    page.close(run_before_unload=True)
    assert until(lambda: local.kernels() == [], 10), "the kernel is still there"


@pytest.mark.browser
def test_a_cell_is_stopped_and_a_kernel_dies(tab: Tab, local: Server) -> None:
    page = tab.page
    page.goto(f"{local.address}/jupyter/open?token={local.token}")
    page.wait_for_url(f"{local.address}/")
    page.goto(f"{local.address}/days/one.html")
    page.click(".btn-live-code")
    tab.says("Ready.")
    page.locator(".cm-content").last.click()
    tab.type("import time\nprint('begun')\ntime.sleep(100)")
    tab.says("Running cell 3…")
    page.wait_for_function("document.body.textContent.includes('begun')")
    page.get_by_role("button", name="Interrupt").click()
    tab.says("Cell 3 failed: it was interrupted.")
    page.locator(".cm-content").last.click()
    tab.type("name = input('Who? ')\nprint('hello', name)")
    page.locator(".jp-Stdin-input").fill("Ada")
    page.locator(".jp-Stdin-input").press("Enter")
    tab.says("Cell 3 is done.")
    assert "hello Ada" in tab.outputs()[-1]
    page.locator(".cm-content").last.click()
    tab.type("import os\nos._exit(1)")
    tab.says("The kernel died and was started anew: what the cells had made is lost.")
    page.locator(".cm-content").last.click()
    tab.type("total")
    tab.says("Done: 5 cells have run.")
    page.get_by_role("button", name="End").click()
    assert page.locator(".cm-content, .live-bar, .live-tools").count() == 0
    assert tab.outputs() == ["total 3", "only the output 3", "6"]
    assert until(lambda: local.kernels() == [], 10)
    page.click(".btn-live-code")  # and once more
    tab.says("Ready.")
    page.goto(f"{local.address}/")
    assert until(lambda: local.kernels() == [], 10)


@pytest.mark.browser
def test_no_kernel_is_to_be_had_and_then_there_is(tab: Tab, site: Site) -> None:
    page = tab.page
    page.goto(f"{site.address}/days/one.html")
    page.click(".btn-live-code")
    tab.says(f"Failed: Nothing answers at http://127.0.0.1:{site.server_port}.")
    offers = page.locator(".live-offers")
    assert "Or take the page elsewhere:" in offers.inner_text()
    assert (
        offers.get_by_role("link", name="Download .md").get_attribute("href") == f"{site.address}/_sources/days/one.md"
    )
    assert page.locator(".cm-content").count() == 3  # what was typed meanwhile isn't lost

    offers.get_by_role("button", name="Use Binder").click()
    tab.says("Failed: Binder could not start a machine: No space left.")

    server = Server.start(site.root, "--port", str(site.server_port), "--allow-origin", site.address)
    try:
        Hub.machine = server
        offers.get_by_role("button", name="Try again").click()
        tab.says("Ready. Change a cell and press Shift-Enter to run it. The course's files could not be fetched")
        assert set(Hub.asked) == {f"/build/git/{quote(site.address + '/no/repository', safe='')}/binder"}
        page.get_by_role("button", name="Run all", exact=True).click()
        tab.says("Done: 5 cells have run.")
        page.get_by_role("button", name="Restart").click()
        tab.says("no cell has run yet. The course's files could not be fetched")  # they are asked for again

        # The course's own server wants its token, which stands nowhere in the site.
        page.reload()
        assert until(lambda: server.kernels() == [], 10)
        page.click(".btn-live-code")
        tab.says("wants its token.")
        page.get_by_label("Token of the Jupyter server").fill("wrong")
        page.keyboard.press("Enter")
        tab.says("refuses: is this its token, and may this site ask it?")
        page.get_by_label("Token of the Jupyter server").fill(server.token)
        page.keyboard.press("Enter")
        tab.says("Ready.")
        page.get_by_role("button", name="Run all", exact=True).click()
        tab.says("Done: 5 cells have run.")
        assert len(server.kernels()) == 1
        page.close(run_before_unload=True)
        assert until(lambda: server.kernels() == [], 10), "the kernel is still there"
        # Ctrl-C ends those that somebody still uses.
        started = server.ask("/jupyter/api/kernels", "POST", b"{}", Authorization=f"token {server.token}")
        assert started[0] == 201
        kernels = server.children()
        assert len(kernels) == 1 or sys.platform != "linux"
    finally:
        Hub.machine = None
        said = server.end()
    assert said == "ended, and its kernels with it\n"
    assert server.process.returncode == 0
    assert not any(Path(f"/proc/{kernel}").exists() for kernel in kernels)


@pytest.mark.browser
def test_the_script_is_missing(tab: Tab, site: Site) -> None:
    page = tab.page
    page.route("**/live/jupyter.js*", lambda route: route.abort())
    page.goto(f"{site.address}/days/one.html")
    page.click(".btn-live-code")
    page.wait_for_selector(".live-lost")
    assert "Live code can't be loaded" in page.inner_text(".live-lost")
    page.unroute("**/live/jupyter.js*")
    page.click(".btn-live-code")
    page.wait_for_selector(".live-bar")
    assert page.locator(".live-lost").count() == 0


@pytest.mark.kernel
def test_nobody_else_gets_in(site: Site, local: Server) -> None:
    key = f"token {local.token}"
    kernels = "/jupyter/api/kernels"
    assert local.ask("/days/one.html")[0] == 200
    assert local.ask("/days/none.html")[0] == 404
    assert local.ask("/../../_config.yml")[0] == 403
    assert local.ask(kernels)[0] == 403
    assert local.ask(kernels, Authorization="token wrong")[0] == 403
    assert local.ask("/jupyter/open?token=wrong")[0] == 403
    assert local.ask(kernels, "POST", b"{}")[0] == 403
    # With the token, but from a page of another origin, or by another name.
    for other in ("http://evil.example", "http://127.0.0.1:1", "null"):
        assert local.ask(kernels, "POST", b"{}", Authorization=key, Origin=other)[0] == 404
    assert local.ask("/", Host="evil.example")[0] == 403
    assert local.ask(kernels, Host="evil.example", Authorization=key)[0] == 403
    assert local.kernels() == []


@pytest.mark.kernel
def test_pages_are_served_with_the_policy_of_the_build(site: Site, local: Server) -> None:
    def told(path: str) -> dict[str, str]:
        try:
            headers = urllib.request.urlopen(f"{local.address}{path}", timeout=10).headers
        except urllib.error.HTTPError as error:
            headers = error.headers
        return dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))

    written = (site.root / "_build/html/_headers").read_text().splitlines()[1].partition(": ")[2]
    made = dict(part.split(" ", 1) for part in written.split("; "))
    found = told("/days/one.html")
    assert "'sha256-" in made["script-src"]
    assert found.pop("frame-ancestors") == "'none'"
    made["connect-src"] += f" {local.address.replace('http', 'ws')}"
    assert {name: sorted(value.split()) for name, value in found.items()} == {
        name: sorted(value.split()) for name, value in made.items()
    }
    for path in ("/", "/_static/live.js", "/none.html", f"/jupyter/open?token={local.token}", "/jupyter/open"):
        assert told(path)["frame-ancestors"] == "'none'", path
    opening = told(f"/jupyter/open?token={local.token}")
    assert opening["default-src"] == "'none'"
    assert opening["script-src"].startswith("'sha256-")
    # A token is for kernels, not for a shell.
    assert local.ask("/jupyter/api/kernels", Authorization=f"token {local.token}")[0] == 200
    assert local.ask("/jupyter/api/terminals", "POST", b"{}", Authorization=f"token {local.token}")[0] == 404


@pytest.mark.parametrize(
    ("headers", "own"),
    [
        ("", {}),
        ("/*\n  X-Robots-Tag: noindex\n", {}),
        (
            "/*\n  Content-Security-Policy: object-src 'none'; script-src 'self' 'sha256-x'; frame-ancestors https://a.example\n",
            {"script-src": ["'sha256-x'"], "frame-ancestors": ["https://a.example"]},
        ),
    ],
    ids=["no file", "no policy", "a policy"],
)
def test_the_policy_in_a_file(headers: str, own: dict[str, list[str]]) -> None:
    sources = sources_of(headers)
    assert "'none'" not in str(sources)
    assert policy_of([sources]) == policy_of([own])


@pytest.mark.parametrize(
    ("prepare", "said"),
    [
        (lambda tiny: None, "_config.yml: live code is off; `launch_buttons: {thebe: true}` turns it on"),
        (lambda tiny: tiny.write({"_config.yml": configured()}), "there is no site yet; `coursebook build` makes it"),
    ],
    ids=["off", "no site"],
)
def test_nothing_to_serve(tiny: Tiny, prepare: Callable[[Tiny], object], said: str) -> None:
    pytest.importorskip("jupyter_server")
    prepare(tiny)
    assert main(["serve-kernel", "--root", str(tiny.root)]) == 1
    assert said in tiny.capture()[1]


@pytest.mark.processes
def test_the_port_is_taken(site: Site, capfd: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert main(["serve-kernel", "--root", str(site.root), "--port", str(port)]) == 1
    assert f"the port {port} is taken; `--port N` takes another" in capfd.readouterr().err
