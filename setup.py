"""Builds the hot modules to machine code; whatever cannot be compiled here runs interpreted.

Everything else about the package stands in `pyproject.toml`. `SABIR_PURE=1` skips compiling. A compiler that
is missing or fails never fails the installation: the modules stay the Python they are, only slower, and the
server says at start which are compiled.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
from pathlib import Path
from typing import Any

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

# What mypyc compiles, in one group, so that calls from one of these modules to another are plain C calls.
COMPILED: tuple[str, ...] = (
    "src/sabir/base/clock.py",
    "src/sabir/base/ids.py",
    "src/sabir/core/delivery.py",
    "src/sabir/core/directory.py",
    "src/sabir/core/log.py",
    "src/sabir/core/model/actor.py",
    "src/sabir/core/model/conversation.py",
    "src/sabir/core/model/event.py",
    "src/sabir/core/model/presence.py",
    "src/sabir/core/pace.py",
    "src/sabir/core/policy.py",
    "src/sabir/core/ports.py",
    "src/sabir/core/services/__init__.py",
    "src/sabir/core/services/accounts.py",
    "src/sabir/core/services/devices.py",
    "src/sabir/core/services/messaging.py",
    "src/sabir/core/services/relating.py",
    "src/sabir/core/services/rooms.py",
    "src/sabir/crypto/cbc.py",
    "src/sabir/crypto/cipher.py",
    "src/sabir/crypto/curve.py",
    "src/sabir/crypto/double_ratchet.py",
    "src/sabir/crypto/erasure.py",
    "src/sabir/crypto/errors.py",
    "src/sabir/crypto/kdf.py",
    "src/sabir/crypto/messages.py",
    "src/sabir/crypto/mlkem/incremental.py",
    "src/sabir/crypto/mlkem/ring.py",
    "src/sabir/crypto/protobuf.py",
    "src/sabir/crypto/record.py",
    "src/sabir/crypto/session.py",
    "src/sabir/gateway/connection.py",
    "src/sabir/gateway/contract.py",
    "src/sabir/gateway/metrics.py",
    "src/sabir/gateway/turnstile.py",
    "src/sabir/gateway/websocket.py",
    "src/sabir/net/connection.py",
    "src/sabir/net/limits.py",
    "src/sabir/net/listener.py",
    "src/sabir/net/runtime.py",
    "src/sabir/net/sockets.py",
    "src/sabir/net/wheel.py",
    "src/sabir/protocols/irc/codec/lines.py",
    "src/sabir/protocols/irc/codec/names.py",
    "src/sabir/protocols/irc/codec/tags.py",
    "src/sabir/protocols/irc/features/client.py",
    "src/sabir/protocols/irc/features/messages.py",
    "src/sabir/protocols/irc/features/scribe.py",
    "src/sabir/protocols/irc/machine/batches.py",
    "src/sabir/protocols/irc/machine/connection.py",
    "src/sabir/protocols/irc/machine/flood.py",
    "src/sabir/protocols/irc/machine/negotiation.py",
    "src/sabir/protocols/irc/machine/outbox.py",
    "src/sabir/protocols/irc/machine/reply.py",
    "src/sabir/protocols/irc/machine/sasl.py",
    "src/sabir/protocols/irc/session/connected.py",
    "src/sabir/protocols/irc/translate/accept.py",
    "src/sabir/protocols/irc/translate/names.py",
    "src/sabir/protocols/irc/translate/native.py",
    "src/sabir/protocols/irc/translate/render.py",
    "src/sabir/protocols/irc/types/line.py",
    "src/sabir/protocols/irc/types/reports.py",
    "src/sabir/protocols/mqtt/codec/decoder.py",
    "src/sabir/protocols/mqtt/codec/encoder.py",
    "src/sabir/protocols/mqtt/codec/fields.py",
    "src/sabir/protocols/mqtt/codec/message.py",
    "src/sabir/protocols/mqtt/codec/properties.py",
    "src/sabir/protocols/mqtt/features/acl.py",
    "src/sabir/protocols/mqtt/features/bridging.py",
    "src/sabir/protocols/mqtt/features/broker.py",
    "src/sabir/protocols/mqtt/features/progress.py",
    "src/sabir/protocols/mqtt/features/quotas.py",
    "src/sabir/protocols/mqtt/features/sessions.py",
    "src/sabir/protocols/mqtt/features/shelf.py",
    "src/sabir/protocols/mqtt/features/subscriptions.py",
    "src/sabir/protocols/mqtt/machine/calling.py",
    "src/sabir/protocols/mqtt/machine/connection.py",
    "src/sabir/protocols/mqtt/machine/flows.py",
    "src/sabir/protocols/mqtt/machine/outbox.py",
    "src/sabir/protocols/mqtt/session/acknowledging.py",
    "src/sabir/protocols/mqtt/session/connected.py",
    "src/sabir/protocols/mqtt/translate/topics.py",
    "src/sabir/protocols/mqtt/types/packets.py",
    "src/sabir/protocols/mqtt/types/properties.py",
    "src/sabir/protocols/xmpp/accept.py",
    "src/sabir/protocols/xmpp/codec.py",
    "src/sabir/protocols/xmpp/features/chat.py",
    "src/sabir/protocols/xmpp/features/context.py",
    "src/sabir/protocols/xmpp/features/muc/__init__.py",
    "src/sabir/protocols/xmpp/features/muc/names.py",
    "src/sabir/protocols/xmpp/features/muc/rendering.py",
    "src/sabir/protocols/xmpp/features/muc/speaking.py",
    "src/sabir/protocols/xmpp/features/stamps.py",
    "src/sabir/protocols/xmpp/framing.py",
    "src/sabir/protocols/xmpp/jid.py",
    "src/sabir/protocols/xmpp/machine/management.py",
    "src/sabir/protocols/xmpp/machine/stream.py",
    "src/sabir/protocols/xmpp/session/bosh.py",
    "src/sabir/protocols/xmpp/session/client.py",
    "src/sabir/protocols/xmpp/session/link.py",
    "src/sabir/protocols/xmpp/session/routing.py",
    "src/sabir/protocols/xmpp/session/stream.py",
    "src/sabir/protocols/xmpp/session/waiting.py",
    "src/sabir/protocols/xmpp/translate/native.py",
    "src/sabir/protocols/xmpp/types.py",
    "src/sabir/storage/sqlite/pages.py",
    "src/sabir/storage/sqlite/rows.py",
    "src/sabir/storage/sqlite/segment.py",
    "src/sabir/wire/websocket/codec.py",
    "src/sabir/wire/xml/element.py",
    "src/sabir/wire/xml/framing.py",
    "src/sabir/wire/xml/parser.py",
)

# What Cython compiles: modules whose pure form is another, exact but slower implementation.
CYTHON: tuple[str, ...] = ("src/sabir/wire/xml/scanner.pyx",)

BUILD = Path("build")


def say(text: str) -> None:
    """Tell whoever installs; pip shows it with -v."""
    print(f"sabir: {text}", file=sys.stderr, flush=True)


def native_group(paths: list[str]) -> list[Extension]:
    """Return the extensions of one mypyc group.

    Raises:
        ValueError: mypyc refused; the text is what it said.
    """
    from mypyc.build import mypycify

    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            found: list[Extension] = mypycify(
                # What is imported but not compiled may be of any quality here: `make check` judges types.
                ["--follow-imports=silent", "--ignore-missing-imports", *paths],
                group_name="sabir",
                multi_file=True,
                target_dir=str(BUILD / "mypyc"),
            )
    except SystemExit as stop:
        raise ValueError(f"{said.getvalue()}{stop.code}") from stop
    return found


def native(paths: list[str]) -> list[Extension]:
    """Return the mypyc extensions of as many of these modules as it accepts."""
    while paths:
        try:
            return native_group(paths)
        except ValueError as refusal:
            say(f"mypyc: {refusal}")
            blamed = set(re.findall(r"^(\S+?\.py):\d+: error", str(refusal), re.MULTILINE))
            kept = [path for path in paths if path not in blamed]
            if len(kept) == len(paths):
                # The fault lies in what they import, so only trying tells who can do without it.
                kept = [path for path in paths if compiles_alone(path)]
            if len(kept) == len(paths):
                break
            say(f"stay interpreted: {', '.join(sorted(set(paths) - set(kept)))}")
            paths = kept
    return []


def compiles_alone(path: str) -> bool:
    """Return whether mypyc accepts this module in a group of its own."""
    try:
        native_group([path])
    except ValueError:
        return False
    return True


def cythonized(paths: list[str]) -> list[Extension]:
    """Return the Cython extensions, or none if Cython is missing or refuses."""
    try:
        from Cython.Build import cythonize
        from Cython.Compiler.Errors import CompileError
    except ImportError:
        say("no Cython here: its modules stay interpreted")
        return []
    try:
        found: list[Extension] = cythonize(
            paths, build_dir=str(BUILD / "cython"), language_level=3, quiet=True
        )
    except CompileError as error:
        say(f"Cython: {error}")
        return []
    return found


def extensions() -> list[Extension]:
    """Return everything to compile on this machine."""
    asked_for_metadata_only = not {"dist_info", "egg_info", "sdist"}.isdisjoint(sys.argv)
    if os.environ.get("SABIR_PURE") == "1" or asked_for_metadata_only:
        return []
    found = cythonized(list(CYTHON)) if CYTHON else []
    try:
        found += native(list(COMPILED))
    except ImportError:
        say("no mypyc here: all modules stay interpreted")
    return found


class OptionalBuild(build_ext):
    """Builds what it can.

    The mypyc modules stand or fall together: each is a door into the library of their group.
    """

    def build_extensions(self) -> None:
        """Build all extensions, each optional."""
        everything = self.extensions
        cython = [extension for extension in everything if is_cython(extension)]
        group = [extension for extension in everything if not is_cython(extension)]
        for some in (*([extension] for extension in cython), group):
            self.extensions = some
            try:
                super().build_extensions()
            except Exception as error:  # compilers fail in more ways than setuptools names
                say(f"not compiled: {type(error).__name__}: {error}")
                for extension in some:
                    Path(self.get_ext_fullpath(extension.name)).unlink(missing_ok=True)
        self.extensions = everything

    def copy_extensions_to_source(self) -> None:
        """Leave the source tree alone: tests run it interpreted."""


def is_cython(extension: Extension) -> bool:
    """Return whether Cython made this extension."""
    sources: list[Any] = extension.sources
    return any(str(source).startswith(str(BUILD / "cython")) for source in sources)


setup(ext_modules=extensions(), cmdclass={"build_ext": OptionalBuild})
