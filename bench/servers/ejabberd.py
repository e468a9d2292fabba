"""ejabberd, with and without an archive (XEP-0313) in SQLite.

It is started straight from `erl`, without the distribution, so that it needs neither its system user nor epmd.
One scheduler, as it has one core, and no busy waiting, which would be charged as work.
"""

import http.client
import json
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from bench.process import Process, wait_for_port
from bench.servers.contract import Door, Running, Server, free_port, output_of
from bench.speech import PASSWORD, Xmpp

CONFIG: Final = """\
hosts: [localhost]
loglevel: warning
auth_method: internal
auth_password_format: scram
{sql}
listen:
  - {{port: {xmpp}, ip: "127.0.0.1", module: ejabberd_c2s, max_stanza_size: 262144,
     access: all, shaper: none, starttls: false, backlog: 1024}}
  - {{port: {http}, ip: "127.0.0.1", module: ejabberd_http, request_handlers: {{/api: mod_http_api}}}}
acl: {{loopback: {{ip: 127.0.0.0/8}}}}
api_permissions: {{bench: {{who: {{access: {{allow: [{{acl: loopback}}]}}}}, what: "*"}}}}
shaper_rules: {{max_user_sessions: 10, max_user_offline_messages: 100}}
modules:
  mod_admin_extra: {{}}
  mod_blocking: {{}}
  mod_caps: {{}}
  mod_carboncopy: {{}}
  mod_client_state: {{}}
  mod_disco: {{}}
  mod_http_api: {{}}
  mod_last: {{}}
{mam}
  mod_muc: {{host: rooms.localhost{room}}}
  mod_offline: {{}}
  mod_ping: {{}}
  mod_privacy: {{}}
  mod_private: {{}}
  mod_roster: {{}}
  mod_stream_mgmt: {{}}
  mod_vcard: {{search: false}}
  mod_version: {{}}
"""
LIBRARIES: Final = "/usr/lib/x86_64-linux-gnu"
SCHEMA: Final = Path("/usr/share/ejabberd/sql/lite.sql")


def _start(folder: Path, accounts: Sequence[str], *, archive: bool) -> Running:
    xmpp, http_port = free_port(), free_port()
    config = folder / "ejabberd.yml"
    config.write_text(
        CONFIG.format(
            xmpp=xmpp,
            http=http_port,
            sql=f"sql_type: sqlite\nsql_database: {folder}/archive.db" if archive else "",
            mam="  mod_mam: {db_type: sql, default: always}" if archive else "",
            room=", default_room_options: {mam: true}" if archive else "",
        )
    )
    if archive:
        with closing(sqlite3.connect(folder / "archive.db")) as database:
            database.executescript(SCHEMA.read_text())
    runtime = [
        "+K",
        "true",
        "+P",
        "250000",
        "+S",
        "1:1",
        "+sbwt",
        "none",
        "+sbwtdcpu",
        "none",
        "+sbwtdio",
        "none",
    ]
    process = Process.start(
        ["erl", *runtime, "-noinput", "-mnesia", "dir", f'"{folder}/mnesia"', "-s", "ejabberd"],
        folder=folder,
        env={
            "ERL_LIBS": LIBRARIES,
            "EJABBERD_CONFIG_PATH": str(config),
            "EJABBERD_LOG_PATH": str(folder / "ejabberd.log"),
            "ERL_CRASH_DUMP": str(folder / "crash.dump"),
            "HOME": str(folder),
        },
    )
    try:
        wait_for_port(process, http_port)
        wait_for_port(process, xmpp)
        _register(http_port, accounts)
    except BaseException:
        process.stop()
        raise
    return Running(process, {"xmpp": Door(xmpp, Xmpp(), echoes_room=True)})


def _register(port: int, accounts: Sequence[str]) -> None:
    api = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    for account in accounts:
        body = json.dumps({"user": account, "host": "localhost", "password": PASSWORD})
        api.request("POST", "/api/register", body, {"Content-Type": "application/json"})
        answer = api.getresponse()
        text = answer.read().decode()
        if answer.status != 200:
            raise RuntimeError(f"ejabberd did not register {account}: {answer.status} {text}")
    api.close()


def _version() -> str:
    return "ejabberd " + output_of("dpkg-query", "-W", "-f", "${Version}", "ejabberd")


EJABBERD: Final = Server(
    name="ejabberd",
    protocols=("xmpp",),
    durable=False,
    needs=("erl", "/usr/sbin/ejabberdctl"),
    install="apt-get install ejabberd",
    start=lambda folder, accounts: _start(folder, accounts, archive=False),
    version=_version,
)
EJABBERD_SQL: Final = Server(
    name="ejabberd+sql",
    protocols=("xmpp",),
    durable=True,
    needs=("erl", "/usr/sbin/ejabberdctl", "/usr/share/doc/erlang-p1-sqlite3"),
    install="apt-get install ejabberd erlang-p1-sqlite3",
    start=lambda folder, accounts: _start(folder, accounts, archive=True),
    version=_version,
)
