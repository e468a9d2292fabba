"""mosquitto: in memory only, as it comes, for whoever connects."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bench.process import Process, wait_for_port
from bench.servers.contract import Door, Running, Server, free_port, output_of
from bench.speech import Mqtt

CONFIG: Final = """\
listener {port} 127.0.0.1
allow_anonymous true
user {user}
"""


def _start(folder: Path, accounts: Sequence[str]) -> Running:
    port = free_port()
    config = folder / "mosquitto.conf"
    config.write_text(CONFIG.format(port=port, user=folder.owner()))
    process = Process.start(["/usr/sbin/mosquitto", "-c", str(config)], folder=folder)
    try:
        wait_for_port(process, port)
    except BaseException:
        process.stop()
        raise
    return Running(process, {"mqtt": Door(port, Mqtt(), echoes_room=True)})


MOSQUITTO: Final = Server(
    name="mosquitto",
    protocols=("mqtt",),
    durable=False,
    needs=("/usr/sbin/mosquitto",),
    install="apt-get install mosquitto",
    start=_start,
    version=lambda: output_of("/usr/sbin/mosquitto", "-h"),
)
