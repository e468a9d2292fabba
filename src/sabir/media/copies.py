"""Copies of files, for backups: what is there already is not copied again, for a file never changes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from sabir.media.disk import place_of


def copy(keys: Iterable[str], source: Path, target: Path) -> int:
    """Copy the files with these keys from one folder to another; return how many are not there to be copied.

    Raises:
        OSError: they cannot be read, or not be written.
    """
    missing = 0
    target.mkdir(mode=0o700, parents=True, exist_ok=True)  # names are addresses: nobody else may list them
    for key in keys:
        found, place = source / place_of(key), target / place_of(key)
        if place.exists():
            continue
        place.parent.mkdir(mode=0o700, exist_ok=True)
        draft = place.with_name(f"{place.name}.partial")
        try:
            _copy(found, draft)
        except FileNotFoundError:
            draft.unlink(missing_ok=True)
            missing += 1
            continue
        draft.replace(place)
    return missing


def _copy(found: Path, draft: Path) -> None:
    with found.open("rb") as reading, open(draft, "wb", opener=_private) as writing:
        shutil.copyfileobj(reading, writing, 1 << 20)
        writing.flush()
        os.fsync(writing.fileno())


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
