"""`sabir demo`, as a newcomer runs it: slixmpp and the `irc` library against the real server."""

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("slixmpp")
pytest.importorskip("irc")

DEMO = (sys.executable, "-c", "from sabir.cli import main; main()", "demo")


def test_both_clients_of_the_demo_see_everything() -> None:
    done = subprocess.run([*DEMO, "--once"], capture_output=True, text=True, timeout=120, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "Both clients saw all" in done.stdout
    assert "Missing" not in done.stdout


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_however_the_demo_ends_nothing_is_left_behind(ending: signal.Signals, tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(DEMO, stdout=subprocess.PIPE, text=True, env=environment) as demo:
        assert demo.stdout is not None
        shown = ""
        for line in demo.stdout:
            shown += line
            if "Ctrl-C" in line:
                break
        (port,) = re.findall(r"irssi -c 127\.0\.0\.1 -p (\d+)", shown)
        demo.send_signal(ending)

    assert demo.returncode == 0
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(port)))
