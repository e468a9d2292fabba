"""Where files are on the listeners `http` and `https`: `sabir.media` serves them, protocols tell their addresses."""

from typing import Final
from urllib.parse import quote

from sabir.core.services.media import FOLDER

PATH: Final = f"{FOLDER}{{token}}/{{name}}"


def path_of(token: str, name: str) -> str:
    """Return the path of the file with that token and name."""
    return PATH.replace("{token}", token).replace("{name}", quote(name, safe=""))
