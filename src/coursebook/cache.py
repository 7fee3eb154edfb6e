"""The cache that MyST-NB renders from (jupyter-cache), filled from the store before pages are read."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

import nbformat
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from nbformat.reader import NotJSONError
from sqlalchemy.exc import SQLAlchemyError

from .page import Page
from .store import StoredPage, fill, outputs_digest


class Cache:
    """A jupyter-cache in `folder`; a damaged one is begun anew, since all that is in it is in the store."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self._cache = get_cache(folder)  # type: ignore[no-untyped-call]
        try:
            self._cache.list_cache_records()
        except SQLAlchemyError:
            shutil.rmtree(folder)
            folder.mkdir(parents=True)
            self._cache = get_cache(folder)  # type: ignore[no-untyped-call]

    def put(self, page: Page, stored: StoredPage) -> None:
        """Have MyST-NB find `stored` when it reads `page`; nothing is written where it already does."""
        notebook = fill(page.notebook(), stored)
        if self._holds(notebook):
            return
        bundle = CacheBundleIn(notebook, page.path.as_posix(), data={"execution_seconds": stored.provenance.seconds})
        self._cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)

    def drop(self, page: Page) -> None:
        """Have MyST-NB find nothing for `page`, so that it doesn't render what is no longer current."""
        with suppress(KeyError):
            self._cache.remove_cache(self._cache.match_cache_notebook(page.notebook()).pk)

    def _holds(self, notebook: nbformat.NotebookNode) -> bool:
        try:
            record = self._cache.match_cache_notebook(notebook)
            bundle = self._cache.get_cache_bundle(record.pk)
        except (KeyError, ValueError, NotJSONError):  # not there, or its file is gone or cut off
            return False
        return outputs_digest(bundle.nb) == outputs_digest(notebook)
