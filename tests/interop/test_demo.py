"""`sabir demo`, as a newcomer runs it: slixmpp and the `irc` library against the real server."""

import subprocess
import sys

import pytest

pytest.importorskip("slixmpp")
pytest.importorskip("irc")

DEMO = (sys.executable, "-c", "from sabir.cli import main; main()", "demo", "--once")


def test_both_clients_of_the_demo_see_everything() -> None:
    done = subprocess.run(DEMO, capture_output=True, text=True, timeout=120, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "Both clients saw all" in done.stdout
    assert "Missing" not in done.stdout
