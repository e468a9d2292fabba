"""The server: reads the settings, builds everything, opens the doors, and takes it all down in order.

Start: lock the data, load the store, assemble the core, bind every listener, then write the ready file. Stop
(SIGTERM, SIGINT): accept no more, let every session say goodbye, write what is pending, close the store.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import datetime
import gc
import json
import logging
import os
import secrets
import signal
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final, Literal

import uvloop

from sabir import __version__
from sabir.admin import control, health
from sabir.admin.commands import Listener as ListenerFact
from sabir.admin.operator import Facts, Operator
from sabir.app.compiled import HOT, compiled
from sabir.app.data import SOCKET_NAME, prepare
from sabir.app.passwords import Passwords
from sabir.app.settings import Settings
from sabir.app.waking import waking
from sabir.base.clock import MonotonicClock, SystemClock
from sabir.base.ids import EventIds
from sabir.base.secret import Secret
from sabir.core.services import Services, assemble
from sabir.gateway.connection import Gateway
from sabir.gateway.contract import Door, Environment, FrontEnd, PublicAddress
from sabir.gateway.http import HttpFrontEnd
from sabir.gateway.metrics import CommitMeter, Metrics
from sabir.gateway.web import Site
from sabir.keys.pages import pages as key_pages
from sabir.media.disk import FOLDER_NAME, Disk
from sabir.media.pages import pages as media_pages
from sabir.net.admission import Admission
from sabir.net.dialer import Call, Dialer
from sabir.net.limits import LoginLimits
from sabir.net.listener import Endpoint, Listener, Tls, has_ipv6
from sabir.net.mutual import Trust
from sabir.net.resolver import DnsResolver, FixedResolver, target_of
from sabir.net.runtime import NetRuntime
from sabir.net.tls import Certificates, TlsError, ensure_self_signed
from sabir.protocols.irc import server as irc
from sabir.protocols.mqtt import server as mqtt
from sabir.protocols.mqtt.config import BridgeConfig
from sabir.protocols.xmpp import server as xmpp
from sabir.push.service import Services as PushServices
from sabir.storage import lock
from sabir.storage.sqlite.store import SqliteStore

log = logging.getLogger(__name__)

Ports = Literal["auto", "default"]
SECRET_NAME: Final = "secret"
SECRET_BYTES: Final = 32
_MS_PER_S: Final = 1000


class Server:
    """One running server. `start`, then `stop`; both once."""

    def __init__(self, settings: Settings, data: lock.DataLock, ports: Ports) -> None:
        self._settings: Final = settings
        self._lock: Final = data
        self._data: Final = data.directory
        self._ports: Final = ports
        self._clock: Final = SystemClock()
        self._monotonic: Final = MonotonicClock()
        self._listeners: Final[list[Listener]] = []
        self._started_ms: Final = self._clock.now_ms()
        self._runtime: NetRuntime | None = None
        self._store: SqliteStore | None = None
        self._services: Services | None = None
        self._gateway: Gateway | None = None
        self._disk: Disk | None = None
        self._certificates: Certificates | None = None
        self._control: asyncio.Server | None = None
        self._waking: PushServices | None = None
        self._trust: Trust | None = None
        self._dialers: Final[list[Dialer]] = []
        self._public: PublicAddress | None = None

    async def start(self) -> None:
        """Load and listen.

        Raises:
            OSError: an address is in use, or a file cannot be read or written.
            TlsError: the certificate cannot be used.
        """
        settings = self._settings
        runtime = self._runtime = NetRuntime(asyncio.get_running_loop(), self._monotonic)
        runtime.start()
        store = self._store = SqliteStore(self._lock, settings.storage, runtime.loop.call_soon_threadsafe)
        disk = self._disk = Disk(self._data / FOLDER_NAME, runtime.loop.call_soon_threadsafe)
        secret = Secret(_kept_secret(self._data / SECRET_NAME))
        services = self._services = assemble(
            store,
            runtime,
            self._clock,
            lambda last_ms: EventIds(os.urandom, last_ms),
            os.urandom,
            Passwords(),
            bytes.fromhex(secret.reveal()),
            domain=settings.server.domain,
            policy=settings.policy,
            limited=settings.limits.enabled,
            media=settings.media,
            keys=settings.keys,
            discard=disk.delete,
        )
        self._certificates = self._load_certificates()
        admission = Admission(settings.net, settings.limits, settings.http.trusted_proxies)
        gateway = self._gateway = Gateway(runtime.wheel, settings.limits)
        meter = CommitMeter(time.perf_counter)
        services.log.meter = meter
        metrics = Metrics(
            __version__,
            gateway=gateway,
            admission=admission,
            core_log=services.log,
            commits=meter,
            reports=services.reports,
        )
        public = self._public = PublicAddress(settings.http.public_url)
        services.pushes.shows_text = settings.push.body
        self._waking = waking(self._data, settings, self._clock)
        environment = Environment(
            services=services,
            domain=settings.server.domain,
            rooms_domain=f"rooms.{settings.server.domain}",
            plain_logins=self._ports == "auto",
            logins=LoginLimits(settings.limits),
            secret=secret,
            version=__version__,
            started_ms=self._started_ms,
            public=public,
            operators=frozenset(name.lower() for name in settings.server.operators),
            contacts=settings.server.contacts,
            waker=self._waking,
            push_sender=settings.push.sender,
            limited=settings.limits.enabled,
            call=self._caller(runtime, gateway),
        )
        probes = health.Probes(objection=self._objection, metrics=metrics.exposition)
        site = Site([*health.pages(probes), *media_pages(services.media, disk), *key_pages(environment)])
        xmpp_front_end = xmpp.front_end(settings.xmpp, environment)
        mqtt_front_end = mqtt.front_end(settings.mqtt, environment)
        adopt = partial(gateway.adopt, xmpp_front_end)
        for offer in (*xmpp_front_end.offers(adopt), *mqtt_front_end.offers()):
            site.add(offer)
        front_ends: list[FrontEnd] = [
            xmpp_front_end,
            irc.front_end(settings.irc, environment),
            mqtt_front_end,
            HttpFrontEnd(settings.http, site, gateway, self._monotonic, self._clock),
        ]
        await self._listen(front_ends, runtime, admission, gateway)
        mqtt_front_end.start_bridges(partial(self._calling, runtime, gateway))
        if not public.configured:
            public.url = self._own_url()
        _spare_the_collector()
        operator = Operator(services, self.facts)
        self._control = await control.listen(self._data / SOCKET_NAME, operator.execute)
        self._watch_certificates()
        log.info(
            "ready",
            extra={
                "version": __version__,
                "took_ms": self._clock.now_ms() - self._started_ms,
                "compiled": " ".join(compiled()) or "nothing",
                "interpreted": " ".join(name for name in HOT if name not in compiled()) or "nothing",
            },
        )

    async def _listen(
        self, front_ends: Sequence[FrontEnd], runtime: NetRuntime, admission: Admission, gateway: Gateway
    ) -> None:
        """Open every door on every address."""
        hosts = self._hosts()
        for front_end in front_ends:
            for door in front_end.doors():
                for host in hosts:
                    endpoint = Endpoint(
                        name=door.name,
                        host=host,
                        port=0 if self._ports == "auto" else door.port,
                        tls=door.tls,
                        alpn=door.alpn,
                        mutual=(door.servers or door.asks_certificate) and door.tls is not Tls.NONE,
                    )
                    listener = Listener(
                        endpoint,
                        gateway.connector(front_end, door),
                        runtime=runtime,
                        admission=admission,
                        config=self._settings.net,
                        certificates=None if door.tls is Tls.NONE else self._certificates,
                        trust=self._trust_for(door),
                    )
                    await listener.open()
                    self._listeners.append(listener)

    async def stop(self) -> None:
        """Say goodbye to every client, write what is pending, close. Works after a `start` that failed, too."""
        for listener in self._listeners:
            listener.close()
        for dialer in self._dialers:
            dialer.close()
        if self._control is not None:
            self._control.close()
            with contextlib.suppress(OSError):
                (self._data / SOCKET_NAME).unlink()
        if self._waking is not None:
            await self._waking.stop()
        if self._gateway is not None:
            await self._gateway.drain(self._settings.net.drain_timeout_s)
        if self._services is not None:
            self._services.devices.save()
            await self._flushed(self._services)
        if self._disk is not None:
            self._disk.close()
        if self._store is not None:
            self._store.close()
        if self._runtime is not None:
            self._runtime.stop()
        log.info("stopped")

    def reload(self) -> None:
        """Look at the certificate files again (SIGHUP); nobody is disconnected."""
        if self._certificates is not None:
            try:
                self._certificates.reload()
            except TlsError as error:
                log.warning("new certificate not usable, the old one stays", extra={"reason": str(error)})

    def _trust_for(self, door: Door) -> Trust | None:
        """Return whose signatures count there; what clients show needs nobody's."""
        return Trust([]) if door.asks_certificate and self._trust is None else self._trust

    def facts(self) -> Facts:
        """Return what `sabir status` tells of the process."""
        return Facts(
            version=__version__,
            pid=os.getpid(),
            started_ms=self._started_ms,
            compiled=compiled(),
            listeners=[
                ListenerFact(
                    listener.endpoint.name, listener.endpoint.host, listener.port, listener.endpoint.tls.value
                )
                for listener in self._listeners
            ],
            public_url="" if self._public is None else self._public.url,
        )

    def ready(self) -> dict[str, object]:
        """Return what goes into the ready file; of several addresses of a listener, the first."""
        listeners: dict[str, object] = {}
        for fact in self.facts().listeners:
            listeners.setdefault(fact.name, {"host": fact.host, "port": fact.port, "tls": fact.tls})
        return {
            "pid": os.getpid(),
            "domain": self._settings.server.domain,
            "data": str(self._data),
            "listeners": listeners,
        }

    def _caller(self, runtime: NetRuntime, gateway: Gateway) -> Callable[[Call], None] | None:
        """Return what calls other servers, if the settings want any."""
        settings = self._settings
        federation = settings.xmpp.federation
        if self._certificates is None or not xmpp.federates(settings.xmpp, settings.server.domain):
            return None
        trust = self._trust = Trust([Path(file) for file in federation.trust])
        resolver = DnsResolver(federation.hosts, federation.name_servers)
        dialer = Dialer(
            runtime,
            settings.net,
            self._certificates,
            trust,
            resolver,
            "xmpp-server",
            private_addresses=federation.private_addresses,
        )
        self._dialers.append(dialer)

        def call(wanted: Call) -> None:
            guarded = gateway.calling("xmpp", wanted.connected)
            dialer.call(dataclasses.replace(wanted, connected=guarded))

        return call

    def _calling(self, runtime: NetRuntime, gateway: Gateway, bridge: BridgeConfig) -> Callable[[Call], None]:
        """Return what calls another MQTT broker."""
        assert self._certificates is not None  # loaded before the front ends are made
        dialer = Dialer(
            runtime,
            self._settings.net,
            self._certificates,
            Trust([Path(file) for file in bridge.trust]),
            FixedResolver(target_of(bridge.address)),
            "mqtt",
            private_addresses=True,
        )
        self._dialers.append(dialer)

        def call(wanted: Call) -> None:
            guarded = gateway.calling("mqtt", wanted.connected)
            dialer.call(dataclasses.replace(wanted, connected=guarded))

        return call

    def _hosts(self) -> Sequence[str]:
        if self._ports == "auto":
            return ("127.0.0.1",)
        hosts = self._settings.server.listen
        if has_ipv6() or all(":" not in host for host in hosts):
            return hosts
        log.warning("no IPv6 on this machine: listening on IPv4 only")
        return tuple(host for host in hosts if ":" not in host)

    def _own_url(self) -> str:
        """Return where clients reach us without a proxy; on `--ports auto` they trust no certificate of ours."""
        name = "http" if self._ports == "auto" else "https"
        (port, *_) = [listener.port for listener in self._listeners if listener.endpoint.name == name]
        host = "127.0.0.1" if self._ports == "auto" else self._settings.server.domain
        return f"{name}://{host}:{port}"

    def _objection(self) -> str:
        if self._services is None or not self._services.log.healthy:
            return "the log cannot be written; is the disk full?"
        return ""

    def _load_certificates(self) -> Certificates:
        tls = self._settings.tls
        if tls.certificate:
            return Certificates(Path(tls.certificate), Path(tls.key))
        made = ensure_self_signed(
            self._data, self._settings.server.domain, lambda: datetime.datetime.now(datetime.UTC)
        )
        return Certificates(*made)

    def _watch_certificates(self) -> None:
        if self._certificates is not None and self._runtime is not None:
            self._certificates.reload_if_changed()
            self._runtime.later(self._settings.tls.check_interval_s * _MS_PER_S, self._watch_certificates)

    async def _flushed(self, services: Services) -> None:
        """Wait until the log has written what was appended before."""
        written = asyncio.Event()
        services.log.append_marker(written.set)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(written.wait(), self._settings.net.drain_timeout_s)


def _spare_the_collector() -> None:
    """Let the cyclic collector leave alone what was loaded, and look seldom at what comes.

    Messages are not cyclic: at its defaults the collector spends 40 % of the CPU of a busy server walking over
    them (measured with perf), and frees nothing.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 50, 100)


def run(settings: Settings, data: Path, *, ports: Ports, ready_file: Path | None = None) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        Locked: another process works on the data.
        OSError: an address is in use, or a file cannot be read or written.
        TlsError: the certificate cannot be used.
    """
    if ready_file is not None:
        ready_file.unlink(missing_ok=True)
    prepare(data)
    with lock.acquire(data) as locked:
        uvloop.run(_serve(Server(settings, locked, ports), ready_file))


async def _serve(server: Server, ready_file: Path | None) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_signal_handler(signal.SIGHUP, server.reload)
    try:
        await server.start()
        if ready_file is not None:
            _write_ready(ready_file, server.ready())
        await stop.wait()
    finally:
        if ready_file is not None:
            _remove_ready(ready_file)
        await server.stop()


def _write_ready(path: Path, facts: dict[str, object]) -> None:
    """Write the ready file in one step, so that whoever waits for it never reads half of it."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.write_text(json.dumps(facts), encoding="utf-8")
    draft.replace(path)


def _remove_ready(path: Path) -> None:
    path.unlink(missing_ok=True)


def _kept_secret(path: Path) -> str:
    """Return the server's secret in hex, made at first start, readable by the owner alone."""
    if not path.exists():
        draft = path.with_suffix(".new")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_hex(SECRET_BYTES))
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    return path.read_text(encoding="ascii")
