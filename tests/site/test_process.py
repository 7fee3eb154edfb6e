"""The process that renders: what becomes of it where it doesn't start."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import IO

import pytest

from coursebook.site import process
from coursebook.site.process import RenderingProcess


def test_a_process_that_cannot_start_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[IO[bytes]] = []

    def refuse(*given: object, stderr: IO[bytes], **others: object) -> None:
        opened.append(stderr)
        raise OSError("no memory is left")

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(process, "Popen", refuse)
    renderer = RenderingProcess(tmp_path)
    with pytest.raises(OSError, match="no memory is left"), renderer:
        pass
    assert opened[0].closed
    assert renderer._aside.closed
    assert not list(tmp_path.iterdir())
