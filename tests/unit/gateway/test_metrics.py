import itertools

from tests.unit.gateway.harness import Running, running
from tests.unit.net.harness import run

from sabir.core.errors import Refusal
from sabir.core.log import Log
from sabir.gateway.metrics import CommitMeter, Histogram, Metrics


class QuietLog:
    """The numbers of a log that the metrics look at."""

    healthy = True
    head_seq = 42
    pending = (1, 2, 3)
    pending_bytes = 192
    appended = 40


class SomeReports:
    """The number of reports."""

    filed = 2


def told(server: Running, commits: CommitMeter) -> dict[str, float]:
    metrics = Metrics(
        "1.2.3",
        gateway=server.gateway,
        admission=server.admission,
        core_log=QuietLog(),  # type: ignore[arg-type]  # numbers are all that is read
        commits=commits,
        reports=SomeReports(),  # type: ignore[arg-type]  # so here
    )
    lines = metrics.exposition().decode().splitlines()
    return {key: float(value) for key, _, value in (line.rpartition(" ") for line in lines if line[0] != "#")}


def test_a_histogram_counts_up_to_each_bound_inclusive() -> None:
    histogram = Histogram((1.0, 2.0))

    for value in (0.5, 1.0, 1.5, 2.0, 99.0):
        histogram.observe(value)

    assert histogram.buckets() == [("1.0", 2.0), ("2.0", 4.0), ("+Inf", 5.0)]
    assert histogram.total == 104.0


def test_commits_are_timed_and_sized() -> None:
    ticks = itertools.count(step=0.25)
    meter = CommitMeter(lambda: next(ticks))

    for durable in (True, True, False):
        meter.started()
        meter.finished(3, durable=durable)

    assert (meter.seconds.total, meter.entries.total, meter.failed) == (0.5, 6.0, 1)


def test_the_page_shows_connections_messages_refusals_and_the_log() -> None:
    async def main() -> None:
        async with running() as server:
            reader, writer = await server.connect()
            _, idle = await server.connect()
            writer.write(b"one\ntwo\n")
            await reader.readexactly(8)
            server.front_end.counters.refused(Refusal.NO_VOICE)
            server.front_end.counters.refused(Refusal.NO_VOICE)
            commits = CommitMeter(lambda: 0.0)
            commits.started()
            commits.finished(2, durable=True)

            found = told(server, commits)

            assert found['sabir_connections{protocol="echo"}'] == 2
            assert found['sabir_connections_accepted_total{protocol="echo"}'] == 2
            assert found['sabir_messages_in_total{protocol="echo"}'] == 2
            assert found['sabir_received_bytes_total{protocol="echo"}'] == 8
            assert found['sabir_sent_bytes_total{protocol="echo"}'] == 8
            assert found['sabir_refusals_total{protocol="echo",reason="no_voice"}'] == 2
            assert found["sabir_log_head"] == 42
            assert found["sabir_log_queue"] == 3
            assert found['sabir_commit_seconds_bucket{le="0.0005"}'] == 1
            assert found["sabir_commit_entries_sum"] == 2
            assert found['sabir_info{version="1.2.3"}'] == 1
            assert found["process_resident_memory_bytes"] > 0

            writer.close()
            await server.front_end.sessions[0].gone.wait()
            after = told(server, commits)
            assert after['sabir_connections{protocol="echo"}'] == 1
            assert after['sabir_received_bytes_total{protocol="echo"}'] == 8
            idle.close()

    run(main())


def test_the_log_has_all_that_is_read_of_it() -> None:
    made = Log(None, None, None, None, lambda size: bytes(size))  # type: ignore[arg-type]  # nothing is called

    for name in (name for name in vars(QuietLog) if not name.startswith("__")):
        assert hasattr(made, name)
