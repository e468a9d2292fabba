"""What every test is held to: an unexpected `error` log line fails the test that caused it."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

# Servers and commands that tests start are of the same sources, unless the caller chose an installed Sabir.
os.environ.setdefault("PYTHONPATH", str(Path(__file__).parents[1] / "src"))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let who has the time try more: `make test ARGS="tests/fuzz --mutations 658000"`."""
    parser.addoption(
        "--mutations", type=int, default=20_000, help="mutated stanzas to try the XML scanner with"
    )


class _Errors(logging.Handler):
    """Collects the records that say an operator must act."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


def _told(record: logging.LogRecord) -> str:
    text = f"{record.name}: {record.getMessage()}"
    if record.exc_info:
        text += "\n" + logging.Formatter().formatException(record.exc_info)
    return text


@pytest.fixture(autouse=True)
def error_log(request: pytest.FixtureRequest) -> Iterator[list[logging.LogRecord]]:
    """The `error` lines logged so far; any is a failure unless the test is marked `logs_errors`."""
    handler = _Errors()
    root = logging.getLogger()
    root.addHandler(handler)
    yield handler.records
    root.removeHandler(handler)
    if handler.records and not request.node.get_closest_marker("logs_errors"):
        pytest.fail("unexpected error log:\n" + "\n".join(map(_told, handler.records)), pytrace=False)
