"""Plays the demo and takes a picture of what it shows: `docs/images/demo.png`.

Needs Chromium and two fonts (`apt-get install chromium fonts-firacode fonts-noto-color-emoji`); run it from the
root of the repository with `PYTHONPATH=src .venv/bin/python -m tools.demo_picture`.
"""

from __future__ import annotations

import asyncio
import io
import re
import subprocess
import sys
from pathlib import Path
from shutil import which
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.terminal_theme import TerminalTheme

from sabir.cli.demo import play, view
from sabir.cli.demo.script import GUEST_NAME, IRC_NAME, ROOM, XMPP_NAME
from sabir.cli.demo.stage import stage
from tools.spec_table import ROOT

PICTURE = ROOT / "docs/images/demo.png"
SCALE = 1.5
"""Pixels of the picture for one of the page, so that it is sharp on today's screens."""

BACKGROUND, TEXT = "181a26", "e0e2f0"
NORMAL = "3c4054 f06478 82d28c f0c86e 78a0fa c896fa 64d2e6 e0e2f0"
BRIGHT = "6e728c fa8296 96e6a0 fad782 8cb4ff f096dc 6ee1f0 ffffff"
"""The colours of the terminal, in the order of their numbers."""


def played() -> str:
    """Play the demo; return what a terminal would show, as SVG."""
    console = Console(file=io.StringIO(), record=True, width=view.WIDTH, highlight=False)
    console.print("$ make run\n", style="bold")
    with stage((XMPP_NAME, IRC_NAME, GUEST_NAME), ROOM) as set_:
        if not asyncio.run(play.play(set_, console, stay=False)):
            raise SystemExit("The clients did not see everything; `sabir demo` says what is missing.")
        console.print()
        console.print(view.invitation(set_))
    colours = TerminalTheme(
        _rgb(BACKGROUND), _rgb(TEXT), [*map(_rgb, NORMAL.split())], [*map(_rgb, BRIGHT.split())]
    )
    return console.export_svg(title="make run", theme=colours)


def photograph(svg: str, picture: Path) -> None:
    """Let Chromium render `svg` into a PNG file."""
    chromium = which("chromium") or which("chromium-browser")
    size = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)
    if chromium is None or size is None:
        raise SystemExit(
            "Chromium is missing: apt-get install chromium fonts-firacode fonts-noto-color-emoji"
        )
    width, height = (round(float(each)) for each in size.groups())
    with TemporaryDirectory() as folder:
        page = Path(folder) / "demo.html"
        page.write_text(f"<style>body {{ margin: 0; line-height: 0 }}</style>{svg}", encoding="utf-8")
        command = [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
        command += [f"--user-data-dir={folder}/profile", "--default-background-color=00000000"]
        command += [f"--window-size={width},{height}", f"--force-device-scale-factor={SCALE}"]
        command += [f"--screenshot={picture}", page.as_uri()]
        subprocess.run(command, check=True, capture_output=True, timeout=120)


def _rgb(colour: str) -> tuple[int, int, int]:
    red, green, blue = bytes.fromhex(colour)
    return red, green, blue


def main() -> int:
    """Take the picture."""
    photograph(played(), PICTURE)
    print(f"{PICTURE.relative_to(ROOT)}: {PICTURE.stat().st_size // 1024} KiB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
