"""The result of a run: a table for people, JSON for the rest."""

import json
import os
import platform
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench.scenarios import SCENARIOS, Scenario
from bench.servers.contract import Server


@dataclass(slots=True)
class Outcome:
    """The runs of one scenario on one server."""

    server: Server
    scenario: Scenario
    runs: list[dict[str, float]] = field(default_factory=list)
    failure: str = ""

    def middle(self) -> dict[str, float]:
        """Return the median of every figure."""
        return {key: statistics.median(run[key] for run in self.runs) for key in self.runs[0]}

    def verdict(self) -> str:
        """Return how Sabir did against its targets; other servers have none."""
        if self.server.name != "sabir" or self.failure or not self.runs:
            return ""
        middle = self.middle()
        missed = [f"{key} > {bound:g}" for key, bound in self.scenario.targets.items() if middle[key] > bound]
        if middle.get("received", 0) < middle.get("offered", 0):
            missed.append("messages lost")
        return f"[red]missed: {', '.join(missed)}[/]" if missed else "[green]reached[/]"


def show(console: Console, outcomes: Sequence[Outcome]) -> None:
    """Print one table for the loads and one for the memory."""
    loads = Table(title="Load: server on one core, medians (lowest in brackets)")
    for heading in ("scenario", "server", "log"):
        loads.add_column(heading)
    for heading in ("msgs/s", "CPU us/msg", "p50 ms", "p99 ms", "server", "load"):
        loads.add_column(heading, justify="right")
    loads.add_column("target")
    memory = Table(title="Memory of the server")
    for heading in ("scenario", "server"):
        memory.add_column(heading)
    memory.add_column("growth", justify="right")
    memory.add_column("delivered", justify="right")
    memory.add_column("target")
    for scenario in SCENARIOS:
        table = memory if scenario.alone else loads
        rows = [outcome for outcome in outcomes if outcome.scenario is scenario]
        for outcome in rows:
            table.add_row(*(_memory_row(outcome) if scenario.alone else _load_row(outcome)))
        if rows:
            table.add_section()
    for table in (loads, memory):
        if table.row_count:
            console.print(table)


def _load_row(outcome: Outcome) -> list[str]:
    scenario, server = outcome.scenario, outcome.server
    head = [
        f"{scenario.protocol.upper()} {scenario.title}",
        server.name,
        "disk" if server.durable else "none",
    ]
    if not outcome.runs:
        return [*head, "[red]failed[/]", outcome.failure.splitlines()[0][:60]]
    middle = outcome.middle()
    lowest = min(run["cpu_us"] for run in outcome.runs)
    return [
        *head,
        f"{middle['per_second']:,.0f}",
        f"{middle['cpu_us']:.1f} ({lowest:.1f})",
        f"{middle['p50_ms']:.2f}",
        f"{middle['p99_ms']:.2f}",
        f"{middle['server_share']:.0%}",
        f"{middle['load_share']:.0%}",
        outcome.verdict() or ("[red]a run failed[/]" if outcome.failure else ""),
    ]


def _memory_row(outcome: Outcome) -> list[str]:
    scenario = outcome.scenario
    head = [f"{scenario.protocol.upper()} {scenario.title}", outcome.server.name]
    if not outcome.runs:
        return [*head, "[red]failed[/]", outcome.failure.splitlines()[0][:60]]
    middle = outcome.middle()
    if "kib_per_connection" in middle:
        return [
            *head,
            f"{middle['kib_per_connection']:.1f} KiB each",
            f"{middle['connections']:.0f}",
            outcome.verdict(),
        ]
    delivered = f"{middle['received'] / middle['sent']:.0%}"
    if middle["sent"] < middle["offered"]:
        delivered = f"sender held back at {middle['sent'] / middle['offered']:.0%}"
    return [*head, f"{middle['rss_growth_mib']:.1f} MiB", delivered, outcome.verdict()]


def save(
    path: Path, outcomes: Sequence[Outcome], versions: Mapping[str, str], conditions: Mapping[str, str]
) -> None:
    """Write everything measured to `path`."""
    document = {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {
            "processor": _processor(),
            "cores": os.cpu_count(),
            "kernel": platform.release(),
            "python": platform.python_version(),
            "load_average": os.getloadavg()[0],
        },
        "conditions": dict(conditions),
        "versions": dict(versions),
        "results": [
            {
                "scenario": outcome.scenario.name,
                "server": outcome.server.name,
                "durable": outcome.server.durable,
                "runs": outcome.runs,
                "failure": outcome.failure,
                "targets": dict(outcome.scenario.targets) if outcome.server.name == "sabir" else {},
            }
            for outcome in outcomes
        ],
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1) + "\n")


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
