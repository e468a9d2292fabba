"""Runs a command that takes its time and shows that it goes on: `patience.py TEXT COMMAND...`.

What the command says is shown only if it fails. Runs before anything is installed.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from typing import IO

TICK_S = 0.5
NEW_LINE = "\r\x1b[K"
"""Begins the terminal's line afresh."""


def main(text: str, command: Sequence[str]) -> int:
    """Run `command`; return the code that it ended with."""
    watched = sys.stdout.isatty()
    if not watched:
        print(text, flush=True)
    began = time.monotonic()
    said: list[str] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        reader = threading.Thread(target=_collect, args=(process.stdout, said))
        reader.start()
        while reader.is_alive():
            reader.join(TICK_S)
            if watched:
                line = f"{text} {time.monotonic() - began:.0f} s  {said[-1] if said else ''}"
                print(NEW_LINE + line[: shutil.get_terminal_size().columns - 1], end="", flush=True)
    if watched:
        print(f"{NEW_LINE}{text} {time.monotonic() - began:.0f} s")
    if process.returncode:
        print("\n".join(said), file=sys.stderr)
    return process.returncode


def _collect(output: IO[str], said: list[str]) -> None:
    for line in output:
        said.append(line.strip())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2:]))
