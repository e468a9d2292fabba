"""`python -m bench`: run scenarios on servers, print the table, write the JSON."""

import argparse
import os
import signal
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from rich.console import Console

from bench.process import ServerDied, pin_load
from bench.report import Outcome, save, show
from bench.scenarios import FULL, QUICK, SCENARIOS, Effort, Scenario, accounts_for
from bench.servers import SERVERS
from bench.servers.contract import Running, Server
from bench.servers.sabir import PRELOADED
from bench.wire import LoadError

RESULTS: Final = Path(__file__).with_name("results")
FAULTS: Final = (LoadError, ServerDied, OSError)


def main() -> int:
    """Return 0 when every run was correct, 1 when one failed, 2 on a wrong command line."""
    options = _options()
    console = Console(width=None if sys.stdout.isatty() else 150)
    servers = _installed([server for server in SERVERS if _named(server.name, options.server)], console)
    scenarios = [scenario for scenario in SCENARIOS if _named(scenario.name, options.scenario)]
    if not servers or not scenarios:
        console.print("Nothing to measure. Servers:", *(server.name for server in SERVERS))
        console.print("Scenarios:", *(scenario.name for scenario in SCENARIOS))
        return 2
    if options.preloaded:
        os.environ[PRELOADED] = str(Path(options.preloaded).resolve())
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the server under test is stopped on the way out
    pin_load()
    effort = QUICK if options.quick else FULL
    outcomes: list[Outcome] = []
    for server in servers:
        mine = [Outcome(server, scenario) for scenario in scenarios if scenario.protocol in server.protocols]
        outcomes += mine
        for _ in range(options.repeat):
            _measure(server, mine, effort, console)
    show(console, outcomes)
    path = Path(options.output or RESULTS / f"{datetime.now(UTC):%Y-%m-%d-%H%M%S}.json")
    conditions = {
        "effort": "quick" if options.quick else "full",
        "preloaded": "yes" if options.preloaded else "no",
    }
    save(path, outcomes, {server.name: server.version() for server in servers}, conditions)
    console.print(f"Written to {path}")
    return 1 if any(outcome.failure for outcome in outcomes) else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--server", action="append", metavar="NAME", help="only this server; may be repeated")
    parser.add_argument(
        "--scenario",
        action="append",
        metavar="NAME",
        help="only scenarios with this name or prefix; may be repeated",
    )
    parser.add_argument("--quick", action="store_true", help="short runs: a look, not a measurement")
    parser.add_argument("--repeat", type=int, default=1, metavar="N", help="runs of each scenario")
    parser.add_argument(
        "--preloaded", metavar="DIR", help="start Sabir on a copy of this data folder (bench.preload)"
    )
    parser.add_argument("--output", metavar="FILE", help="where the JSON goes")
    return parser.parse_args()


def _named(name: str, wanted: Sequence[str] | None) -> bool:
    return not wanted or any(name == one or name.startswith(one + "-") for one in wanted)


def _installed(servers: Sequence[Server], console: Console) -> list[Server]:
    found = []
    for server in servers:
        if missing := server.missing():
            console.print(
                f"[yellow]{server.name} left out[/]: no {', '.join(missing)}. Install it: {server.install}"
            )
        else:
            found.append(server)
    return found


def _measure(server: Server, outcomes: Sequence[Outcome], effort: Effort, console: Console) -> None:
    """Run every outcome's scenario once: the loads on one start, those that need it on a fresh one."""
    loads = [outcome for outcome in outcomes if not outcome.scenario.alone]
    for group in ([loads] if loads else []) + [[outcome] for outcome in outcomes if outcome.scenario.alone]:
        with tempfile.TemporaryDirectory(prefix="bench-") as name:
            folder = Path(name)
            try:
                running = server.start(folder, accounts_for(effort))
            except FAULTS as error:
                for outcome in group:
                    _fail(outcome, f"did not start: {error}", console)
                continue
            try:
                for outcome in group:
                    _run(outcome, running, effort, console)
            finally:
                running.process.stop()


def _run(outcome: Outcome, running: Running, effort: Effort, console: Console) -> None:
    scenario: Scenario = outcome.scenario
    door = running.doors.get(scenario.protocol)
    if door is None:
        _fail(outcome, f"the server does not speak {scenario.protocol}", console)
        return
    try:
        figures = scenario.run(door, running.process, effort)
    except FAULTS as error:
        _fail(outcome, f"{error}\n{running.process.tail()}", console)
    else:
        outcome.runs.append(figures)
        text = "  ".join(f"{key} {value:g}" for key, value in figures.items())
        console.print(
            f"[bold]{outcome.server.name}[/] {scenario.name}: {text}", highlight=False, soft_wrap=True
        )


def _fail(outcome: Outcome, why: str, console: Console) -> None:
    outcome.failure = why
    console.print(f"[red]{outcome.server.name} {outcome.scenario.name} failed[/]:", end=" ")
    console.print(why, markup=False, highlight=False)


sys.exit(main())
