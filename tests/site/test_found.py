"""What search engines, feed readers and those who show a link find, and what a browser is to refuse."""

from __future__ import annotations

import base64
import datetime
import functools
import hashlib
import http.server
import io
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from xml.etree import ElementTree as ET

import pytest
from docutils import nodes
from PIL import Image

from chromium import browsing
from conftest import CONFIG, ROOT, Tiny
from coursebook.course.addresses import BadAddress, site_address
from coursebook.course.course import Course
from coursebook.course.csp import policy_of
from coursebook.site.history import history_of
from coursebook.site.needs import needs_of
from coursebook.site.picture import ACCENT, GROUND, HEIGHT, MUTED, TITLE, WIDTH, Picture
from coursebook.site.sphinx.description import LONGEST, description_of, shortened, text_of

SITE = "https://example.org/kurs/"
ATOM, MAP = "{http://www.w3.org/2005/Atom}", "{http://www.sitemaps.org/schemas/sitemap/0.9}"
# Closes whatever it may stand in: an attribute, a tag, a CDATA section, a comment.
HOSTILE = """"'><script>alert(1)</script> ]]> --> & &quot; &lt;"""
BASE = CONFIG.replace("config: {", "config: {smartquotes: false, ") + f"html: {{baseurl: {SITE.rstrip('/')}}}\n"
TOC = "format: jb-book\nroot: index\nchapters:\n" + "".join(
    f'  - file: "{name}"\n' for name in ("days/one", "days/late", "days/100% ü b", "days/hidden")
)
# In Markdown, where a backslash keeps it from being HTML; with a character that XML can't have.
HEADING = re.sub(r"([<>&*_\[\]])", r"\\\1", HOSTILE) + "\x01 $x^2$"
FILES = {
    "_config.yml": BASE,
    "_toc.yml": TOC,
    ".gitignore": "_build\n",
    "index.md": f"---\ndescription: |\n  {HOSTILE} <b>bold</b>\n  costs $5 and $6, not $x_1$\n---\n# Home\n\nWelcome\n",
    "days/one.md": "# Day one\n\n## A section\n\nText with *two* formulas, $k$, $\\sqrt{x}$: [](late.md).\n\nMore.\n",
    "days/late.md": "---\ncoursebook: {release: 2020-02-01}\n---\n# Late\n\nSecret wombat.\n",
    "days/100% ü b.md": f"# {HEADING}\n\n```{{note}}\nNot this.\n```\n\n{'word ' * 200}\n",
    "days/hidden.md": "---\n"
    "myst: {html_meta: {robots: noindex, description: Its own., 'property=og:image': own.png}}\n"
    "---\n# Hidden\n\nText.\n",
    "aside.md": "---\norphan: true\n---\n# Aside\n\nText.\n",
}


class Head(HTMLParser):
    """What the head of a page says: by name or property the contents of its tags, and its links by relation."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.meta: dict[str, list[str]] = {}
        self.links: dict[str, str] = {}
        self.feed(html.partition("</head>")[0])

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {key: value or "" for key, value in attrs}
        if tag == "meta":
            self.meta.setdefault(given.get("name") or given.get("property") or "", []).append(given.get("content", ""))
            assert given.keys() <= {"name", "property", "content", "charset", "viewport"}, given
        elif tag == "link":
            self.links[given["rel"]] = given["href"]


def sha(script: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def git(root: Path, *arguments: str, day: str = "2020-01-01") -> None:
    when = f"{day}T12:00:00+00:00"
    subprocess.run(
        ["git", "-c", "user.name=A", "-c", "user.email=a@example.org", *arguments],
        cwd=root,
        check=True,
        capture_output=True,
        env={**os.environ, "GIT_COMMITTER_DATE": when, "GIT_AUTHOR_DATE": when, "GIT_CONFIG_GLOBAL": os.devnull},
    )


def commit(root: Path, day: str) -> None:
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", day, day=day)


def days(root: Path) -> dict[str, tuple[str | None, str | None]]:
    found = history_of(root, root / "_build/history.json")
    return {
        path: (span.first and span.first.date().isoformat(), span.last and span.last.date().isoformat())
        for path, span in found.items()
        if path.endswith(".md")
    }


# ---------------------------------------------------------------------------------------------------------------- dates


@pytest.mark.processes
def test_dates_are_those_that_git_knows(tmp_path: Path) -> None:
    origin = tmp_path / "origin"
    root = origin / "the course"
    root.mkdir(parents=True)
    assert days(root) == {}  # no repository
    git(origin, "init", "--quiet", "--initial-branch", "main")
    assert days(root) == {}  # no commit
    (origin / ".gitignore").write_text("_build\n")
    for name in ("a.md", "ä b%.md", "old.md", "gone.md", "again.md"):
        (root / name).write_text(f"# {name}\n" * 9)
    commit(origin, "2020-01-01")
    (root / "a.md").write_text("changed")
    (root / "again.md").unlink()
    git(origin, "mv", "the course/old.md", "the course/new.md")
    commit(origin, "2020-01-02")
    git(origin, "switch", "--quiet", "--create", "side")
    (root / "merged.md").write_text("written early, merged late")
    commit(origin, "2020-01-03")
    git(origin, "switch", "--quiet", "main")
    (root / "again.md").write_text("another file of that name")
    git(origin, "rm", "--quiet", "--cached", "the course/gone.md")  # the file stays, unknown to git
    git(origin, "add", "the course/again.md")
    git(origin, "commit", "--quiet", "--message", "x", day="2020-01-04")
    git(origin, "merge", "--quiet", "--no-ff", "--no-edit", "side", day="2020-01-05")
    expected = {
        "a.md": ("2020-01-01", "2020-01-02"),
        "ä b%.md": ("2020-01-01", "2020-01-01"),
        "new.md": ("2020-01-01", "2020-01-02"),
        "again.md": ("2020-01-04", "2020-01-04"),
        "merged.md": ("2020-01-05", "2020-01-05"),
    }
    assert {name: found for name, found in days(root).items() if name in expected} == expected
    assert not {"gone.md", "old.md"} & days(root).keys()
    (root / "a.md").write_text("changed, and not committed")
    assert days(root)["a.md"] == ("2020-01-01", None)

    # A shallow clone knows what is newer than its oldest commit, and nothing of the rest.
    for depth, known in ((1, {}), (2, {"merged.md": ("2020-01-05", "2020-01-05")})):
        clone = tmp_path / f"clone{depth}"
        git(tmp_path, "clone", "--quiet", f"--depth={depth}", origin.as_uri(), str(clone))
        assert days(clone / "the course") == known, depth
    git(clone, "fetch", "--quiet", "--unshallow")
    assert days(clone / "the course") == {**expected}


# ------------------------------------------------------------------------------------------------------ words, pictures


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (" Two\n lines. ", "Two lines."),
        ("From $5 to $6, or $10", "From $5 to $6, or $10"),
        (r"Let $k$ be $\frac{1}{2}$ or $$x^2$$", "Let k be … or $$x^2$$"),
        ("a < b > c, <em>d</em><!-- e -->", "a < b > c, d"),
        ("snake_case * 2 * x", "snake_case * 2 * x"),
        (42, "First."),
        ("  ", "First."),
    ],
)
def test_a_description_is_plain(given: Any, expected: str) -> None:
    document = nodes.document(None, None)  # type: ignore[arg-type]
    document += nodes.note("", nodes.paragraph("", "Not this."))
    document += nodes.paragraph("", "", nodes.math("", "x^2"))
    document += nodes.section("", nodes.title("", "Title"), nodes.paragraph("", "First."))
    assert description_of(document, given) == expected


def test_a_text_is_cut_after_a_word() -> None:
    assert shortened("one two three", 13) == "one two three"
    assert shortened("one two three", 12) == "one two…"
    assert shortened("one, two three", 9) == "one, two…"
    assert shortened("one, two three", 8) == "one…"
    assert shortened("x" * 50, 10) == "x" * 9 + "…"
    assert all(len(shortened("wombat " * 9, n)) <= n for n in range(2, 60))


def test_a_title_with_mathematics_and_markup() -> None:
    title = nodes.title("", "", nodes.Text("A\x01 "), nodes.math("", "k"), nodes.Text("-means and "))
    title += [nodes.literal("", "x < y"), nodes.raw("", "<script>"), nodes.math("", r"\vec v")]
    assert text_of(title) == "A k-means and x < y…"


def test_pictures_are_drawn_from_text_alone() -> None:
    picture = Picture(f"Ümläut – Ω {HOSTILE} 🚀", "Kurs", SITE)
    drawn = picture.draw()
    assert drawn == picture.draw()
    with Image.open(io.BytesIO(drawn)) as image:
        assert (image.format, image.size) == ("PNG", (WIDTH, HEIGHT))
        assert not image.info, "no text, no date"
        colors = {color for _, color in image.convert("RGB").getcolors()}
    assert {tuple(bytes.fromhex(color[1:])) for color in (GROUND, TITLE, ACCENT, MUTED)} <= colors
    assert len(drawn) < 40_000
    others = [Picture("Other", "Kurs", SITE), Picture(picture.title, "Other", SITE), Picture(picture.title, "Kurs", "")]
    assert len({each.name for each in (picture, *others)}) == 4
    assert len({each.draw() for each in (picture, *others)}) == 4
    assert re.fullmatch(r"[0-9a-f]{20}\.png", picture.name)
    # No boxes in place of letters, and no words that run the wrong way.
    for title in ("日本語", "שלום", "مرحبا", "नमस्ते", "🚀"):
        assert Picture(title, "Kurs", SITE).draw() == b"", title
    for title in ("W" * 5000, "word " * 1000, "a\x00b\u202ec"):
        assert Picture(title, "Kurs", SITE).draw(), title[:9]
    styles = (ROOT / "src/coursebook/site/static/coursebook.css").read_text()
    assert all(color in styles for color in (GROUND, TITLE, ACCENT, MUTED))


# ------------------------------------------------------------------------------------------------- addresses and policy


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, ""),
        ("", ""),
        ("https://example.org", "https://example.org/"),
        ("https://example.org/a b", None),
        ("http://Bücher.example:8080/Kurs ä/".replace(" ", ""), "http://xn--bcher-kva.example:8080/Kurs%C3%A4/"),
        ("https://example.org/a%20b//", "https://example.org/a%20b/"),
        ("example.org/course", None),
        ("javascript:alert(1)", None),
        ("https://", None),
        ("https://example.org/?x=1", None),
        ('https://ex"><script>/', None),
        (["https://example.org"], None),
    ],
)
def test_an_address_has_one_form(given: object, expected: str | None) -> None:
    if expected is None:
        with pytest.raises(BadAddress):
            site_address(given)
    else:
        assert site_address(given) == expected


def test_a_policy_names_what_stands_in_the_pages() -> None:
    html = (
        "<script>one()</script><script type='application/json'>{}</script><script src='a.js'></script>"
        '<script type="module">one()</script><button onclick="go(&quot;a&quot;)" onfocus=\'b()\'>'
        '<iframe title="x" src="https://video.example:444/watch?v=1;script-src *"></iframe>'
        '<img src="data:x"><link rel="stylesheet" href="https://fonts.example/a.css"><a href="https://a.example/">x</a>'
        '<link rel="canonical" href="https://b.example/">'
    )
    found = needs_of(html)
    assert found == {
        "frame-src": ["https://video.example:444"],
        "script-src": [sha("one()")],
        "script-src-attr": sorted([sha('go("a")'), sha("b()"), "'unsafe-hashes'"]),
        "style-src": ["https://fonts.example"],
    }
    told = dict(part.split(" ", 1) for part in policy_of([found, {"connect-src": ["wss://hub.example"]}]).split("; "))
    assert told["script-src"] == f"'self' {sha('one()')}"
    assert told["connect-src"] == "'self' wss://hub.example"
    assert told["object-src"] == "'none'"
    assert "*" not in " ".join(told.values())
    assert policy_of([found, {"img-src": ["b", "a"]}]) == policy_of([{"img-src": ["a"]}, {"img-src": ["b"]}, found])


SCRIPT = "script-src"
NEEDS = {
    # Scripts, by what the browser takes for one, and for its text.
    "angle bracket in an attribute": ("<script data-a='x>y'>one()</script>", {SCRIPT: [sha("one()")]}),
    "upper case": ("<SCRIPT TYPE=MODULE>one()</SCRIPT >", {SCRIPT: [sha("one()")]}),
    "old type": ('<script type="application/x-javascript">1</script>', {SCRIPT: [sha("1")]}),
    "no type": ('<script type="">1</script>', {SCRIPT: [sha("1")]}),
    "import map": ('<script type="importmap">{}</script>', {SCRIPT: [sha("{}")]}),
    "data": ("<script type=text/x-thebe-config>{}</script><script type='text/plain'>x</script>", {}),
    "entities are none": ("<script>a &amp;&lt; b</script>", {SCRIPT: [sha("a &amp;&lt; b")]}),
    "tags in a script": ("<script>'<img src=https://a.example/>'</script>", {SCRIPT: [sha("'<img src=https://a.example/>'")]}),
    "line ends": ("<script>\r\none()\r</script>", {SCRIPT: [sha("\none()\n")]}),
    "from a file": ("<script src>one()</script><script src=a.js>two()</script>", {}),
    "nothing in it": ("<script></script><script/>", {}),
    "never ends": ("<p>a</p><script>one()", {}),
    "in a comment": ("<!-- <script>one()</script> --><p><!--[if IE]><script>1</script><![endif]--></p>", {}),
    "in text": ("<title><script>1</script></title><textarea><script>1</script></textarea>&lt;script>1&lt;/script>", {}),
    "without scripts": (
        "<noscript><script>1</script><img src='//a.example/x' onload=1></noscript><script>2</script>",
        {"img-src": ["a.example"], SCRIPT: [sha("2")]},
    ),
    "in a template": ("<template><script>1</script></template>", {SCRIPT: [sha("1")]}),
    "a declaration that is none": ("<![if x]><script>1</script><![x", {SCRIPT: [sha("1")]}),
    "a section that is none": ("<script>//<![CDATA[\n1\n//]]></script>", {SCRIPT: [sha("//<![CDATA[\n1\n//]]>")]}),
    "handler": (
        "<b ONCLICK=go(1) onfocus='a>b' onclick=no() title='x onblur=1'>",
        {"script-src-attr": sorted(["'unsafe-hashes'", sha("go(1)"), sha("a>b")])},
    ),
    # What is loaded, by how it is written.
    "without quotes": ("<img alt=x src=https://a.example/b.png>", {"img-src": ["https://a.example"]}),
    "no scheme": ("<script src=//a.example:8000/b.js></script>", {SCRIPT: ["a.example:8000"]}),
    "blanks, user, case": ("<img src=' HTTPS://me:key@A.example/x '>", {"img-src": ["https://a.example"]}),
    "umlauts": ("<img src='https://bücher.example/'>", {"img-src": ["https://xn--bcher-kva.example"]}),
    "number of a machine": ("<img src='http://[::1]:80/'>", {"img-src": ["http://[::1]:80"]}),
    "no address": ("<img src='https://[x/'><img src='https://a:b/'><img src='https:///x'><img src='https://a;b/'>", {}),
    "of the site": ("<img src=a.png srcset='b.png 2x'><img src='data:image/png;base64,A'><img src='?//a'>", {}),
    "srcset": (
        "<img srcset='https://a.example/1,2.png 1x,//b.example/x 2x, c.png, https://d.example/'>",
        {"img-src": ["b.example", "https://a.example", "https://d.example"]},
    ),
    "picture": ("<picture><source srcset='//a.example/x'></picture>", {"img-src": ["a.example"]}),
    "video": (
        "<video src=//a.example poster=//b.example><source src=//c.example><track src=//d.example></video>",
        {"img-src": ["b.example"], "media-src": ["a.example", "c.example", "d.example"]},
    ),
    "drawing": (
        "<svg><image xlink:href='//a.example/x'/><script href=//b.example></script></svg>",
        {"img-src": ["a.example"], SCRIPT: ["b.example"]},
    ),
    "frame": (
        "<iframe srcdoc='<img src=//a.example><script>1</script>'></iframe><iframe src=//b.example>",
        {"frame-src": ["b.example"], "img-src": ["a.example"], SCRIPT: [sha("1")]},
    ),
    "objects of the site": (
        "<embed src=a.pdf><link rel=manifest href=m.json>",
        {"manifest-src": ["'self'"], "object-src": ["'self'"]},
    ),
    "object of the site": ("<object data='../a b.pdf'></object><object data=''>", {"object-src": ["'self'"]}),
    "object elsewhere": (
        "<base href=https://a.example/><object data=b.pdf>",
        {name: ["https://a.example"] for name in ("base-uri", "frame-src", "object-src")},
    ),
    "no objects": ("<base href='https://[x/'><object data='javascript:1'><object data=x><embed src='about:blank'>", {}),
    "data in a frame": (
        "<iframe src='data:text/html,%3Cscript%3E1%3C/script%3E%3Cimg src=//a.example>#<script>2</script>'></iframe>",
        {"frame-src": ["data:"], "img-src": ["a.example"], SCRIPT: [sha("1")]},
    ),
    "more data in a frame": (
        "<iframe src='DATA:text/html;charset=utf-8;base64,PHNjcmlwdD7DvDwvc2NyaXB0Pg=='>",
        {"frame-src": ["data:"], SCRIPT: [sha("ü")]},
    ),
    "data that is no document": ("<iframe src='data:,<script>1</script>'></iframe>", {"frame-src": ["data:"]}),
    "data in an object": (
        "<object data='data:application/pdf;base64,AAAA'>",
        {"frame-src": ["data:"], "object-src": ["data:"]},
    ),
    "data that would be a script": ("<script src='data:text/javascript,1'></script><form action='data:,'>", {}),
    "objects": (
        "<embed src=//a.example><object data=//b.example>",
        {"frame-src": ["a.example", "b.example"], "object-src": ["a.example", "b.example"]},
    ),
    "form": ("<form action=//a.example><button formaction=//b.example>", {"form-action": ["a.example", "b.example"]}),
    "links": (
        "<link rel='ALTERNATE StyleSheet' href=//a.example><link rel=icon href=//b.example><link rel=next href=//c>"
        "<link rel=preload as=font href=//d.example><link rel=modulepreload href=//e.example><link href=//f>",
        {"font-src": ["d.example"], "img-src": ["b.example"], SCRIPT: ["e.example"], "style-src": ["a.example"]},
    ),
    "base": (
        "<base href=https://a.example/b/><img src=c.png><base href=//d.example><img src=//e.example>",
        {"base-uri": ["d.example", "https://a.example"], "img-src": ["https://a.example", "https://e.example"]},
    ),
    "style sheet": (
        "<style>@import '//a.example/x'; @import url(//b.example); /* url(//c.example) */"
        "p>a {background: URL( '//d.example' )}"
        "@font-face {src: url(x.woff), url('//e.example')}</style><p>url(//f.example)</p>",
        {"font-src": ["e.example"], "img-src": ["d.example"], "style-src": ["a.example", "b.example"]},
    ),
    "style of an element": (
        "<p style='background: url(&quot;//a.example&quot;)'><table background=//b.example>",
        {"img-src": ["a.example", "b.example"]},
    ),
    "links of readers": ("<a href=https://a.example ping=x>x</a><blockquote cite=https://b.example>", {}),
}  # fmt: skip


@pytest.mark.parametrize(("html", "found"), NEEDS.values(), ids=NEEDS)
def test_what_a_page_needs(html: str, found: dict[str, list[str]]) -> None:
    assert needs_of(f"<p>{html}") == found


# ------------------------------------------------------------------------------------------------------- built courses


def tags(tree: ET.Element, name: str) -> list[str]:
    return [element.text or "" for element in tree.iter(name)]


def check_atom(feed: ET.Element) -> list[ET.Element]:
    """What RFC 4287 asks of a feed and its entries; returns the entries."""
    entries = feed.findall(f"{ATOM}entry")
    assert feed.tag == f"{ATOM}feed"
    for element in (feed, *entries):
        for name in ("id", "title", "updated"):
            assert len(element.findall(f"{ATOM}{name}")) == 1, name
        assert urlsplit(str(element.findtext(f"{ATOM}id"))).scheme == "https"
        for name in ("updated", "published"):
            for text in (child.text or "" for child in element.findall(f"{ATOM}{name}")):
                assert datetime.datetime.fromisoformat(text).tzinfo is not None
        alternates = [link for link in element.findall(f"{ATOM}link") if link.get("rel") == "alternate"]
        assert len(alternates) == 1, "an entry without content has one"
        assert urlsplit(alternates[0].get("href", "")).netloc
    assert feed.findtext(f"{ATOM}author/{ATOM}name")
    assert [link.get("href", "")[-8:] for link in feed.findall(f"{ATOM}link") if link.get("rel") == "self"] == [
        "feed.xml"
    ]
    assert len(set(tags(feed, f"{ATOM}id"))) == len(entries) + 1
    assert feed.findtext(f"{ATOM}updated") == max(str(entry.findtext(f"{ATOM}updated")) for entry in entries)
    return entries


def made(site: dict[str, bytes]) -> dict[str, object]:
    """What is made for those who find the site: files, and what pages say of themselves."""
    files: dict[str, object] = {
        name: content
        for name, content in site.items()
        if name in ("sitemap.xml", "feed.xml", "robots.txt", "_headers") or name.startswith("_pictures/")
    }
    pages = {name: Head(content.decode()).meta for name, content in site.items() if name.endswith(".html")}
    return files | pages


@pytest.mark.sphinx
def test_a_policy_counts_what_stands_in_every_folder(tiny: Tiny) -> None:
    config = CONFIG.replace("config: {", "config: {html_extra_path: [more], ")
    toc = "format: jb-book\nroot: index\nchapters:\n  - file: _days/one\n"
    tiny.write({"_config.yml": config, "_toc.yml": toc, "days/one.md": None})
    names = ("_days/page", "_static/deep/static", "more/_app/extra", "_days/download")
    tiny.write({f"{name}.html": f"<script>{name}</script>" for name in names[1:]})
    tiny.write({"_days/one.md": "# One\n\n<script>_days/page</script>\n\n{download}`download.html`\n"})
    built = tiny.build()
    assert built.code == 0, built.err
    told = tiny.site()["_headers"].decode()
    assert [name for name in names if sha(name) not in told] == []

    # Home is written as it was; the other page has another script.
    tiny.write(
        {"index.md": f"{(tiny.root / 'index.md').read_text()}\n", "_days/one.md": "# One\n\n<script>2</script>\n"}
    )
    assert tiny.build().code == 0
    told = tiny.site()["_headers"].decode()
    assert [name for name in names if sha(name) in told] == list(names[1:3])
    assert sha("2") in told


@pytest.mark.kernel
def test_a_course_is_found(tiny: Tiny) -> None:
    git(tiny.root, "init", "--quiet")
    tiny.write(dict(FILES))
    commit(tiny.root, "2020-01-01")
    built = tiny.build("--lenient")  # Pygments and others may have their say about such names
    assert built.code == 0, built.err
    first = tiny.site()
    html = tiny.root / "_build/html"

    # Exactly the pages that are out, listed and not hidden by themselves; each leads to a file.
    sitemap = ET.fromstring(first["sitemap.xml"])
    places = tags(sitemap, f"{MAP}loc")
    assert places == [SITE, f"{SITE}days/one.html", f"{SITE}days/late.html", f"{SITE}days/100%25%20%C3%BC%20b.html"]
    assert all((html / unquote(place.removeprefix(SITE) or "index.html")).is_file() for place in places)
    assert [day[:10] for day in tags(sitemap, f"{MAP}lastmod")] == [
        "2020-01-01",
        "2020-01-01",
        "2020-02-01",
        "2020-01-01",
    ]
    assert first["robots.txt"].decode() == f"User-agent: *\nDisallow:\n\nSitemap: {SITE}sitemap.xml\n"

    entries = check_atom(ET.fromstring(first["feed.xml"]))
    assert [entry.findtext(f"{ATOM}id") for entry in entries] == [
        f"{SITE}days/late.html",  # the newest first
        f"{SITE}days/one.html",
        f"{SITE}days/hidden.html",
        f"{SITE}days/100%25%20%C3%BC%20b.html",
    ]
    assert entries[0].findtext(f"{ATOM}published") == "2020-02-01T00:00:00+00:00"
    title = f"{HOSTILE} …"
    assert entries[3].findtext(f"{ATOM}title") == title

    heads = {name: Head(first[name].decode()) for name in first if name.endswith(".html") and "/_" not in f"/{name}"}
    for name, head in heads.items():
        # Nothing that somebody wrote became a tag of its own; each thing is said once.
        assert b"<script>alert" not in first[name], name
        assert all(len(said) == 1 for key, said in head.meta.items() if key not in ("", "viewport")), name
        if name not in ("404.html", "search.html", "genindex.html"):
            place = SITE if name == "index.html" else SITE + name.replace("100% ü b", "100%25%20%C3%BC%20b")
            assert head.links["canonical"] == head.meta["og:url"][0] == place
            assert (html / name).parent.joinpath(head.links["alternate"]).resolve() == (html / "feed.xml").resolve()
        else:
            assert "canonical" not in head.links
            assert "og:title" not in head.meta
        assert ("robots" in head.meta) == (name in ("404.html", "days/hidden.html"))
    said = {key: values[0] for key, values in heads["days/100% ü b.html"].meta.items()}
    assert said["og:title"] == said["og:image:alt"] == title
    assert said["description"] == said["og:description"] == ("word " * 60).strip() + "…"
    assert len(said["description"]) <= LONGEST
    assert (said["og:type"], said["og:site_name"]) == ("article", "A tiny course")
    assert said["og:image"].startswith(f"{SITE}_pictures/")
    with Image.open(html / said["og:image"].removeprefix(SITE)) as image:
        assert image.size == (int(said["og:image:width"]), int(said["og:image:height"]))
    home = {key: values[0] for key, values in heads["index.html"].meta.items()}
    assert home["og:type"] == "website"
    assert home["description"] == home["og:description"]
    assert (
        home["description"] == HOSTILE.replace("<script>", "").replace("</script>", "") + " bold costs $5 and $6, not …"
    )
    assert heads["days/one.html"].meta["description"] == ["Text with two formulas, k, …: Late."]
    hidden = heads["days/hidden.html"].meta
    assert (hidden["description"], hidden["og:image"]) == (["Its own."], ["own.png"])
    assert "twitter:card" in hidden

    # Another title: every page is listed still, the date is gone until it is committed, and one picture is drawn.
    folders = tiny.root / "_build/.coursebook/pictures", html / "_pictures"
    kept = [{path.name: path.stat().st_mtime_ns for path in folder.iterdir()} for folder in folders]
    tiny.write({"days/one.md": "# Another title\n\nText with *two* formulas.\n"})
    assert tiny.build("--lenient").code == 0
    second = tiny.site()
    sitemap = ET.fromstring(second["sitemap.xml"])
    assert tags(sitemap, f"{MAP}loc") == places
    assert len(tags(sitemap, f"{MAP}lastmod")) == 3
    assert tags(ET.fromstring(second["feed.xml"]), f"{ATOM}title")[2] == "Another title"
    for folder, then in zip(folders, kept, strict=True):
        now = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
        assert len(now) == len(then) == 6
        assert len(now.items() & then.items()) == 5

    # The same course, the same bytes.
    shutil.rmtree(tiny.root / "_build")
    assert tiny.build("--lenient").code == 0
    assert made(second) == made(tiny.site())


@pytest.mark.kernel
def test_a_preview_is_not_to_be_found(tiny: Tiny) -> None:
    tiny.write(
        {
            "_config.yml": BASE.replace("config: {", "config: {html_extra_path: [extra], "),
            "extra/robots.txt": "mine",
            "days/one.md": "---\ncoursebook: {release: 2999-01-01}\n---\n# Wombat\n\nText.\n",
        }
    )
    # A day on which the site shows the same as today.
    assert tiny.build("--as-of", "2020-01-01").code == 0
    site = tiny.site()
    assert site["robots.txt"] == b"User-agent: *\nDisallow: /\n"
    assert not {"sitemap.xml", "feed.xml"} & site.keys()
    assert b"X-Robots-Tag: noindex" in site["_headers"]
    for name in ("index.html", "search.html", "404.html"):
        head = Head(site[name].decode())
        assert head.meta["robots"] == ["noindex"], name
        assert not {"canonical", "alternate"} & head.links.keys(), name
    assert tiny.build().code == 0
    site = tiny.site()
    assert site["robots.txt"] == b"mine", "the author's own, but not where it would let a preview be found"
    assert b"X-Robots-Tag" not in site["_headers"]
    assert tags(ET.fromstring(site["sitemap.xml"]), f"{MAP}loc") == [SITE]
    assert "feed.xml" not in site, "no page has a date"
    assert b"feed.xml" not in site["index.html"]
    assert b"noindex" not in site["index.html"]
    assert not [name for name, content in site.items() if b"Wombat" in content]
    assert len([name for name in site if name.startswith("_pictures/")]) == 1


@pytest.mark.kernel
def test_without_an_address_there_is_nothing_and_no_warning(tiny: Tiny) -> None:
    built = tiny.build()
    assert (built.code, built.err) == (0, "")
    site = tiny.site()
    assert not {"sitemap.xml", "feed.xml", "robots.txt"} & site.keys()
    assert not [name for name in site if name.startswith("_pictures")]
    head = Head(site["days/one.html"].decode())
    assert "canonical" not in head.links
    assert head.meta["og:title"] == ["Day one"]
    assert not {"og:url", "og:image", "robots"} & head.meta.keys()
    assert head.meta["description"] == ["Text with …."]


@pytest.mark.kernel
def test_a_commit_is_a_change_where_the_site_tells_dates(tiny: Tiny) -> None:
    git(tiny.root, "init", "--quiet")
    tiny.write({"_config.yml": BASE, ".gitignore": "_build\noutputs\n"})
    assert tiny.build().code == 0
    assert b"lastmod" not in tiny.site()["sitemap.xml"]
    assert "nothing has changed" in tiny.build().out
    commit(tiny.root, "2020-01-01")
    built = tiny.build()
    assert built.code == 0
    assert "nothing has changed" not in built.out
    assert tiny.site()["sitemap.xml"].count(b"<lastmod>2020-01-01") == 2
    assert b"feed.xml" in tiny.site()["index.html"], "pages that haven't changed link to the feed that there is now"
    assert "nothing has changed" in tiny.build().out


# ------------------------------------------------------------------------------------------------- the course itself


@pytest.mark.site
def test_the_course_is_found(site: Path) -> None:
    pages = Course.load(ROOT).pages
    base = site_address(Course.load(ROOT).config["html"]["baseurl"])
    names = [f"{page.docname}.html" for page in pages]
    places = tags(ET.parse(site / "sitemap.xml").getroot(), f"{MAP}loc")
    assert places == [base, *(base + name for name in names[1:])]
    for name, place, page in zip(names, places, pages, strict=True):
        head = Head((site / name).read_text(encoding="utf-8"))
        assert head.links["canonical"] == place
        assert (
            head.meta["description"]
            == head.meta["og:description"]
            == [" ".join(page.front_matter["description"].split())]
        )
        assert (site / head.meta["og:image"][0].removeprefix(base)).is_file()
    assert f"Sitemap: {base}sitemap.xml" in (site / "robots.txt").read_text()
    if (site / "feed.xml").exists():  # unless git doesn't know when pages came
        entries = check_atom(ET.parse(site / "feed.xml").getroot())
        assert {entry.findtext(f"{ATOM}id") for entry in entries} == set(places[1:])


@pytest.mark.site
def test_the_policy_fits_on_a_line_that_hosts_take(site: Path) -> None:
    rule, header, *more = (site / "_headers").read_text().splitlines()
    assert (rule, more) == ("/*", [])
    assert len(header) < 2000, "Cloudflare Pages takes no more"
    assert "pagename =" not in (site / "index.html").read_text(), "a digest for each page"
    scripts = re.search(r"script-src ([^;]*)", header)
    assert scripts
    assert not {"'unsafe-inline'", "'unsafe-eval'", "*"} & set(scripts[1].split())


@pytest.fixture(scope="module")
def guarded(site: Path) -> Iterator[str]:
    """The course from a server that sends the headers in `_headers`; `?intruder` puts a script into the page."""
    name, _, value = (site / "_headers").read_text().splitlines()[1].strip().partition(": ")

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *arguments: object) -> None:
            pass

        def end_headers(self) -> None:
            self.send_header(name, value)
            super().end_headers()

        def do_GET(self) -> None:
            if not self.path.endswith("?intruder"):
                return super().do_GET()
            page = (site / "index.html").read_bytes()
            body = page.replace(
                b"</body>", b"<script>window.robbed = 1</script><img src=x onerror='robbed = 1'></body>"
            )
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(body)
            return None

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    server.server_close()


@pytest.mark.browser
def test_every_page_works_under_the_policy(site: Path, guarded: str) -> None:
    names = sorted(p.relative_to(site).as_posix() for p in site.rglob("*.html") if "_static" not in p.parts)
    assert len(names) > 12
    watch = (
        "window.violations = []; window.print = () => { window.printed = true; };"
        "document.addEventListener('securitypolicyviolation',"
        " e => violations.push(`${e.violatedDirective} ${e.blockedURI}`))"
    )
    with browsing() as browser:
        page = browser.new_page()
        page.add_init_script(watch)
        errors: list[str] = []
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        for name in names:
            page.goto(guarded + name, wait_until="load")
            if page.locator(".math").count():
                page.wait_for_selector("mjx-container", state="attached", timeout=20_000)
            assert page.evaluate("violations") == [], name
            assert errors == [], name
        # What a reader does with a page: another look, a search, a print-out.
        page.goto(guarded + "days/day08.html")
        theme = "document.documentElement.dataset.theme"
        before = page.evaluate(theme)
        page.locator("button.theme-switch-button:visible").first.click()
        assert page.evaluate(theme) != before
        page.evaluate("document.querySelector('[onclick*=print]').click()")
        assert page.evaluate("window.printed")
        page.goto(guarded + "search.html?q=softmax")
        page.wait_for_selector("#search-results li a", timeout=20_000)
        assert page.evaluate("violations") == []
        assert errors == []
        # And what it must refuse.
        page.goto(guarded + "?intruder")
        page.wait_for_load_state("networkidle")
        assert page.evaluate("window.robbed") is None
        assert len([said for said in page.evaluate("violations") if said.startswith("script-src")]) == 2
