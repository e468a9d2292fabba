"""Log lines with fields: bound loggers, a formatter for people and one for machines.

The text of a line is a constant, its values are fields: `log.info("login refused", extra={"account": name})`.
Field names must not be those of `logging.LogRecord` (`name`, `msg`, `args`, ...).
"""

import json
import logging
import time
from collections.abc import MutableMapping
from enum import Enum
from typing import Any, Final, TextIO

_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

_OURS: Final = "sabir"


class LogStyle(Enum):
    """How lines are written."""

    HUMAN = "human"
    JSON = "json"


class BoundLogger(logging.LoggerAdapter[logging.Logger]):
    """A logger that adds its fields to every line."""

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Merge the bound fields with those of the line; the line's own win."""
        given = kwargs.get("extra")
        kwargs["extra"] = {**self.fields, **given} if given else self.fields
        return msg, kwargs

    @property
    def fields(self) -> dict[str, object]:
        """The bound fields."""
        return dict(self.extra or {})


def bind(log: logging.Logger | BoundLogger, **fields: object) -> BoundLogger:
    """Return a logger like `log` whose lines carry `fields` (and those bound to `log` before)."""
    if isinstance(log, BoundLogger):
        return BoundLogger(log.logger, {**log.fields, **fields})
    return BoundLogger(log, fields)


class HumanFormatter(logging.Formatter):
    """One line for people: time, level, module, text, `key=value` fields; then the traceback, if any."""

    def format(self, record: logging.LogRecord) -> str:
        """Return `record` as text; control characters in values are escaped, so a peer cannot forge lines."""
        clock = time.strftime("%H:%M:%S", time.localtime(record.created))
        parts = [
            f"{clock}.{int(record.msecs):03d} {record.levelname:<7} {record.name}: {record.getMessage()}"
        ]
        parts += [f"{key}={_shown(value)}" for key, value in _fields(record).items()]
        line = " ".join(parts)
        if record.exc_info:
            line += "\n" + self.formatException(record.exc_info)
        return line


class JsonFormatter(logging.Formatter):
    """One JSON object a line: `time` (ISO 8601, UTC), `level`, `logger`, `text`, the fields, `traceback`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return `record` as one line of JSON."""
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line: dict[str, object] = {
            **_fields(record),
            "time": f"{moment}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "text": record.getMessage(),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def configure(level: str = "info", style: LogStyle = LogStyle.HUMAN, stream: TextIO | None = None) -> None:
    """Send every log line of the process to `stream` (standard error by default) in one `style`.

    Replaces what an earlier call set up. Libraries are heard from `warning` on, whatever `level` says.

    Raises:
        ValueError: `level` is not one of `debug`, `info`, `warning`, `error`, `critical`.
    """
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter() if style is LogStyle.JSON else HumanFormatter())
    logging.getLogger(_OURS).setLevel(level.upper())
    root = logging.getLogger()
    root.setLevel(max(logging.WARNING, logging.getLogger(_OURS).level))
    root.handlers[:] = [handler]


def _fields(record: logging.LogRecord) -> dict[str, object]:
    return {key: value for key, value in vars(record).items() if key not in _STANDARD}


def _shown(value: object) -> str:
    text = str(value)
    plain = text.isprintable() and " " not in text and '"' not in text and text != ""
    return text if plain else json.dumps(text)
