"""A printed text as words and numbers, and what of it changes from run to run by its nature.

Volatile, so that only its kind counts: times with units, rates, speed-ups, dates and times of day, addresses in memory,
numbers of processes, names that the system makes up, progress bars. Of absolute paths the last part counts.

Units can be data as well, so two rules keep it narrow. A whole number of seconds, minutes or hours (`30 s`, `5 min`) is
a time only where its line speaks of time (`took`, `elapsed`, …) or has a short time on it; `12.3 ms` and `1.2 s` always
are. A number with an x (`3.4x`) is a speed-up only where its line speaks of speed or has a time on it. The price: the
3.2 of `t = 3.2 s` in a simulation isn't compared; a bare number is, and one in a table.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

TokenKind = Literal["word", "integer", "float", "volatile", "mark"]


class Token(NamedTuple):
    """A piece of a line: two pieces that aren't numbers are equal where their `key` is. `value` is a number's.

    `row` is its line in the text as printed, and `start` and `end` its columns there.
    """

    kind: TokenKind
    text: str
    key: str
    value: float
    row: int
    start: int
    end: int

    @property
    def is_number(self) -> bool:
        return self.kind in ("integer", "float")


class Line(NamedTuple):
    """What belongs together: a line as printed, or several that an open bracket holds together. `indent` is its own."""

    tokens: tuple[Token, ...]
    text: str
    indent: int  # columns before the first token

    @property
    def shape(self) -> tuple[str, ...]:
        """The line without its numbers."""
        return tuple("#" if token.is_number else token.key for token in self.tokens)

    @property
    def content(self) -> tuple[str | float, ...]:
        return tuple(token.value if token.key == "#" else token.key for token in self.tokens)


_NUMBER = r"(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?"
_THOUSANDS = r"\d{1,3}(?:,\d{3})+(?:\.\d+)?"
_SHORT = r"(?:ns|us|µs|μs|ms|nsecs?|usecs?|msecs?|nano(?:sec|second)s?|micro(?:sec|second)s?|milli(?:sec|second)s?)"
_LONG = r"(?:s|secs?|seconds?|mins?|minutes?|h|hrs?|hours?)"
_MONTH = r"(?:Jan|Feb|Mar|Apr|May|June?|July?|Aug|Sept?|Oct|Nov|Dec)[a-z]*"
_DAY = r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*"
_CLOCK = r"\d{1,2}:\d{2}:\d{2}(?:[.,]\d+)?(?:\s?[AaPp][Mm]\b)?"
_ZONE = r"(?:\s?(?:Z|UTC|GMT|[+-]\d{2}:?\d{2})\b)?"
_EACH = (
    r"(?:it|its|iter|iters|iterations?|steps?|updates?|samples?|images?|examples?|rows?|records?|tokens?|batch(?:es)?"
    r"|epochs?|ops|operations?|calls?|requests?|queries|frames?|words?|lines?|items?|files?)"
)
_WORK = r"(?:[kKMGTP]i?)?(?:B|bytes|bits?)/s(?:ec)?|[kMGTP]?(?:FLOPS?/s|flops?/s|FLOPS|flops)|fps"
_ANY = rf"(?:{_THOUSANDS}|{_NUMBER})"
# A minus belongs to a number unless it stands between two.
_SIGN = r"(?:(?<![\w.)\]])[+\-−])?"
# In this order: the first that fits takes the text.
_PARTS: tuple[tuple[str, str], ...] = (
    ("uuid", r"\b[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}\b"),
    ("url", r"\b[a-z][a-z0-9+.-]*://[^\s\"'<>)\]]+"),
    ("path", r"(?<![\w.:/~])(?:~(?:/[\w.+@%~-]+)+|(?:/[\w.+@%~-]+){2,})/?|\b[A-Za-z]:(?:\\[^\\\s\"':*?<>|]+)+"),
    ("name", r"\btmp[a-z0-9_]{8}\b"),
    ("loops", r"\bof \d+ runs?, [\d,]+ loops? each"),
    ("date", rf"\b\d{{4}}-\d\d-\d\d[T ](?:{_CLOCK}|\d\d:\d\d){_ZONE}"),
    ("date", rf"\b{_DAY},? {_MONTH} +\d{{1,2}},? {_CLOCK}(?: [A-Z]{{2,5}})? \d{{4}}\b"),
    ("date", rf"\b(?:{_DAY},? )?\d{{1,2}}\.? {_MONTH} \d{{4}}\b(?:,? {_CLOCK}{_ZONE})?"),
    ("date", rf"\b(?:{_DAY},? )?{_MONTH} \d{{1,2}},? \d{{4}}\b(?:,? {_CLOCK}{_ZONE})?"),
    ("day", r"(?<![\w-])\d{4}-\d\d-\d\d(?![\w-])|(?<![\w/])\d{4}/\d\d/\d\d(?![\w/])"),
    ("clock", rf"(?<![\w:.]){_CLOCK}{_ZONE}(?![\w:])"),
    ("word", r"(?<![\w.])v?\d+(?:\.\d+){2,}[\w+.-]*"),  # a version
    ("address", r"(?:(?<=\bat )0x[0-9a-fA-F]+|\b0x(?:7f|5[56]|0000|1)[0-9a-fA-F]{8,14})\b"),
    ("word", r"\b0[xXbBoO][0-9a-fA-F]+\b|\b(?=[0-9a-f]*[a-f])(?=[a-f]*\d)[0-9a-f]{7,}\b"),  # a digest
    ("process", r"\b(?:pid|PID|process[ _]id|port)\b[ =:#]*\d{2,}"),
    ("host", r"\b(?:hostname|host name)\b\s*[=:]?\s*[\w.'\"-]+|\bnode='[^']*'"),
    ("time", r"\b\d+\s?h(?:ours?)?,? \d+\s?m(?:in)?\b(?: [\d.]+\s?s\b)?|\b\d+\s?m(?:in)? ?[\d.]+\s?s\b"),
    ("time", rf"(?<![\w.]){_ANY}\s?(?:±|\+/-|-|–|to)\s?{_NUMBER}\s?(?:{_SHORT}|{_LONG})(?![\w/])"),
    ("rate", rf"(?<![\w.]){_ANY}\s?(?:{_EACH}\s?(?:/\s?(?:s|sec|second)|per second)|s/{_EACH}|{_WORK})(?!\w)"),
    ("time", rf"(?<![\w.]){_ANY}\s?{_SHORT}(?!\w)"),
    ("long", rf"(?<![\w.,]){_ANY}\s?{_LONG}(?![\w/²³^'’])"),
    ("speed", rf"(?<![\w.]){_NUMBER}\s?times (?:as (?:fast|long|quick|slow)|faster|slower|longer|quicker|shorter)\b"),
    ("speed", rf"\b[Ss]peed-?up(?:s)?(?: of|:| =| is)? {_NUMBER}[x×]?"),
    ("times", rf"(?<![\w.]){_NUMBER}[x×](?!\w|\s*\d)"),
    ("number", rf"{_SIGN}(?:(?<![\w.,\[(]){_THOUSANDS}(?![\w.,]*\d)|(?<![^\W\d])(?<![^\W\d]\d){_NUMBER})"),
    ("unending", rf"{_SIGN}(?:nan|NaN|inf|Inf|Infinity)\b"),
    ("word", r"[^\W\d]\w*(?:['’]\w+)?"),
    ("rule", r"(?P<again>[^\w\s()\[\]{}])(?P=again){2,}"),
    ("mark", r"[^\w\s]|\w"),
)
_TOKEN = re.compile("|".join(f"(?P<{name}_{n}>{pattern})" for n, (name, pattern) in enumerate(_PARTS)))
# What a line says that tells of time, so that a whole number of seconds or an `x` on it is one, too.
_CUE = re.compile(
    rf"(?i)\b(?:took|elapsed|wall|timings?|time|times|runtime|duration|finished|eta|per (?:loop|epoch|step|batch|call)"
    rf"|faster|slower|quicker|speed(?:-?ups?)?)\b|\d\s?{_SHORT}\b"
)
# A number directly behind one of these words is a time, though no unit follows it.
_TIMER = re.compile(rf"(?i)took|elapsed|duration|runtime|walltime|{_SHORT}|(?:sec|second)s")
_BAR = re.compile(
    r"(?P<percent>\d+%)\|[^|\n]*\|\s*(?P<done>[\d.]+[kMG]?/[\d.]+[kMG]?)\s*"
    r"\[[\d:?]+<[\d:?]+(?:,\s*[^,\]\n]*)?(?P<rest>(?:,[^\]\n]*)?)\]"
)
_COUNT = re.compile(r"(?P<done>\d+(?:it|B|kB|MB)?) \[\d+:\d+(?::\d+)?,\s*[^,\]\n]*(?P<rest>(?:,[^\]\n]*)?)\]")
_CELL = re.compile(r"<ipython-input-[^>\n]*>|[^\s\"'(]{0,300}ipykernel_\d+[/\\]\d+\.py")
_WHOLE_LINES = re.compile(
    r"(?m)^The slowest run took [\d.]+ times longer than the fastest\..*\n?|(?<=^CPU times: ).*$|(?<=^Wall time: ).*$"
)
_DIGITS = re.compile(_ANY)
_OPEN, _CLOSED = "([{", ")]}"
_LONGEST_NUMBER = 4000  # digits; Python makes no integer of more
_LONGEST = 1000  # lines that one bracket may hold together


def tokenize(text: str, days_count: bool = False) -> list[Line]:
    """The lines of a text without those that are empty. `days_count`: a date without a time of day is data.

    A bracket that is open at the end of a line holds it together with the next, as arrays are printed.
    """
    if "ipykernel_" in text or "<ipython-input-" in text:
        text = _CELL.sub("cell", text)
    if "%|" in text or "[" in text:
        text = _BAR.sub(r"\g<percent>| bar \g<done> \g<rest>", text)
        text = _COUNT.sub(r"\g<done> bar \g<rest>", text)
    rows = _WHOLE_LINES.sub("", text).splitlines()
    tokens = [_tokens(row, number, days_count) for number, row in enumerate(rows)]
    depths = [sum((t.text in _OPEN) - (t.text in _CLOSED) for t in line if t.kind == "mark") for line in tokens]
    lines: list[Line] = []
    first = 0
    while first < len(rows):
        last, depth = first, depths[first]
        while depth > 0 and last + 1 < min(len(rows), first + _LONGEST):
            last += 1
            depth += depths[last]
        if depth > 0:  # never closed: no bracket, an ornament
            last = first
        together = tuple(token for line in tokens[first : last + 1] for token in line)
        if together:
            indent = len(rows[first]) - len(rows[first].lstrip())
            lines.append(Line(_sorted_sets(together), "\n".join(rows[first : last + 1]), indent))
        first = last + 1
    return lines


def _tokens(row: str, number: int, days_count: bool) -> list[Token]:
    found: list[Token] = []
    cue: bool | None = None
    for match in _TOKEN.finditer(row):
        name, text = str(match.lastgroup).partition("_")[0], match[0]
        if name in ("long", "times"):
            digits = _DIGITS.match(text)
            assert digits is not None  # both begin with a number
            if cue is None:
                cue = bool(_CUE.search(row))
            if cue or (name == "long" and "." in digits[0]):
                found.append(_token("volatile", text, "time" if name == "long" else "speed", number, match.start()))
                continue
            unit = text[digits.end() :].strip()
            found.append(_number(digits[0], number, match.start()))
            found.append(_token("word", unit, unit, number, match.end() - len(unit)))
        elif name == "number":
            made = _number(text, number, match.start())
            behind = [token for token in found[-3:] if token.text not in (":", "=", "(")]
            if made.kind == "float" and behind and _TIMER.fullmatch(behind[-1].text):
                made = made._replace(kind="volatile", key="⟨time⟩")
            found.append(made)
        elif name == "unending":
            made = Token("float", text, text.lower(), float(text.replace("−", "-")), number, match.start(), match.end())
            found.append(made)
        elif name in ("word", "mark"):
            found.append(_token("word" if name == "word" else "mark", text, text, number, match.start()))
        elif name == "rule":
            found.append(_token("mark", text, text[0] * 3, number, match.start()))
        elif name == "day" and days_count:
            found.append(_token("word", text, text, number, match.start()))
        elif name == "url":
            local = re.sub(r"(?<=//)(localhost|127\.0\.0\.1|0\.0\.0\.0):\d+", r"\1", text)
            found.append(_token("word", text, local, number, match.start()))
        elif name == "path":
            last = re.split(r"[/\\]", text.rstrip("/\\"))[-1]
            key = "⟨name⟩" if re.fullmatch(r"tmp[a-z0-9_]{8}", last) else last
            found.append(_token("word", text, key, number, match.start()))
        else:
            found.append(_token("volatile", text, name, number, match.start()))
    return found


def _token(kind: TokenKind, text: str, key: str, row: int, start: int) -> Token:
    return Token(kind, text, f"⟨{key}⟩" if kind == "volatile" else key, 0.0, row, start, start + len(text))


def _number(text: str, row: int, start: int) -> Token:
    plain = text.replace("−", "-").replace(",", "")
    end = start + len(text)
    if len(plain) > _LONGEST_NUMBER:
        return Token("word", text, plain, 0.0, row, start, end)
    if plain.lstrip("+-").isdecimal():
        return Token("integer", text, "#", int(plain), row, start, end)
    return Token("float", text, "#", float(plain), row, start, end)


def _sorted_sets(tokens: tuple[Token, ...]) -> tuple[Token, ...]:
    """The members of sets, `{'b', 'a'}`, in order: Python prints them in another one each time."""
    if not any(token.text == "{" for token in tokens):
        return tokens
    result = list(tokens)
    start = None
    for index, token in enumerate(tokens):
        if token.text in _OPEN:
            start = index if token.text == "{" else None
        elif token.text in (":", ")", "]"):
            start = None
        elif token.text == "}" and start is not None:
            members: list[list[Token]] = [[]]
            for inner in tokens[start + 1 : index]:
                if inner.text == ",":
                    members.append([])
                else:
                    members[-1].append(inner)
            members.sort(key=lambda member: [(t.key, t.value) for t in member])
            comma = next((t for t in tokens[start + 1 : index] if t.text == ","), token)
            flat = [t for member in members for t in (*member, comma)]
            result[start + 1 : index] = flat[:-1] if flat else []
            start = None
    return tuple(result)
