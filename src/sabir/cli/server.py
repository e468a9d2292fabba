"""`sabir serve` and `sabir status`."""

from __future__ import annotations

import errno
from datetime import timedelta
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from sabir.admin import commands
from sabir.admin.control import ControlClient
from sabir.app.data import SOCKET_NAME
from sabir.base import log
from sabir.cli.options import DEFAULT_DATA, Config, Data, Json, Set, read_settings
from sabir.cli.output import called, out, refuse, show, tabulate
from sabir.net.tls import TlsError
from sabir.storage.lock import Locked


class Ports(Enum):
    """Where to listen."""

    AUTO = "auto"
    DEFAULT = "default"


def serve(
    data: Data = DEFAULT_DATA,
    config: Config = None,
    set_: Set = None,
    ports: Annotated[
        Ports,
        typer.Option(
            help="default: the usual ports on server.listen. auto: free ports on 127.0.0.1, for tests; there, "
            "passwords may travel without TLS."
        ),
    ] = Ports.DEFAULT,
    ready_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where to write, as JSON, the ports, once every one accepts."),
    ] = None,
) -> None:
    """Run the server in the foreground, until it is told to stop (Ctrl-C or SIGTERM).

    For example:

        sabir serve --data /var/lib/sabir

    For a test, on free ports, which are then found in the file:

        sabir serve --ports auto --ready-file ready.json --set limits.enabled=false
    """
    # Here, because no other command needs the event loop and all protocols.
    from sabir.app import server

    settings = read_settings(data, config, set_)
    log.configure(settings.log.level, settings.log.style)
    try:
        server.run(settings, data, ports=ports.value, ready_file=ready_file)
    except Locked as error:
        refuse(str(error))
    except TlsError as error:
        refuse(f"The certificate cannot be used: {error}. It is set in [tls].")
    except ValueError as error:
        refuse(f"{error}. It is set in [push].")
    except OSError as error:
        refuse(_advice(error))


def status(json: Json = False, data: Data = DEFAULT_DATA) -> None:
    """Say how the running server is: who is connected, where it listens, what is compiled. Ends with 1 if none runs.

    For example:

        sabir status --data /var/lib/sabir
    """
    try:
        client = ControlClient(data / SOCKET_NAME)
        answer = client.ask(commands.AskStatus())
        client.close()
    except OSError:
        refuse(f"No server runs on {data}. To start one: {called()} serve --data {data}")
    assert isinstance(answer, commands.Status)
    if json:
        show(answer)
        return
    connected = ", ".join(f"{count} by {protocol}" for protocol, count in sorted(answer.sessions.items()))
    facts = {
        "Sabir": f"{answer.version}, process {answer.pid}, up {timedelta(seconds=answer.uptime_s)}",
        "Domain": answer.domain,
        "Connected": connected or "nobody",
        "Accounts": str(answer.accounts),
        "Rooms": str(answer.rooms),
        "Log": f"{answer.entries} numbers given, generation {answer.generation}",
        "Compiled": ", ".join(answer.compiled) or "nothing",
    }
    for name, value in facts.items():
        out.print(f"{name:<10} {value}", markup=False)
    tabulate(
        ("Listener", "Address", "TLS"),
        [(each.name, f"{each.host}:{each.port}", each.tls) for each in answer.listeners],
    )


def announce(
    text: Annotated[str, typer.Argument(metavar="TEXT", help="What to say.")],
    subject: Annotated[str, typer.Option("--subject", metavar="LINE", help="What it is about.")] = "",
    data: Data = DEFAULT_DATA,
) -> None:
    """Say something to everybody who is connected now, whatever their protocol.

    For example:

        sabir announce "The server restarts in five minutes."
    """
    try:
        client = ControlClient(data / SOCKET_NAME)
        answer = client.ask(commands.Announce(text, subject))
        client.close()
    except OSError:
        refuse(f"No server runs on {data}, so nobody is there to hear it.")
    assert isinstance(answer, commands.Announced)
    out.print(f"{answer.devices} devices were told.", markup=False)


def _advice(error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"{error}. Another program listens there: stop it, or try free ports with --ports auto."
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{error}. server.listen names an address that this machine does not have."
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"{error}. Is the data folder yours, and may you listen on that port?"
    return f"{error}."
