"""ngIRCd: in memory only, without SASL."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bench.process import Process, wait_for_port
from bench.servers.contract import Door, Running, Server, free_port, output_of
from bench.speech import Irc

CONFIG: Final = """\
[Global]
Name = irc.localhost
Info = benchmark
Listen = 127.0.0.1
Ports = {port}
ServerUID = {user}
ServerGID = {group}
[Limits]
MaxConnections = 0
MaxConnectionsIP = 0
MaxJoins = 0
MaxNickLength = 31
MaxPenaltyTime = 0
PingTimeout = 600
[Options]
DNS = no
Ident = no
PAM = no
"""


def _start(folder: Path, accounts: Sequence[str]) -> Running:
    port = free_port()
    config = folder / "ngircd.conf"
    owner = folder.stat()
    config.write_text(CONFIG.format(port=port, user=owner.st_uid, group=owner.st_gid))
    process = Process.start(["/usr/sbin/ngircd", "-n", "-f", str(config)], folder=folder)
    try:
        wait_for_port(process, port)
    except BaseException:
        process.stop()
        raise
    return Running(process, {"irc": Door(port, Irc(sasl=False), echoes_room=False)})


NGIRCD: Final = Server(
    name="ngircd",
    protocols=("irc",),
    durable=False,
    needs=("/usr/sbin/ngircd",),
    install="apt-get install ngircd",
    start=_start,
    version=lambda: output_of("/usr/sbin/ngircd", "--version"),
)
