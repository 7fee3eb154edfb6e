"""Pairs of cells, the second changed: a planted change, of which a reader must be told, or a harmless one.

Each source is a whole cell: it needs numpy, matplotlib and IPython, ends in well under a second, and says and draws the
same in every run, save where a harmless pair is about what changes from run to run.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Pair:
    """Two cells. `kind` is that of the difference that must be found, "" for a harmless pair."""

    name: str
    kind: str
    old: str
    new: str

    @property
    def draws(self) -> bool:
        return "plt." in self.old


def _edited(name: str, kind: str, source: str, what: str, by: str) -> Pair:
    """A cell, and the same with one piece of it changed."""
    # A figure's last call would be shown as text as well.
    source = source.strip() + ("\naxes = fig.axes\n" if "plt." in source else "\n")
    assert source.count(what) == 1, (name, what)
    return Pair(name, kind, source, source.replace(what, by))


CURVES = """
import matplotlib.pyplot as plt
import numpy as np

epochs = np.arange(1, 31)
fig, ax = plt.subplots(figsize=(5.8, 3.2))
ax.plot(epochs, 2.0 * np.exp(-epochs / 8) + 0.10, color="#1f77b4", label="train")
ax.plot(epochs, 1.8 * np.exp(-epochs / 9) + 0.25, color="#d62728", label="test")
ax.annotate("best", (20, 0.45))
ax.set_title("Loss of the network")
ax.set_xlabel("epoch")
ax.set_ylabel("loss")
ax.legend()
"""
BARS = """
import matplotlib.pyplot as plt

fig, ax = plt.subplots(figsize=(5, 3))
ax.bar(["iris", "wine", "digits", "cancer"], [0.71, 0.88, 0.93, 0.60], color="#4878a8")
ax.set_ylim(0, 1.1)
"""
POINTS = """
import matplotlib.pyplot as plt
import numpy as np

rng = np.random.default_rng(0)
points = rng.normal(size=(60, 2))
fig, ax = plt.subplots(figsize=(5, 3.5))
ax.scatter(points[:, 0], points[:, 1], s=24, color="#2a7f62", marker="o")
ax.plot([1.9], [1.6], "k*", ms=7)
ax.set_xlim(-3, 3)
ax.set_ylim(-3, 3)
"""
PANELS = """
import matplotlib.pyplot as plt
import numpy as np

x = np.linspace(0, 6, 80)
fig, (left, right) = plt.subplots(1, 2, figsize=(6, 2.8))
left.plot(x, np.sin(x))
right.plot(x, np.cos(x))
"""
IMAGE = """
import matplotlib.pyplot as plt
import numpy as np

y, x = np.mgrid[-2:2:24j, -2:2:24j]
fig, ax = plt.subplots(figsize=(4, 3.4))
shown = ax.imshow(np.exp(-x**2 - y**2), cmap="viridis")
fig.colorbar(shown)
ax.set_axis_off()
"""
CONFUSION = """
import matplotlib.pyplot as plt
import numpy as np

counts = np.array([[12, 1, 0], [2, 9, 1], [0, 0, 11]])
fig, ax = plt.subplots(figsize=(4.2, 4.2))
ax.imshow(counts, cmap="Blues")
for (i, j), count in np.ndenumerate(counts):
    ax.text(j, i, count, ha="center", va="center")
ax.set_xlabel("predicted")
ax.set_ylabel("true")
"""
TABLE = """
from IPython.display import HTML, display

rows = [("linear", 650, 0.961, 1.25), ("MLP", 4810, 0.969, 3.5), ("CNN", 19434, 0.986, 9.75)]
body = "".join(f"<tr><th>{a}</th><td>{b}</td><td>{c:.3f}</td><td>{d}</td></tr>" for a, b, c, d in rows)
head = "<tr><th></th><th>parameters</th><th>accuracy</th><th>weight</th></tr>"
display(HTML(f"<table><thead>{head}</thead><tbody>{body}</tbody></table>"))
"""
RESULTS = """
rows = [(1, 1.994, 0.589), (10, 0.454, 0.920), (30, 0.233, 0.947)]
print("epoch   loss  accuracy")
for epoch, loss, accuracy in rows:
    print(f"{epoch:5d}  {loss:.3f}     {accuracy:.3f}")
"""
LINE = 'ax.plot([0, 3], [0.8, 0.9], lw=1, color="k")'
TWO_OUTPUTS = """
from IPython.display import HTML, display

display(HTML("<b>x</b>"))
display(HTML("<b>y</b>"))
"""
TIMEIT = "print('1.23 s ± 30.1 ms per loop (mean ± std. dev. of 7 runs, 10 loops each)')"
CPU_TIMES = "print('CPU times: user 1.2 s, sys: 30 ms, total: 1.23 s\\nWall time: 1.4 s')"
FOLDER = """
import tempfile

with tempfile.TemporaryDirectory() as folder:
    print("stored in", folder)
"""
TWO_DATES = "print('executed on 2026-11-21, Sat Nov 21 12:00:01 2026')"
BAR = """
import sys

sys.stderr.write("\\r 50%|█████     | 5/10 [00:01<00:01,  4.9it/s]")
sys.stderr.write("\\r100%|██████████| 10/10 [00:02<00:00,  4.8it/s]\\n")
"""
OTHER_BAR = """
import sys

sys.stderr.write("\\r 30%|███       | 3/10 [00:00<00:01,  9.0it/s]")
sys.stderr.write("\\r100%|██████████| 10/10 [00:01<00:00,  9.1it/s]\\n")
"""
STREAMS = """
import sys

print("a", flush=True)
print("log", file=sys.stderr, flush=True)
print("b")
"""
LOGGED = 'print("log", file=sys.stderr, flush=True)'

_TEXTS = (
    _edited("constant", "number", "rate = 0.5\nprint('rate', rate, 'step', 3 * rate)", "rate = 0.5", "rate = 0.6"),
    _edited("third-digit", "number", "print('slope', 1.92)", "1.92", "1.93"),
    _edited("sign", "number", "print('gradient:', -0.3410)", "-0.3410", "0.3410"),
    _edited("off-by-one", "number", "print('wrong:', 13, 'of 360')", "13", "14"),
    _edited("list-order", "number", "print(['order', 3, 1, 2])", "3, 1, 2", "1, 3, 2"),
    _edited("words-order", "text", "print('cat', 'dog', 'bird')", "'cat', 'dog'", "'dog', 'cat'"),
    _edited("prediction", "text", "print('predicted: cat (0.93)')", "cat", "dog"),
    _edited("unit", "text", "print('height 1.82 m')", "m'", "ft'"),
    _edited("percent", "number", "print('49% of all pixels are 0')", "49%", "51%"),
    _edited("missing-percent", "text", "print('rose by 5.0%')", "%", ""),
    _edited("metric", "number", "print('accuracy 0.97')", "0.97", "0.91"),
    _edited("metric-column", "number", RESULTS, "0.920", "0.870"),
    _edited("count-in-results", "number", RESULTS, "(10,", "(11,"),
    _edited("rows-order", "text", RESULTS, "in rows", "in reversed(rows)"),
    _edited("extra-line", "text", "print('done')", "print('done')", "print('done')\nprint('again')"),
    _edited("missing-line", "text", "print('one')\nprint('two')", "\nprint('two')", ""),
    _edited("line-break", "text", "print('one two')", "one two", "one\\ntwo"),
    _edited("nan", "number", "print('loss', 0.25)", "0.25", "float('nan')"),
    _edited("dtype", "text", "import numpy as np\nnp.arange(3, dtype='int32')", "int32", "int16"),
    _edited("int-to-float", "number", "import numpy as np\nprint(np.arange(3))", "(3)", "(3.0)"),
    _edited("shape", "text", "import numpy as np\nprint(np.zeros((4, 3)))", "(4, 3)", "(3, 4)"),
    _edited("shape-printed", "number", "import numpy as np\nprint(np.zeros((4, 3)).shape)", "(4, 3)", "(4, 5)"),
    _edited("exponent", "number", "print('p = 1.5e-05')", "1.5e-05", "1.5e-04"),
    _edited("thousands", "number", "print(f'{1_792_369:,} parameters')", "1_792_369", "1_792_370"),
    _edited("grad-fn", "text", "print('tensor(12., grad_fn=<MulBackward0>)')", "Mul", "Add"),
    _edited("value-in-array", "number", "import numpy as np\nprint(np.linspace(0, 5, 30))", "5, 30", "5.1, 30"),
    _edited("missing-output", "output", TWO_OUTPUTS, '\ndisplay(HTML("<b>y</b>"))', ""),
    _edited(
        "text-in-html",
        "text",
        "from IPython.display import HTML\n\nHTML('<p>The <b>first</b> class</p>')",
        "first",
        "second",
    ),
    _edited(
        "tag-in-html",
        "output",
        "from IPython.display import HTML\n\nHTML('<ul><li>one</li></ul>')",
        "<ul><li>one</li></ul>",
        "<ol><li>one</li></ol>",
    ),
    _edited(
        "color-in-html",
        "output",
        "from IPython.display import HTML\n\nHTML('<p style=\"color: #117733\">right</p>')",
        "#117733",
        "#cc3311",
    ),
    _edited("latex", "number", "from IPython.display import Math\n\nMath(r'\\frac{1}{3}')", "3", "4"),
    _edited("table-cell", "table", TABLE, "3.5)", "3.6)"),
    _edited("table-count", "table", TABLE, "4810", "4811"),
    _edited("table-metric", "table", TABLE, "0.969", "0.919"),
    _edited("table-name", "table", TABLE, '"MLP"', '"RNN"'),
    _edited("table-head", "table", TABLE, "<th>weight", "<th>mass"),
    _edited("table-order", "table", TABLE, "in rows", "in reversed(rows)"),
    _edited("table-row", "table", TABLE, ', ("CNN", 19434, 0.986, 9.75)', ""),
    _edited("table-column", "table", TABLE, "<td>{b}</td>", ""),
    _edited(
        "new-warning",
        "warning",
        "import warnings\n\nprint('fitted')",
        "print",
        "warnings.warn('did not converge')\nprint",
    ),
    _edited(
        "deprecation",
        "warning",
        "import warnings\n\nwarnings.warn('use b')\nprint(1)",
        "('use b')",
        "('use b', FutureWarning)",
    ),
    _edited(
        "warning-text",
        "warning",
        "import warnings\n\nwarnings.warn('did not converge')",
        "did not converge",
        "diverged",
    ),
    _edited(
        "gone-warning",
        "warning",
        "import warnings\n\nwarnings.warn('mind the gap')\nprint(2)",
        "warnings.warn('mind the gap')\n",
        "",
    ),
    _edited(
        "standard-error", "text", "import sys\n\nprint('from cache', file=sys.stderr)", "from cache", "downloading"
    ),
    _edited("error-type", "error", "raise ValueError('no such layer')", "ValueError", "KeyError"),
    _edited("error-text", "error", "raise ValueError('expected 3 columns')", "3", "4"),
    _edited(
        "new-error",
        "error",
        "x = 1\nprint('x is', x)",
        "x = 1",
        "x = 1\nassert x == 1\nprint('x is', x)\nraise RuntimeError('later')\n",
    ),
    _edited(
        "html-to-text",
        "output",
        "from IPython.display import HTML\n\nHTML('<b>bold</b>')",
        "HTML('<b>bold</b>')",
        "'bold'",
    ),
)
_FIGURES = (
    _edited("swapped-color", "figure", CURVES, '"#d62728"', '"#2ca02c"'),
    _edited("missing-legend", "figure", CURVES, "ax.legend()", "pass"),
    _edited("legend-text", "figure", CURVES, '"test"', '"validation"'),
    _edited("dashed", "figure", CURVES, 'label="test"', 'ls="--", label="test"'),
    _edited("title-word", "figure", CURVES, "Loss of", "Error of"),
    _edited("axis-label", "figure", CURVES, '"epoch"', '"update"'),
    _edited("missing-annotation", "figure", CURVES, 'ax.annotate("best", (20, 0.45))', "pass"),
    _edited("axis-limits", "figure", CURVES, 'ax.set_xlabel("epoch")', 'ax.set_xlabel("epoch")\nax.set_xlim(0, 40)'),
    _edited("log-scale", "figure", CURVES, 'ax.set_ylabel("loss")', 'ax.set_ylabel("loss")\nax.set_yscale("log")'),
    _edited("moved-curve", "figure", CURVES, "+ 0.25", "+ 0.31"),
    _edited("missing-curve", "figure", f"{BARS}{LINE}\n", LINE, "pass"),
    _edited("bar-higher", "figure", BARS, "0.88", "0.92"),
    _edited("bars-order", "figure", BARS, "0.71, 0.88", "0.88, 0.71"),
    _edited("bar-name", "figure", BARS, '"wine"', '"wines"'),
    _edited("marker", "figure", POINTS, 'marker="o"', 'marker="s"'),
    _edited("marker-size", "figure", POINTS, "s=24", "s=40"),
    _edited("tiny-marker", "figure", POINTS, 'ax.plot([1.9], [1.6], "k*", ms=7)', "pass"),
    _edited("moved-marker", "figure", POINTS, "[1.9], [1.6]", "[1.9], [1.4]"),
    _edited("other-points", "figure", POINTS, "default_rng(0)", "default_rng(1)"),
    _edited("swapped-panels", "figure", PANELS, "(left, right) = plt", "(right, left) = plt"),
    _edited("one-panel", "figure", PANELS, "right.plot(x, np.cos(x))", "right.remove()"),
    _edited("colormap", "figure", IMAGE, "viridis", "magma"),
    _edited("near-colormap", "figure", IMAGE, "viridis", "cividis"),
    _edited("mirrored-image", "figure", IMAGE, "-x**2 - y**2", "-x**2 - (y - 0.3)**2"),
    _edited("confusion-cell", "figure", CONFUSION, "[2, 9, 1]", "[3, 8, 1]"),
    _edited("missing-figure", "output", BARS, "ax.set_ylim(0, 1.1)", "plt.close(fig)"),
)
# Of a picture in pixels nobody knows its words, and six of them make no round marker a square one.
ONLY_AS_SVG = frozenset({"marker", "metric-in-title"})
PLANTED: tuple[Pair, ...] = _TEXTS + _FIGURES

_HARMLESS_TEXTS = (
    _edited("timing", "", "print('took 12.3 ms')", "12.3 ms", "1.4 s"),
    _edited("timeit", "", TIMEIT, "1.23 s ± 30.1 ms per loop", "871 µs ± 2.1 µs per loop"),
    _edited("timeit-loops", "", TIMEIT, "7 runs, 10 loops", "7 runs, 1,000 loops"),
    _edited("cpu-times", "", CPU_TIMES, "user 1.2 s, sys: 30 ms, total: 1.23 s", "total: 31.2 ms"),
    _edited("wall-time", "", CPU_TIMES, "Wall time: 1.4 s", "Wall time: 1min 2s"),
    _edited(
        "rate", "", "print('12.1 GFLOP/s, 6,574 examples per second')", "12.1 GFLOP/s, 6,574", "9.8 GFLOP/s, 12,100"
    ),
    _edited("speed-up", "", "print('vectorized: 3.4x faster, 1.2 ms')", "3.4x faster, 1.2", "5.1x faster, 0.9"),
    Pair("clock", "", *2 * ("import time\n\nprint(f'{time.perf_counter_ns() % 997 / 7:.3f} ms')\n",)),
    Pair("address", "", *2 * ("class Network:\n    pass\n\n\nprint(Network(), [object() for _ in range(3)])\n",)),
    Pair("now", "", *2 * ("import datetime\nimport time\n\nprint(datetime.datetime.now())\nprint(time.ctime())\n",)),
    Pair("process", "", *2 * ("import os\nimport uuid\n\nprint('pid', os.getpid(), uuid.uuid4())\n",)),
    Pair("temporary", "", FOLDER, FOLDER),
    _edited("path", "", "print('/home/ada/course/data/heights.csv')", "/home/ada", "/Users/grace/work"),
    _edited("date", "", TWO_DATES, "2026-11-21, Sat Nov 21 12:00:01 2026", "2027-01-03, Sun Jan  3 09:30:59 2027"),
    Pair("progress", "", BAR, OTHER_BAR),
    _edited("fourth-digit", "", "print('slope', 1.9238)", "1.9238", "1.9239"),
    _edited("near-metric", "", "print('test accuracy 0.960, loss 0.412')", "0.960, loss 0.412", "0.953, loss 0.418"),
    _edited("near-metric-column", "", RESULTS, "1.994, 0.589", "1.971, 0.594"),
    _edited("rounding", "", "print('difference', 2.3e-17)", "2.3e-17", "-1.1e-16"),
    _edited("array-noise", "", "import numpy as np\n\nprint(np.linspace(0, 5, 30))", "5, 30)", "5, 30) * (1 + 1e-9)"),
    _edited(
        "array-wrap",
        "",
        "import numpy as np\n\nprint(np.arange(40) / 8)",
        "np\n",
        "np\n\nnp.set_printoptions(linewidth=60)\n",
    ),
    _edited("array-width", "", "import numpy as np\n\nprint(np.array([[1.0, 2.5], [3.25, 4.0]]))", "4.0", "4.0000001"),
    _edited("table-fourth-digit", "", TABLE, "9.75)", "9.7501)"),
    _edited("table-near-metric", "", TABLE, "0.969", "0.961"),
    _edited("two-streams", "", STREAMS, f'print("a", flush=True)\n{LOGGED}', f'{LOGGED}\nprint("a", flush=True)'),
    _edited(
        "set-order",
        "",
        "print('{' + ', '.join(map(repr, ['cat', 'dog', 'bird'])) + '}')",
        "'cat', 'dog'",
        "'dog', 'cat'",
    ),
    _edited("colors-of-text", "", "print('\\x1b[31mred\\x1b[0m')", "\\x1b[31mred\\x1b[0m", "red"),
    _edited(
        "warning-place", "", "import warnings\n\nwarnings.warn('slow')", "import warnings\n", "import warnings\n\n\n"
    ),
    _edited("error-address", "", "raise ValueError(f'no {object()}')", "raise", "'a'\nraise"),
)
_HARMLESS_FIGURES = (
    _edited("figure-again", "", CURVES, "import numpy as np", "import numpy as np  # again"),
    _edited("figure-ids", "", CURVES, "import numpy", 'plt.rcParams["svg.hashsalt"] = "salt"\nimport numpy'),
    _edited("data-noise", "", CURVES, "(epochs, 2.0 *", "(epochs, 2.0001 *"),
    _edited("data-rounding", "", CURVES, "+ 0.25", "+ 0.2500001"),
    _edited("points-noise", "", POINTS, "points[:, 1], s", "points[:, 1] * 1.0003, s"),
    _edited("bar-noise", "", BARS, "0.88", "0.8804"),
    _edited("image-noise", "", IMAGE, "np.exp(", "1.0002 * np.exp("),
    _edited(
        "subpixel-shift",
        "",
        PANELS,
        "right.plot(x, np.cos(x))",
        "right.plot(x, np.cos(x))\nfig.subplots_adjust(left=0.1255)",
    ),
    _edited("text-place", "", CURVES, "(20, 0.45)", "(20.03, 0.4503)"),
    _edited("metric-in-title", "", CURVES.replace("Loss of the network", "test loss 0.412"), "0.412", "0.415"),
)
HARMLESS: tuple[Pair, ...] = _HARMLESS_TEXTS + _HARMLESS_FIGURES
