"""`sabir demo`: two real clients of two protocols in one room, side by side.

The clients are third-party libraries (the extra `demo`), so that what is shown is what users will see.
"""

from __future__ import annotations

import asyncio
import importlib.util
import signal
import sys
from contextlib import ExitStack
from typing import Annotated, Final

import typer

from sabir.cli.demo.script import GUEST_NAME, IRC_NAME, ROOM, XMPP_NAME
from sabir.cli.demo.stage import StageError, stage
from sabir.cli.output import refuse

LIBRARIES: Final = ("slixmpp", "irc")


def demo(
    once: Annotated[
        bool,
        typer.Option(
            "--once", help="End after the conversation: with 0 if both clients saw everything, else with 1."
        ),
    ] = False,
) -> None:
    """See it work: start a server, let an XMPP and an IRC client talk in one room, then join them.

    The server uses free ports of 127.0.0.1 and a temporary folder; nothing is left behind.
    """
    if missing := [name for name in LIBRARIES if importlib.util.find_spec(name) is None]:
        refuse(
            f"The demo talks with real clients, and {' and '.join(missing)} is not installed. "
            f"To install it: {sys.executable} -m pip install {' '.join(missing)}"
        )
    # Here, because these libraries are there for the demo only.
    from sabir.cli.demo import play, view

    for ending in (signal.SIGTERM, signal.SIGHUP):  # also when the terminal is closed, the server has to stop
        signal.signal(ending, signal.default_int_handler)
    console = view.screen()
    complete = False
    try:
        with ExitStack() as stack:
            with console.status("Starting a server…"):
                set_ = stack.enter_context(stage((XMPP_NAME, IRC_NAME, GUEST_NAME), ROOM))
            complete = asyncio.run(play.play(set_, console, stay=not once))
    except KeyboardInterrupt:
        complete = not once  # Whoever stayed has seen it.
    except (StageError, OSError) as error:
        refuse(f"The demo could not run. {error}")
    if not complete:
        raise typer.Exit(1)
