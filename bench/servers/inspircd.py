"""InspIRCd: in memory only, and without SASL, which it has only with a services server beside it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bench.process import Process, wait_for_port
from bench.servers.contract import Door, Running, Server, free_port, output_of
from bench.speech import Irc

CONFIG: Final = """\
<server name="irc.localhost" description="benchmark" network="bench" id="0BN">
<admin name="bench" nick="bench" email="bench@localhost">
<bind address="127.0.0.1" port="{port}" type="clients">
<connect allow="*" timeout="60" pingfreq="600" hardsendq="268435456" softsendq="67108864" recvq="1048576"
  threshold="1000000" commandrate="100000000" fakelag="no" localmax="10000" globalmax="10000" maxconnwarn="no"
  limit="10000" useident="no" resolvehostnames="no">
<class name="none"><type name="none" classes="none">
<dns server="127.0.0.1" timeout="1">
<pid file="{folder}/inspircd.pid">
<path configdir="{folder}" datadir="{folder}" logdir="{folder}" runtimedir="{folder}">
<log method="file" type="* -USERINPUT -USEROUTPUT" level="default" target="{folder}/inspircd.log">
<performance netbuffersize="65534" softlimit="10000" somaxconn="1024">
<options defaultmodes="nt">
<limits maxnick="31">
<channels users="1000">
"""


def _start(folder: Path, accounts: Sequence[str]) -> Running:
    port = free_port()
    config = folder / "inspircd.conf"
    config.write_text(CONFIG.format(folder=folder, port=port))
    command = ["/usr/sbin/inspircd", f"--config={config}", "--nofork", "--runasroot", "--nopid"]
    process = Process.start(command, folder=folder)
    try:
        wait_for_port(process, port)
    except BaseException:
        process.stop()
        raise
    return Running(process, {"irc": Door(port, Irc(sasl=False), echoes_room=False)})


INSPIRCD: Final = Server(
    name="inspircd",
    protocols=("irc",),
    durable=False,
    needs=("/usr/sbin/inspircd",),
    install="apt-get install inspircd",
    start=_start,
    version=lambda: output_of("/usr/sbin/inspircd", "--version"),
)
