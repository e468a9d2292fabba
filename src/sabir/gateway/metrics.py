"""What Prometheus is told. Nothing here runs per message: it adds up plain integers when asked.

The only thing that is measured as it happens is the commit, once per batch.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from sabir.core.log import Log
from sabir.core.services.reports import Reports
from sabir.gateway.connection import Gateway, Traffic
from sabir.net.admission import Admission

_SECONDS: Final[tuple[float, ...]] = (
    0.0005,
    0.001,
    0.002,
    0.003,
    0.005,
    0.01,
    0.02,
    0.05,
    0.1,
    0.25,
    1.0,
    5.0,
)
_ENTRIES: Final[tuple[float, ...]] = (
    1.0,
    2.0,
    4.0,
    8.0,
    16.0,
    32.0,
    64.0,
    128.0,
    256.0,
    512.0,
    1024.0,
    4096.0,
)


class Histogram:
    """Counts values by size."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        """Count up to each of `bounds` (ascending, inclusive), and beyond."""
        self._bounds: Final = bounds
        self._counts: Final = [0] * (len(bounds) + 1)
        self.total = 0.0
        """The sum of all values."""

    def observe(self, value: float) -> None:
        """Count `value`."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self.total += value

    def buckets(self) -> list[tuple[str, float]]:
        """Return (bound, how many values up to it) for each bound and for infinity."""
        found, running = [], 0
        for bound, count in zip((*map(str, self._bounds), "+Inf"), self._counts, strict=True):
            running += count
            found.append((bound, float(running)))
        return found


class CommitMeter:
    """How long commits take and how much each makes durable; the log calls it (`sabir.core.ports.Meter`)."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        """Measure.

        Args:
            seconds: a monotonic clock of high resolution, e.g. `time.perf_counter`.
        """
        self.seconds: Final = Histogram(_SECONDS)
        self.entries: Final = Histogram(_ENTRIES)
        self.failed = 0
        self._now: Final = seconds
        self._began = 0.0

    def started(self) -> None:
        """Note that a batch was handed to the store."""
        self._began = self._now()

    def finished(self, entries: int, *, durable: bool) -> None:
        """Note the outcome of that batch."""
        if durable:
            self.seconds.observe(self._now() - self._began)
            self.entries.observe(entries)
        else:
            self.failed += 1


class Metrics(Collector):
    """Everything that `/metrics` shows."""

    def __init__(
        self,
        version: str,
        *,
        gateway: Gateway,
        admission: Admission,
        core_log: Log,
        commits: CommitMeter,
        reports: Reports,
    ) -> None:
        self._version: Final = version
        self._gateway: Final = gateway
        self._admission: Final = admission
        self._log: Final = core_log
        self._commits: Final = commits
        self._reports: Final = reports
        self._registry: Final = CollectorRegistry()
        self._registry.register(self)
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)

    def exposition(self) -> bytes:
        """Return all metrics in the text format of Prometheus."""
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """Return Sabir's own metrics as they are now."""
        info = InfoMetricFamily("sabir", "The running server")
        info.add_metric([], {"version": self._version})
        yield info
        yield from self._of_protocols(self._gateway.traffic.values())
        yield from self._of_the_log()
        filed = CounterMetricFamily("sabir_reports", "Reports of spam and abuse by people here")
        filed.add_metric([], self._reports.filed)
        yield filed

    def _of_protocols(self, traffics: Iterable[Traffic]) -> Iterator[Metric]:
        connections = _gauge("connections", "Connections that are open")
        lagging = _gauge("connections_lagging", "Connections whose client reads too slowly to be served live")
        accepted = _counter("connections_accepted", "Connections since the start")
        bytes_in = _counter("received_bytes", "Bytes received")
        bytes_out = _counter("sent_bytes", "Bytes sent, before encryption")
        messages_in = _counter("messages_in", "Messages received from clients")
        messages_out = _counter("messages_out", "Messages delivered to clients")
        logins = _counter("logins", "Successful logins")
        faults = _counter("faults", "Faults in a session; each is in the log with its traceback")
        refusals = _counter("refusals", "What the core refused", "reason")
        for traffic in traffics:
            counters = traffic.front_end.counters
            label = [traffic.front_end.protocol]
            connections.add_metric(label, len(traffic.live))
            lagging.add_metric(label, traffic.lagging)
            accepted.add_metric(label, counters.connections)
            bytes_in.add_metric(label, traffic.bytes_in)
            bytes_out.add_metric(label, traffic.bytes_out)
            messages_in.add_metric(label, counters.messages_in)
            messages_out.add_metric(label, counters.messages_out)
            logins.add_metric(label, counters.logins)
            faults.add_metric(label, traffic.faults)
            for refusal, count in counters.refusals.items():
                refusals.add_metric([*label, refusal.name.lower()], count)
        yield from (connections, lagging, accepted, bytes_in, bytes_out)
        yield from (messages_in, messages_out, logins, faults, refusals)
        turned_away = CounterMetricFamily(
            "sabir_connections_refused", "Connections closed before they began", labels=["reason"]
        )
        for reason, count in self._admission.refused.items():
            turned_away.add_metric([reason], count)
        yield turned_away

    def _of_the_log(self) -> Iterator[Metric]:
        log, commits = self._log, self._commits
        yield GaugeMetricFamily("sabir_log_healthy", "1 when the last commit succeeded", value=log.healthy)
        yield GaugeMetricFamily("sabir_log_head", "The number of the last commit", value=log.head_seq)
        yield GaugeMetricFamily("sabir_log_queue", "Items that wait to be committed", value=len(log.pending))
        yield GaugeMetricFamily(
            "sabir_log_queue_bytes", "Bytes that wait to be committed", value=log.pending_bytes
        )
        yield CounterMetricFamily("sabir_log_entries", "Entries appended", value=log.appended)
        yield CounterMetricFamily("sabir_log_failed_commits", "Commits that failed", value=commits.failed)
        yield _histogram("sabir_commit_seconds", "From batch to durable", commits.seconds)
        yield _histogram("sabir_commit_entries", "Entries that share a commit", commits.entries)


def _gauge(name: str, what: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"sabir_{name}", what, labels=["protocol"])


def _counter(name: str, what: str, *labels: str) -> CounterMetricFamily:
    return CounterMetricFamily(f"sabir_{name}", what, labels=["protocol", *labels])


def _histogram(name: str, what: str, histogram: Histogram) -> HistogramMetricFamily:
    return HistogramMetricFamily(name, what, buckets=histogram.buckets(), sum_value=histogram.total)
