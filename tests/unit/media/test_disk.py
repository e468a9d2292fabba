"""Jobs in threads: each has an answer, whatever happens in it."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path

import pytest
from tests.unit.net.harness import run

from sabir.media.disk import Disk


@pytest.mark.parametrize("error", [OSError("full"), ValueError("odd"), MemoryError()])
def test_a_job_that_fails_in_any_way_is_answered(
    tmp_path: Path, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        disk = Disk(tmp_path, loop.call_soon_threadsafe)
        answers: asyncio.Queue[object] = asyncio.Queue()

        def work() -> None:
            raise error

        disk.run(work, answers.put_nowait)
        assert disk.run_alone(work, answers.put_nowait)
        got = [await answers.get() for _ in range(2)]
        disk.close()

        assert all(isinstance(each, OSError) for each in got)

    with caplog.at_level(logging.CRITICAL, "sabir.media.disk"):
        run(main())
