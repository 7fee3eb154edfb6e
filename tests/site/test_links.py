"""`coursebook links` against a real server: what works, what is gone, what has moved, who doesn't answer."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

from conftest import Tiny
from coursebook.cli import main

pytestmark = pytest.mark.kernel


class _Site(BaseHTTPRequestHandler):
    answers: ClassVar = {"/here": 200, "/gone": 404, "/gone/too": 404, "/old": 301, "/language": 302}

    def do_GET(self) -> None:
        self.send_response(self.answers[self.path])
        if self.answers[self.path] in (301, 302):
            self.send_header("Location", "/here")
        self.end_headers()
        if self.answers[self.path] == 200:
            self.wfile.write(b'<html><body><p id="part">Here.</p></body></html>')

    do_HEAD = do_GET

    def log_message(self, *arguments: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    httpd = ThreadingHTTPServer(("127.0.0.1", 0), _Site)
    thread = threading.Thread(target=httpd.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{httpd.server_port}"
    httpd.shutdown()
    httpd.server_close()
    thread.join()


def _links(tiny: Tiny) -> tuple[int, str, str]:
    tiny.capture()
    code = main(["links", "--root", str(tiny.root)])
    return code, *tiny.capture()


def test_each_kind_of_link(tiny: Tiny, server: str) -> None:
    page = f"""# Day one

[works]({server}/here), [works, too]({server}/here#part), [to a language]({server}/language),
[moved]({server}/old).

A [link that is gone]({server}/gone), and [a place that isn't there]({server}/here#nowhere).

[Nobody](http://127.0.0.1:9/) answers. [Home](../index.md), <mailto:someone@example.org>
"""
    # An unreleased page is looked at before its day, too.
    ahead = f"---\ncoursebook: {{published: false}}\n---\n# Ahead\n\n[x]({server}/gone/too)\n"
    tiny.write(
        {
            "days/one.md": page,
            "days/two.md": ahead,
            "_toc.yml": "format: jb-book\nroot: index\nchapters:\n  - file: days/one\n  - file: days/two\n",
        }
    )
    code, out, err = _links(tiny)
    assert (code, err) == (1, "")
    lines, refused = out.splitlines(), "Failed to establish a new connection: [Errno 111] Connection refused"
    assert lines[:5] == [
        f"moved days/one.md:3: {server}/old: now {server}/here",
        f"broken days/one.md:6: {server}/gone: 404 Client Error: Not Found for url: {server}/gone",
        f"broken days/one.md:6: {server}/here#nowhere: Anchor 'nowhere' not found",
        f"unanswered days/one.md:8: http://127.0.0.1:9/: {refused}",
        f"broken days/two.md:6: {server}/gone/too: 404 Client Error: Not Found for url: {server}/gone/too",
    ], out
    assert lines[5:] == ["8 links to other sites: 3 broken, 1 moved, 1 unanswered, 3 working"]
    # The site isn't touched by it.
    assert not (tiny.root / "_build/html").exists()


def test_a_course_without_links_and_one_that_ignores_some(tiny: Tiny, server: str) -> None:
    assert _links(tiny) == (0, "0 links to other sites\n", "")
    config = (tiny.root / "_config.yml").read_text().replace("config: {", "config: {linkcheck_ignore: ['.*gone'], ")
    tiny.write({"_config.yml": config, "index.md": f"# Home\n\n[x]({server}/gone) and [y]({server}/here)\n"})
    assert _links(tiny) == (0, "2 links to other sites: 1 ignored, 1 working\n", "")


def test_a_course_that_cannot_be_read(tiny: Tiny) -> None:
    config = (tiny.root / "_config.yml").read_text().replace("[coursebook]", "[coursebook, no_such_extension]")
    code, out, err = _links(tiny.write({"_config.yml": config}))
    assert (code, out) == (1, "")
    assert "no_such_extension" in err
