"""The data folder, which holds everything that the server keeps."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

SOCKET_NAME: Final = "control.sock"


def prepare(folder: Path) -> None:
    """Create the data folder if it is not there, for its owner alone, and keep new files in it so, too.

    Raises:
        OSError: it cannot be made, or is not a folder.
    """
    os.umask(0o077)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
