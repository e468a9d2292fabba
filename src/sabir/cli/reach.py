"""How a command reaches the accounts and rooms: through the running server, or the store if none runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sabir.admin.commands import Answer, Command, Refused
from sabir.admin.control import ControlClient
from sabir.app import data as data_folder
from sabir.app import offline
from sabir.app.settings import FILE_NAME as SETTINGS_NAME
from sabir.app.settings import Settings
from sabir.cli.output import err, refuse
from sabir.storage.lock import Locked
from sabir.storage.sqlite.connections import FILE_NAME as STORE_NAME

Ask = Callable[[Command], Answer]


@contextmanager
def operator(data: Path, settings: Settings) -> Iterator[Ask]:
    """Yield what carries out commands; ends the command where neither way is open."""
    try:
        client = ControlClient(data / data_folder.SOCKET_NAME)
    except OSError:
        try:
            if not any((data / known).exists() for known in (STORE_NAME, SETTINGS_NAME)):
                err.print(f"There was nothing in {data}; a new store is made.", markup=False)
            data_folder.prepare(data)
            with offline.operator(data, settings) as ask:
                yield ask
        except Locked:
            refuse(f"The server on {data} is starting or stopping. Try again in a moment.")
        except OSError as error:
            refuse(f"{data} cannot be used: {error}. Choose another folder with --data.")
    else:
        try:
            yield client.ask
        except OSError as error:
            refuse(f"The server on {data} did not answer: {error}. What it was doing is in its log.")
        finally:
            client.close()


def ask(data: Path, settings: Settings, command: Command) -> Answer:
    """Have one command carried out; a refusal ends the command."""
    with operator(data, settings) as carry_out:
        answer = carry_out(command)
    if isinstance(answer, Refused):
        refuse(answer.text)
    return answer
