import io
import json
import logging
from collections.abc import Iterator

import pytest

from sabir.base.log import HumanFormatter, JsonFormatter, LogStyle, bind, configure


@pytest.fixture(autouse=True)
def _unchanged_root() -> Iterator[None]:
    root, ours = logging.getLogger(), logging.getLogger("sabir")
    handlers, levels = root.handlers[:], (root.level, ours.level)
    yield
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    ours.setLevel(levels[1])


def record(text: str, **fields: object) -> logging.LogRecord:
    made = logging.makeLogRecord(
        {"name": "sabir.net", "levelname": "INFO", "msg": text, "created": 0.25, **fields}
    )
    made.msecs = 250
    return made


def test_a_json_line_holds_text_and_fields() -> None:
    line = json.loads(JsonFormatter().format(record("session opened", conn=7, peer="127.0.0.1")))

    assert line == {
        "time": "1970-01-01T00:00:00.250Z",
        "level": "info",
        "logger": "sabir.net",
        "text": "session opened",
        "conn": 7,
        "peer": "127.0.0.1",
    }


def test_a_value_cannot_forge_a_line() -> None:
    line = HumanFormatter().format(record("login refused", account="eve\nERROR forged", reason="bad"))

    assert line.endswith('INFO    sabir.net: login refused account="eve\\nERROR forged" reason=bad')
    assert "\n" not in line


def test_a_bound_logger_adds_its_fields_and_the_line_adds_its_own() -> None:
    out = io.StringIO()
    configure("debug", LogStyle.JSON, out)
    log = bind(bind(logging.getLogger("sabir.test"), conn=7), peer="::1")

    log.info("login refused", extra={"reason": "wrong password"})
    log.debug("closed")

    first, second = (json.loads(line) for line in out.getvalue().splitlines())
    assert (first["conn"], first["peer"], first["reason"]) == (7, "::1", "wrong password")
    assert "reason" not in second


@pytest.mark.parametrize("style", LogStyle)
def test_a_fault_is_logged_with_its_traceback(style: LogStyle) -> None:
    out = io.StringIO()
    configure("info", style, out)

    try:
        raise ValueError("broken")
    except ValueError:
        logging.getLogger("sabir.test").exception("a fault")

    assert "Traceback" in out.getvalue()
    assert "ValueError: broken" in out.getvalue()


def test_libraries_are_heard_from_warnings_on() -> None:
    out = io.StringIO()
    configure("debug", LogStyle.HUMAN, out)

    logging.getLogger("somebody.else").info("chatter")
    logging.getLogger("somebody.else").warning("trouble")
    logging.getLogger("sabir.test").debug("detail")

    assert [line.rpartition(": ")[2] for line in out.getvalue().splitlines()] == ["trouble", "detail"]


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(ValueError, match="LOUD"):
        configure("loud")
