"""The settings: one TOML file, then the environment, then the command line, each over the one before.

Every package declares its own section as a frozen dataclass; the table of sections is `Settings`. A section
checks what its types cannot say in `__post_init__`, by raising `ValueError("key: what is wanted")`.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
import tomllib
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sabir.app import values
from sabir.app.config import LogConfig, ServerConfig
from sabir.core.model.keys import KeysConfig
from sabir.core.policy import PolicyConfig
from sabir.core.services.media import MediaConfig
from sabir.gateway.config import HttpConfig
from sabir.net.config import LimitsConfig, NetConfig, TlsConfig
from sabir.protocols.irc.config import IrcConfig
from sabir.protocols.mqtt.config import MqttConfig
from sabir.protocols.xmpp.config import XmppConfig
from sabir.push.config import PushConfig
from sabir.storage.config import StorageConfig

FILE_NAME = "sabir.toml"
"""Read from the data folder when no other file is named."""

PREFIX = "SABIR_"
"""`SABIR_IRC__MAX_CLIENTS` in the environment is `max_clients` under `[irc]`; a section within one adds its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that can be configured; each field is one section of the file."""

    server: ServerConfig = field(default_factory=ServerConfig)
    tls: TlsConfig = field(default_factory=TlsConfig)
    net: NetConfig = field(default_factory=NetConfig)
    limits: LimitsConfig = field(default_factory=LimitsConfig)
    policy: PolicyConfig = field(default_factory=PolicyConfig)
    media: MediaConfig = field(default_factory=MediaConfig)
    keys: KeysConfig = field(default_factory=KeysConfig)
    storage: StorageConfig = field(default_factory=StorageConfig)
    http: HttpConfig = field(default_factory=HttpConfig)
    xmpp: XmppConfig = field(default_factory=XmppConfig)
    irc: IrcConfig = field(default_factory=IrcConfig)
    push: PushConfig = field(default_factory=PushConfig)
    mqtt: MqttConfig = field(default_factory=MqttConfig)
    log: LogConfig = field(default_factory=LogConfig)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with the settings, and what to do about it."""

    where: str
    """The file and line, the variable, or the option that says it."""
    key: str
    """The setting or section; empty for the file as a whole."""
    what: str

    def __str__(self) -> str:
        return ": ".join(filter(None, (self.where, self.key, self.what)))


class SettingsError(Exception):
    """The settings cannot be used. `problems` are all that were found, in the order they were read."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(map(str, self.problems)))


@dataclass(frozen=True, slots=True)
class _Given:
    """A value that somebody set, before it is known to be one that the setting takes."""

    where: str
    value: object
    typed: bool
    """Whether it has a type already, as in a file, or is what somebody typed."""


def load(
    file: Path | None = None, environment: Mapping[str, str] | None = None, overrides: Iterable[str] = ()
) -> Settings:
    """Return the settings of a file (or none), with overrides of the environment, then those of `--set`.

    Raises:
        SettingsError: with everything that is wrong.
    """
    problems: list[Problem] = []
    given: dict[tuple[str, str], _Given] = {}
    for read in (
        _from_file(file, problems) if file else {},
        _from_environment(environment or {}, problems),
        _from_options(overrides, problems),
    ):
        given.update(read)

    sections: dict[str, Any] = {}
    types = section_types()
    for name in typing.get_type_hints(Settings):
        within = [each for each in types if each.startswith(name + ".")]
        inner = {
            each.rpartition(".")[2]: _section(each, types[each], _of(each, given), {}, problems)
            for each in within
        }
        sections[name] = _section(name, types[name], _of(name, given), inner, problems)
    if problems:
        raise SettingsError(problems)
    return Settings(**sections)


def section_types() -> dict[str, type[Any]]:
    """Return the dataclass of each section, by its name in the file: `xmpp`, and `xmpp.federation` in it."""
    found: dict[str, type[Any]] = {}
    for name, cls in typing.get_type_hints(Settings).items():
        found[name] = cls
        for key, hint in typing.get_type_hints(cls).items():
            if dataclasses.is_dataclass(hint) and isinstance(hint, type):
                found[f"{name}.{key}"] = hint
    return found


def key_types(section: type[Any]) -> dict[str, Any]:
    """Return the type of each key of a section, but for sections within it."""
    hints = typing.get_type_hints(section)
    names = [each.name for each in dataclasses.fields(section)]
    return {name: hints[name] for name in names if not dataclasses.is_dataclass(hints[name])}


def _from_file(path: Path, problems: list[Problem]) -> dict[tuple[str, str], _Given]:
    try:
        text = path.read_text(encoding="utf-8")
        document = tomllib.loads(text)
    except OSError as error:
        problems.append(Problem(str(path), "", f"cannot be read: {error.strerror}"))
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        problems.append(Problem(str(path), "", f"is not TOML: {error}"))
        return {}
    given: dict[tuple[str, str], _Given] = {}
    for section, content in document.items():
        at = f"{path}:{_line(text, section, '')}"
        if section not in section_types():
            problems.append(Problem(at, f"[{section}]", _unknown("section", section, section_types())))
        elif not isinstance(content, dict):
            problems.append(Problem(at, section, f"is a section; write [{section}], then its settings"))
        else:
            _read_section(path, text, section, content, given)
    return given


def _of(section: str, given: Mapping[tuple[str, str], _Given]) -> dict[str, _Given]:
    return {key: said for (name, key), said in given.items() if name == section}


def _read_section(
    path: Path, text: str, section: str, content: Mapping[str, object], given: dict[tuple[str, str], _Given]
) -> None:
    for key, value in content.items():
        within = f"{section}.{key}"
        if within in section_types() and isinstance(value, dict):
            _read_section(path, text, within, value, given)
        else:
            given[section, key] = _Given(f"{path}:{_line(text, section, key)}", value, typed=True)


def _from_environment(
    environment: Mapping[str, str], problems: list[Problem]
) -> dict[tuple[str, str], _Given]:
    given = {}
    for variable, text in environment.items():
        section, mark, key = variable.removeprefix(PREFIX).lower().rpartition("__")
        section = section.replace("__", ".")
        if not variable.startswith(PREFIX) or not mark:
            continue
        if section not in section_types():
            problems.append(Problem(variable, section, _unknown("section", section, section_types())))
        else:
            given[section, key] = _Given(variable, text, typed=False)
    return given


def _from_options(overrides: Iterable[str], problems: list[Problem]) -> dict[tuple[str, str], _Given]:
    given = {}
    for option in overrides:
        name, equals, text = option.partition("=")
        section, dot, key = name.strip().rpartition(".")
        where = f"--set {option}"
        if not (equals and dot and key):
            problems.append(Problem(where, name, "write it as section.key=value"))
        elif section not in section_types():
            problems.append(Problem(where, section, _unknown("section", section, section_types())))
        else:
            given[section, key] = _Given(where, text.strip(), typed=False)
    return given


def _section(
    name: str,
    cls: type[Any],
    given: Mapping[str, _Given],
    inner: Mapping[str, Any],
    problems: list[Problem],
) -> Any:
    """Build one section around those within it; what is wrong is added to `problems`, and then it is None."""
    hints = key_types(cls)
    arguments = dict(inner)
    known = len(problems)
    for key, said in given.items():
        if key not in hints:
            problems.append(Problem(said.where, f"{name}.{key}", _unknown("setting", key, hints)))
            continue
        try:
            read = values.convert if said.typed else values.parse
            arguments[key] = read(hints[key], said.value)  # type: ignore[arg-type]  # `parse` is given text only
        except ValueError as error:
            problems.append(Problem(said.where, f"{name}.{key}", str(error)))
    if len(problems) > known:
        return None
    try:
        return cls(**arguments)
    except ValueError as error:
        key, colon, what = str(error).partition(": ")
        where = given[key].where if key in given else f"[{name}]"
        problems.append(Problem(where, f"{name}.{key}" if colon else name, what if colon else str(error)))
        return None


def _unknown(what: str, wrong: str, known: Iterable[str]) -> str:
    """Say that a name is unknown, and which was probably meant."""
    near = difflib.get_close_matches(wrong, list(known), n=1)
    return f"no such {what}; " + (
        f"did you mean {near[0]}?" if near else "`sabir config show` lists them all"
    )


def _line(text: str, section: str, key: str) -> int:
    """Return the line of a file that sets a key, or 1: the parser keeps no lines, and a person needs one."""
    current = ""
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*\[\s*\"?([^]\"]+?)\"?\s*\]", line):
            current = header[1]
            if current == section and not key:
                return number
        elif current == section and key and re.match(rf"\s*\"?{re.escape(key)}\"?\s*[.=]", line):
            return number
    return 1
