"""The key directory of a real server over HTTP, and after SIGKILL: a prekey that was handed out stays so."""

from __future__ import annotations

import base64
import json
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any, Final

import pytest
from tests.interop.conftest import SABIR, wait_until_ready

from sabir.crypto import InMemoryProtocolStore, PreKeyBundle, ProtocolAddress, SessionBuilder, SessionCipher
from sabir.crypto.curve import KeyPair
from sabir.crypto.keys import IdentityKeyPair
from sabir.crypto.kyber import KyberKeyPair

PASSWORD: Final = "correct horse"


class Running:
    """A server that can be killed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        people = folder / "people.csv"
        people.write_text(f"ada,{PASSWORD}\nbob,{PASSWORD}\n")
        command = [*SABIR, "user", "import", str(people), "--data", str(folder / "data")]
        subprocess.run(command, check=True, timeout=60)
        self.start()

    def start(self) -> None:
        ready = self.folder / "ready.json"
        ready.unlink(missing_ok=True)
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *SABIR,
                    "serve",
                    "--data",
                    str(self.folder / "data"),
                    "--ports",
                    "auto",
                    "--ready-file",
                    str(ready),
                    "--set",
                    "limits.enabled=false",
                ],
                stderr=log,
            )
        told = wait_until_ready(self.process, ready, self.folder / "log")
        self.port = told["listeners"]["http"]["port"]

    def end(self) -> None:
        """See that nothing of it is left, whatever the test found."""
        if self.process.poll() is None:
            self.kill()

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(30)

    def stop(self) -> None:
        self.process.terminate()
        assert self.process.wait(30) == 0

    def ask(
        self, method: str, path: str, body: object = None, who: str = "ada", password: str = PASSWORD
    ) -> tuple[int, Any]:
        token = base64.b64encode(f"{who}:{password}".encode()).decode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/signal{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Basic {token}"},
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            with error:
                return error.code, None


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Running]:
    server = Running(tmp_path)
    yield server
    server.end()


def text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def publication(identity: IdentityKeyPair, one_time: int) -> dict[str, Any]:
    numbers = count(1)

    def signed(key: bytes) -> dict[str, Any]:
        return {"keyId": next(numbers), "publicKey": text(key), "signature": text(identity.sign(key))}

    return {
        "identityKey": text(identity.public_key),
        "registrationId": 5,
        "signedPreKey": signed(KeyPair.generate().public_key),
        "pqLastResortPreKey": signed(KyberKeyPair.generate().public_key),
        "preKeys": [
            {"keyId": number, "publicKey": text(KeyPair.generate().public_key)}
            for number in range(1, one_time + 1)
        ],
    }


def as_bundle(device: dict[str, Any]) -> PreKeyBundle:
    def key(name: str, field: str = "publicKey") -> bytes:
        return base64.b64decode(device[name][field])

    return PreKeyBundle(
        device["registrationId"],
        device["deviceId"],
        device["preKey"]["keyId"] if "preKey" in device else None,
        key("preKey") if "preKey" in device else None,
        device["signedPreKey"]["keyId"],
        key("signedPreKey"),
        key("signedPreKey", "signature"),
        base64.b64decode(device["identityKey"]),
        device["pqPreKey"]["keyId"],
        key("pqPreKey"),
        key("pqPreKey", "signature"),
    )


def test_a_session_begins_with_what_the_directory_hands_out(server: Running) -> None:
    mine = InMemoryProtocolStore(IdentityKeyPair.generate(), 5)
    bundle = mine.make_bundle(one_time=True)
    assert bundle.prekey is not None

    status, standing = server.ask(
        "PUT",
        "/v2/devices/1/keys",
        {
            "identityKey": text(bundle.identity_key),
            "registrationId": 5,
            "signedPreKey": {
                "keyId": bundle.signed_prekey_id,
                "publicKey": text(bundle.signed_prekey),
                "signature": text(bundle.signed_prekey_signature),
            },
            "pqLastResortPreKey": {
                "keyId": bundle.kyber_prekey_id,
                "publicKey": text(bundle.kyber_prekey),
                "signature": text(bundle.kyber_prekey_signature),
            },
            "preKeys": [{"keyId": bundle.prekey_id, "publicKey": text(bundle.prekey)}],
        },
    )
    assert (status, standing["count"], standing["low"]) == (200, 1, True)

    status, handed_out = server.ask("POST", "/v2/keys/ada@localhost", who="bob")
    assert status == 200
    theirs = InMemoryProtocolStore(IdentityKeyPair.generate(), 6)
    ada, bob = ProtocolAddress("ada", 1), ProtocolAddress("bob", 1)
    SessionBuilder(theirs, ada).process(as_bundle(handed_out["devices"][0]))
    message = SessionCipher(theirs, ada).encrypt(b"hello")
    assert SessionCipher(mine, bob).decrypt(message) == b"hello"

    assert server.ask("GET", "/v2/devices/1/keys")[1]["count"] == 0
    assert server.ask("GET", "/v2/changes", who="ada")[1]["changed"] == ["ada"]
    assert server.ask("GET", "/openapi.json")[1]["openapi"] == "3.1.0"

    assert server.ask("POST", "/v2/keys/ada", password="wrong")[0] == 401
    assert server.ask("GET", "/v2/keys/ada")[0] == 405
    assert server.ask("POST", "/v2/keys/nobody")[0] == 404
    for wrong in ({"privateKey": "AAAA"}, {"preKeys": [{"keyId": 1, "publicKey": "!"}]}, [], {"preKeys": 1}):
        assert server.ask("PUT", "/v2/devices/1/keys", wrong)[0] == 400
    assert server.ask("DELETE", "/v2/devices/1/keys")[0] == 204
    assert server.ask("POST", "/v2/keys/ada", who="bob")[0] == 404
    server.stop()


def test_a_prekey_goes_out_once_though_the_server_is_killed(server: Running) -> None:
    assert server.ask("PUT", "/v2/devices/1/keys", publication(IdentityKeyPair.generate(), 40))[0] == 200

    given: list[int] = []
    for _ in range(4):
        for _ in range(10):
            status, answer = server.ask("POST", "/v2/keys/ada/1", who="bob")
            assert status == 200
            given.append(answer["devices"][0]["preKey"]["keyId"])
        server.kill()
        server.start()

    assert sorted(given) == list(range(1, 41))
    assert "preKey" not in server.ask("POST", "/v2/keys/ada/1", who="bob")[1]["devices"][0]
    server.stop()
