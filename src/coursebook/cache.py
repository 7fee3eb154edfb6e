"""The executed notebooks that MyST-NB renders from: jupyter-cache, shared with plain `jupyter-book build .`."""

from __future__ import annotations

import shutil
from pathlib import Path

import nbformat
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from nbformat.reader import NotJSONError
from sqlalchemy.exc import SQLAlchemyError

from .page import Page


class Cache:
    """Outputs by kernel and code cells, in `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._cache = get_cache(folder)  # type: ignore[no-untyped-call]
        try:
            self._cache.list_cache_records()
        except SQLAlchemyError:
            # A damaged index: what it knew is executed again, here and not in the middle of rendering.
            shutil.rmtree(folder)
            folder.mkdir(parents=True)
            self._cache = get_cache(folder)  # type: ignore[no-untyped-call]

    def __contains__(self, page: Page) -> bool:
        try:
            record = self._cache.match_cache_notebook(page.notebook())
            self._cache.get_cache_bundle(record.pk)
        except (KeyError, ValueError, NotJSONError):  # not there, or its file is gone or cut off
            return False
        return True

    def add(self, page: Page, notebook: nbformat.NotebookNode, seconds: float) -> None:
        bundle = CacheBundleIn(notebook, page.path.as_posix(), data={"execution_seconds": seconds})
        self._cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)
