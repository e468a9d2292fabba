"""Real servers of other software beside one of ours, each in a process of its own, on loopback.

A self-made authority signs a certificate for each, so that they prove themselves to each other as on the internet.
Nothing is installed: what is not there is said by `missing`.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Protocol

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.support.names import NameServer, Records

from sabir.protocols.xmpp.client import ClientStream, Phase
from sabir.wire.xml import Element

PASSWORD: Final = "correct horse"
PATIENCE_S: Final = 30.0
_SABIR: Final = (sys.executable, "-c", "from sabir.cli import main; main()")
_LIBRARIES: Final = "/usr/lib/x86_64-linux-gnu"


def missing(*programs: str) -> str:
    """Return why a test with these programs cannot run, empty if it can."""
    absent = [each for each in programs if shutil.which(each) is None and not Path(each).exists()]
    return f"not installed: {', '.join(absent)}" if absent else ""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Look until something is the case, which takes as long as other programs take."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"not within {PATIENCE_S} s: {what}")
        threading.Event().wait(0.05)


class Authority:
    """Signs certificates."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Loopback")])
        self.file = folder / "authority.pem"
        certificate = self._signed(self._name, self._key.public_key(), [], is_authority=True)
        self.file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def certify(self, domain: str) -> tuple[Path, Path]:
        """Return the files of a certificate for a domain and what is below it, and of its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, domain)])
        certificate = self._signed(name, key.public_key(), [domain, f"rooms.{domain}"], is_authority=False)
        paths = self._folder / f"{domain}.crt", self._folder / f"{domain}.key"
        paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        paths[1].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return paths

    def _signed(
        self, name: x509.Name, key: ec.EllipticCurvePublicKey, domains: list[str], *, is_authority: bool
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=2))
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
        )
        if domains:
            names = x509.SubjectAlternativeName([x509.DNSName(domain) for domain in domains])
            builder = builder.add_extension(names, critical=False)
        return builder.sign(self._key, hashes.SHA256())


class Names:
    """A name server in a thread."""

    def __init__(self) -> None:
        self.records: Records = {}
        self._loop = asyncio.new_event_loop()
        self._transport, _ = self._loop.run_until_complete(
            self._loop.create_datagram_endpoint(lambda: NameServer(self.records), local_addr=("127.0.0.1", 0))
        )
        self.port: int = self._transport.get_extra_info("sockname")[1]
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._transport.close()
        self._loop.run_until_complete(asyncio.sleep(0))  # it closes in the next turn
        self._loop.close()


class Started:
    """A process, and what it says."""

    def __init__(self, command: Sequence[str], folder: Path, env: dict[str, str] | None = None) -> None:
        self.log = folder / "output.log"
        with self.log.open("ab") as out:
            self._process = subprocess.Popen(
                command,
                env={**os.environ, **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    def kill(self) -> None:
        """Kill it, and what it started, as a crash would."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def is_running(self) -> bool:
        return self._process.poll() is None

    def said(self) -> str:
        return self.log.read_text(errors="replace")[-4_000:]


class Neighbour(Protocol):
    """A running server, ours or not."""

    domain: str
    port: int
    """For clients, without TLS."""

    def start(self) -> None:
        """Start it, over the data that it has."""

    def kill(self) -> None:
        """Kill it."""

    def said(self) -> str:
        """Return the end of its log."""


class Person:
    """Somebody's client, of any server."""

    def __init__(self, server: Neighbour, name: str, resource: str = "r") -> None:
        self.server = server
        self.heard: list[Element] = []
        self._socket = socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_S)
        self._stream = ClientStream(server.domain, name, PASSWORD, resource=resource, mechanism="PLAIN")
        self._flush()
        while self._stream.phase is Phase.NEGOTIATING:
            self._read()
        assert self._stream.phase is Phase.BOUND, self._stream.failure
        self.jid = self._stream.jid
        self.bare = f"{name}@{server.domain}"
        self.say("<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq><presence/>")

    def say(self, text: str) -> None:
        self._stream.send(text)
        self._flush()

    def wait_for(self, wanted: Callable[[Element], bool], what: str) -> Element:
        """Return the first thing heard that is wanted, and forget what came before it."""
        self._socket.settimeout(PATIENCE_S)
        while True:
            for index, element in enumerate(self.heard):
                if wanted(element):
                    del self.heard[: index + 1]
                    return element
            try:
                self._read()
            except TimeoutError:
                heard = "\n".join(str(each.to_bytes()) for each in self.heard)
                raise AssertionError(f"{what} was not heard; but:\n{heard}\n{self.server.said()}") from None

    def wait_for_body(self, text: str) -> Element:
        return self.wait_for(
            lambda each: each.name == "message" and each.child_text("body") == text, f"message {text!r}"
        )

    def wait_for_presence(self, sender: str, type_: str | None = None) -> Element:
        return self.wait_for(
            lambda each: (
                each.name == "presence"
                and each.get("type") == type_
                and (each.get("from") or "").startswith(sender)
            ),
            f"presence {type_} of {sender}",
        )

    def wait_for_answer(self, id_: str) -> Element:
        return self.wait_for(lambda each: each.name == "iq" and each.get("id") == id_, f"answer {id_}")

    def close(self) -> None:
        self._socket.close()

    def _flush(self) -> None:
        data = self._stream.drain()
        if data:
            self._socket.sendall(data)

    def _read(self) -> None:
        data = self._socket.recv(65_536)
        assert data, f"connection closed; {self.server.said()}"
        self.heard += self._stream.receive(data)
        self._flush()


class Sabir:
    """Ours."""

    def __init__(self, folder: Path, authority: Authority, names: Names, domain: str = "sabir.test") -> None:
        self.domain = domain
        self.port = 0
        self.server_port = 0
        self.direct_port = 0
        self.irc_port = 0
        self.component_port = 0
        self.settings: list[str] = []
        self.hosts: dict[str, str] = {}
        self._folder = folder
        self._names = names
        self._authority = authority
        self._files = authority.certify(domain)
        self._started: Started | None = None
        folder.mkdir(exist_ok=True)

    def add(self, *people: str) -> None:
        table = self._folder / "people.csv"
        table.write_text("".join(f"{name},{PASSWORD}\n" for name in people))
        command = [*_SABIR, "user", "import", str(table), "--data", str(self._folder / "data")]
        subprocess.run(command, check=True, timeout=60)

    def start(self) -> None:
        ready = self._folder / "ready.json"
        ready.unlink(missing_ok=True)
        config = self._folder / "sabir.toml"
        hosts = ", ".join(f'"{domain}" = "{host}"' for domain, host in self.hosts.items())
        config.write_text(
            f'[server]\ndomain = "{self.domain}"\n'
            f'[tls]\ncertificate = "{self._files[0]}"\nkey = "{self._files[1]}"\n'
            f'[xmpp.federation]\ntrust = ["{self._authority.file}"]\nretry_s = 1\nmax_retry_s = 2\n'
            f'private_addresses = true\nname_servers = ["127.0.0.1:{self._names.port}"]\nhosts = {{ {hosts} }}\n'
            + "".join(f"{line}\n" for line in self.settings)
        )
        self._started = Started(
            [
                *_SABIR,
                "serve",
                *("--data", str(self._folder / "data"), "--config", str(config)),
                *("--ports", "auto", "--ready-file", str(ready)),
            ],
            self._folder,
        )
        started = self._started
        wait_until(lambda: ready.exists() or not started.is_running(), "start of ours")
        assert ready.exists(), started.said()
        listeners = json.loads(ready.read_text())["listeners"]
        self.port = listeners["xmpp"]["port"]
        self.irc_port = listeners["irc"]["port"]
        self.server_port = listeners["xmpp-s2s"]["port"]
        self.direct_port = listeners["xmpp-s2s-tls"]["port"]
        self.component_port = listeners.get("xmpp-component", {}).get("port", 0)
        for domain in (self.domain, f"rooms.{self.domain}"):
            self._names.records[f"_xmpp-server._tcp.{domain}"] = [(0, 0, self.server_port, "localhost")]

    def kill(self) -> None:
        if self._started is not None:
            self._started.kill()

    def said(self) -> str:
        return "" if self._started is None else self._started.said()


_PROSODY: Final = """\
run_as_root = true
daemonize = false
data_path = "{folder}/data"
plugin_paths = {{ "{folder}/plugins" }}
log = {{ {{ levels = {{ min = "{level}" }}, to = "console" }} }}
interfaces = {{ "127.0.0.1" }}
local_interfaces = {{ "127.0.0.1" }}
c2s_ports = {{ {port} }}
legacy_ssl_ports = {{}}
s2s_ports = {{ {server_port} }}
s2s_direct_tls_ports = {{}}
http_ports = {{}}
https_ports = {{}}
c2s_require_encryption = false
allow_unencrypted_plain_auth = true
authentication = "internal_plain"
s2s_require_encryption = true
s2s_secure_auth = {secure}
modules_enabled = {{ "roster", "saslauth", "tls", "dialback", "disco", "ping", "version",
  "offline", "static_hosts" {more} }}
static_hosts = {{ {hosts} }}
ssl = {{ key = "{key}", certificate = "{certificate}", cafile = "{authority}", protocol = "tlsv1_2+" }}
VirtualHost "{domain}"
Component "rooms.{domain}" "muc"
  muc_room_locking = false
Component "pubsub.{domain}" "pubsub"
  admins = {{ "romeo@{domain}" }}
"""
_STATIC_HOSTS: Final = """\
module:set_global();
local service = require "net.resolvers.service";
local basic = require "net.resolvers.basic";
local hosts = module:get_option("static_hosts", {});
local new = service.new;
service.new = function (hostname, name, conn_type, extra)
  local known = hosts[hostname];
  if not known then return new(hostname, name, conn_type, extra); end
  local port = known[name];
  if port then return basic.new("127.0.0.1", port, conn_type, extra); end
  return { next = function (_, cb) cb(nil); end };
end
"""


class Prosody:
    """Prosody, which finds our server by a table and not by the DNS."""

    def __init__(
        self,
        folder: Path,
        authority: Authority,
        ours: Sabir,
        *,
        certified: bool = True,
        bidi: bool = False,
        direct: bool = False,
    ) -> None:
        self.domain = "prosody.test"
        self.port = free_port()
        self.server_port = free_port()
        self._folder = folder
        self._ours = ours
        self._authority = authority
        self._certified = certified
        self._bidi = bidi
        self._direct = direct
        self._files = authority.certify(self.domain)
        if not certified:
            lone = folder.with_name(folder.name + "-alone")
            lone.mkdir()
            self._files = Authority(lone).certify(self.domain)
        self._started: Started | None = None
        (folder / "plugins").mkdir(parents=True)
        (folder / "plugins" / "mod_static_hosts.lua").write_text(_STATIC_HOSTS)
        for domain in (self.domain, f"rooms.{self.domain}", f"pubsub.{self.domain}"):
            ours.hosts[domain] = f"127.0.0.1:{self.server_port}"

    def add(self, *people: str) -> None:
        accounts = self._folder / "data" / self.domain.replace(".", "%2e") / "accounts"
        accounts.mkdir(parents=True)
        for name in people:
            (accounts / f"{name}.dat").write_text(f'return {{ ["password"] = "{PASSWORD}"; }};\n')

    def start(self) -> None:
        service = "xmpps-server" if self._direct else "xmpp-server"
        port = self._ours.direct_port if self._direct else self._ours.server_port
        hosts = " ".join(
            f'["{domain}"] = {{ ["{service}"] = {port} }};'
            for domain in (self._ours.domain, f"rooms.{self._ours.domain}")
        )
        config = self._folder / "prosody.cfg.lua"
        config.write_text(
            _PROSODY.format(
                folder=self._folder,
                level="debug" if os.environ.get("NEIGHBOUR_DEBUG") else "info",
                port=self.port,
                server_port=self.server_port,
                hosts=hosts,
                secure="true" if self._certified else "false",
                more=', "s2s_bidi"' if self._bidi else "",
                certificate=self._files[0],
                key=self._files[1],
                authority=self._authority.file,
                domain=self.domain,
            )
        )
        self._started = Started(["prosody", "-F", "--config", str(config)], self._folder)
        wait_for_port(self._started, self.port)
        wait_for_port(self._started, self.server_port)

    def kill(self) -> None:
        if self._started is not None:
            self._started.kill()

    def said(self) -> str:
        return "" if self._started is None else self._started.said()


_EJABBERD: Final = """\
hosts: ["{domain}"]
loglevel: {level}
auth_method: internal
certfiles: ["{certificate}", "{key}"]
ca_file: "{authority}"
s2s_use_starttls: {starttls}
outgoing_s2s_families: [ipv4]
listen:
  - {{port: {port}, ip: "127.0.0.1", module: ejabberd_c2s, access: all, shaper: none, starttls: false}}
  - {{port: {server_port}, ip: "127.0.0.1", module: ejabberd_s2s_in, max_stanza_size: 524288}}
  - {{port: {http}, ip: "127.0.0.1", module: ejabberd_http, request_handlers: {{/api: mod_http_api}}}}
acl: {{loopback: {{ip: 127.0.0.0/8}}}}
api_permissions: {{test: {{who: {{access: {{allow: [{{acl: loopback}}]}}}}, what: "*"}}}}
modules:
  mod_admin_extra: {{}}
  mod_disco: {{}}
  mod_http_api: {{}}
  mod_muc: {{host: "rooms.{domain}"}}
  mod_offline: {{}}
  mod_ping: {{}}
  mod_roster: {{}}
  mod_s2s_dialback: {{}}
  mod_version: {{}}
"""


class Ejabberd:
    """ejabberd, which asks the DNS."""

    def __init__(self, folder: Path, authority: Authority, names: Names, *, certified: bool = True) -> None:
        self.domain = "ejabberd.test"
        self.port = free_port()
        self.server_port = free_port()
        self._http = free_port()
        self._folder = folder
        self._authority = authority
        self._names = names
        self._certified = certified
        self._files = authority.certify(self.domain)
        self._started: Started | None = None
        folder.mkdir(exist_ok=True)
        for domain in (self.domain, f"rooms.{self.domain}"):
            names.records[f"_xmpp-server._tcp.{domain}"] = [(0, 0, self.server_port, "localhost")]

    def add(self, *people: str) -> None:
        api = http.client.HTTPConnection("127.0.0.1", self._http, timeout=20)
        for name in people:
            body = json.dumps({"user": name, "host": self.domain, "password": PASSWORD})
            api.request("POST", "/api/register", body, {"Content-Type": "application/json"})
            answer = api.getresponse()
            assert answer.status == 200, answer.read()
            answer.read()
        api.close()

    def start(self) -> None:
        config = self._folder / "ejabberd.yml"
        config.write_text(
            _EJABBERD.format(
                level="debug" if os.environ.get("NEIGHBOUR_DEBUG") else "info",
                domain=self.domain,
                certificate=self._files[0],
                key=self._files[1],
                authority=self._authority.file,
                starttls="required" if self._certified else "optional",
                port=self.port,
                server_port=self.server_port,
                http=self._http,
            )
        )
        rc = self._folder / "inetrc"
        rc.write_text(
            '{hosts_file, ""}.\n{resolv_conf, ""}.\n{lookup, [file, dns]}.\n'
            '{host, {127,0,0,1}, ["localhost"]}.\n'
            f"{{nameserver, {{127,0,0,1}}, {self._names.port}}}.\n"
        )
        runtime = ["+K", "true", "+S", "1:1", "+sbwt", "none", "+sbwtdcpu", "none", "+sbwtdio", "none"]
        self._started = Started(
            ["erl", *runtime, "-noinput", "-mnesia", "dir", f'"{self._folder}/mnesia"', "-s", "ejabberd"],
            self._folder,
            {
                "ERL_LIBS": _LIBRARIES,
                "ERL_INETRC": str(rc),
                "EJABBERD_CONFIG_PATH": str(config),
                "EJABBERD_LOG_PATH": str(self._folder / "ejabberd.log"),
                "ERL_CRASH_DUMP": str(self._folder / "crash.dump"),
                "HOME": str(self._folder),
            },
        )
        for port in (self._http, self.port, self.server_port):
            wait_for_port(self._started, port)

    def kill(self) -> None:
        if self._started is not None:
            self._started.kill()

    def said(self) -> str:
        log = self._folder / "ejabberd.log"
        return log.read_text(errors="replace")[-4_000:] if log.exists() else ""


def wait_for_port(started: Started, port: int) -> None:
    def answers() -> bool:
        if not started.is_running():
            raise AssertionError(started.said())
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
        return False

    wait_until(answers, f"port {port}")
