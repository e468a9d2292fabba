"""`sabir chat`."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from sabir.cli.output import err, misused, refuse

if TYPE_CHECKING:
    from sabir.client.client import Client
    from sabir.client.model import Change

PASSWORD: Final = "SABIR_CHAT_PASSWORD"
PASSPHRASE: Final = "SABIR_CHAT_PASSPHRASE"
KEPT: Final = "password"


def chat(
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="Your account, e.g. ada@example.org.")],
    server: Annotated[
        str,
        typer.Option(
            "--server", metavar="HOST:PORT", help="Where to connect, if not where DNS says (STARTTLS)."
        ),
    ] = "",
    certificate: Annotated[
        Path | None,
        typer.Option(
            "--certificate",
            metavar="FILE",
            help="Trust this certificate alone; for a server that signs its own, e.g. certificate.pem of its data.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option("--folder", metavar="DIR", help="Where messages and keys lie, sealed."),
    ] = None,
    passphrase: Annotated[
        bool,
        typer.Option(
            "--passphrase",
            help=f"Seal them with a passphrase (${PASSPHRASE}) instead of a key beside them.",
        ),
    ] = False,
    remember: Annotated[bool, typer.Option("--remember", help="Keep the password, sealed.")] = False,
) -> None:
    """Talk to people in the terminal, encrypted with OMEMO where you want.

    Works with any XMPP server. Press F1 for the keys. For example, with a server of one's own on this machine:

        sabir chat ada@localhost --server localhost:5222 --certificate sabir-data/certificate.pem

    The password is asked for, or taken from $SABIR_CHAT_PASSWORD.
    """
    try:
        from sabir.client.archive import Archive
        from sabir.client.chat import ChatApp
        from sabir.client.client import Client
        from sabir.client.connection import Server
        from sabir.client.sealing import WrongKey
    except ModuleNotFoundError as error:
        refuse(f"The chat needs {error.name}, which is not installed. Type: pip install 'sabir[chat]'")
    name, at, domain = address.partition("@")
    if not (name and at and domain) or "/" in address:
        misused(f"{address} is no account: it has the form name@domain.")
    where = _server(server)
    own = (folder or _data_home() / "sabir-chat") / address.lower()
    try:
        archive = Archive(own, _passphrase() if passphrase else None)
    except WrongKey:
        refuse(
            f"{own} does not open: another passphrase, or it was sealed {'without' if passphrase else 'with'} one."
        )
    password = _password(address, archive.secret(KEPT))
    if remember:
        archive.keep_secret(KEPT, password.encode())

    def connect(listener: Callable[[Change], None]) -> Client:
        return Client(address, password, archive, listener, Server(*where, certificate))

    logging.basicConfig(
        filename=own / "log", level=logging.WARNING, format="%(asctime)s %(name)s %(message)s"
    )
    app = ChatApp(connect, Path.home() / "Downloads")
    app.run()
    archive.close()
    if app.refused:
        refuse(app.refused)
    err.print("Goodbye.")


def _server(text: str) -> tuple[str, int]:
    if not text:
        return "", 0
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit():
        misused(f"--server {text}: it has the form host:port.")
    return host.strip("[]"), int(port)


def _password(address: str, kept: bytes | None) -> str:
    if (given := os.environ.get(PASSWORD)) is not None:
        return given
    if kept is not None:
        return kept.decode()
    return str(typer.prompt(f"Password of {address}", hide_input=True, err=True))


def _passphrase() -> str:
    if (given := os.environ.get(PASSPHRASE)) is not None:
        return given
    return str(typer.prompt("Passphrase of this device", hide_input=True, err=True))


def _data_home() -> Path:
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
