"""Prosody, with and without an archive (XEP-0313) in SQLite."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bench.process import Process, wait_for_port
from bench.servers.contract import Door, Running, Server, free_port, output_of
from bench.speech import PASSWORD, Xmpp

CONFIG: Final = """\
run_as_root = true
daemonize = false
data_path = "{folder}/data"
log = {{ {{ levels = {{ min = "warn" }}, to = "console" }} }}
interfaces = {{ "127.0.0.1" }}
local_interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {port} }}
legacy_ssl_ports = {{}}
s2s_ports = {{}}
http_ports = {{}}
https_ports = {{}}
c2s_require_encryption = false
allow_unencrypted_plain_auth = true
authentication = "internal_plain"
network_backend = "epoll"
storage = {storage}
{sql}
default_archive_policy = true
modules_enabled = {{ "roster", "saslauth", "disco", "carbons", "pep", "private",
  "blocklist", "vcard4", "version", "ping", "smacks", "csi_simple"{mam} }}
modules_disabled = {{ "s2s", "tls" }}
VirtualHost "localhost"
Component "rooms.localhost" "muc"
  muc_room_locking = false
  {room}
"""


def _start(folder: Path, accounts: Sequence[str], *, archive: bool) -> Running:
    port = free_port()
    config = folder / "prosody.cfg.lua"
    config.write_text(
        CONFIG.format(
            folder=folder,
            port=port,
            storage='{ archive = "sql", muc_log = "sql" }' if archive else '"internal"',
            sql=f'sql = {{ driver = "SQLite3", database = "{folder}/archive.sqlite" }}' if archive else "",
            mam=', "mam"' if archive else "",
            room='modules_enabled = { "muc_mam" }; muc_log_by_default = true' if archive else "",
        )
    )
    store = folder / "data" / "localhost" / "accounts"
    store.mkdir(parents=True)
    for account in accounts:
        (store / f"{account}.dat").write_text(f'return {{ ["password"] = "{PASSWORD}"; }};\n')
    process = Process.start(["prosody", "-F", "--config", str(config)], folder=folder)
    try:
        wait_for_port(process, port)
    except BaseException:
        process.stop()
        raise
    return Running(process, {"xmpp": Door(port, Xmpp(), echoes_room=True)})


def _version() -> str:
    return "prosody " + output_of("dpkg-query", "-W", "-f", "${Version}", "prosody")


PROSODY: Final = Server(
    name="prosody",
    protocols=("xmpp",),
    durable=False,
    needs=("prosody",),
    install="apt-get install prosody",
    start=lambda folder, accounts: _start(folder, accounts, archive=False),
    version=_version,
)
PROSODY_SQL: Final = Server(
    name="prosody+sql",
    protocols=("xmpp",),
    durable=True,
    needs=("prosody", "/usr/share/doc/lua-dbi-sqlite3"),
    install="apt-get install prosody lua-dbi-sqlite3",
    start=lambda folder, accounts: _start(folder, accounts, archive=True),
    version=_version,
)
