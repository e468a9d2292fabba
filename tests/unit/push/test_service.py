"""What reaches the services of makers, over real HTTPS connections on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
import stat
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from tests.support.push import PushDevice, PushEndpoint, answer, push_endpoint

from sabir.core.model.push import PushOutcome
from sabir.push.fcm import SCOPE, Fcm
from sabir.push.posting import MAX_ANSWER_BYTES, Poster, PostError
from sabir.push.service import Services, kept_key
from sabir.push.webpush import Vapid, bytes_of


def poster_to(endpoint: PushEndpoint, *, private: bool = True, timeout_s: float = 10) -> Poster:
    tls = ssl.create_default_context(cafile=str(endpoint.certificate))
    return Poster(tls, timeout_s=timeout_s, private_addresses=private)


def services_to(endpoint: PushEndpoint, *, private: bool = True) -> Services:
    key = ec.generate_private_key(ec.SECP256R1())
    return Services(
        poster_to(endpoint, private=private), Vapid(key, "mailto:a@b.example", lambda: 1_000), None
    )


async def wake(
    services: Services, options: dict[str, str], payload: bytes = b"<n/>", *, urgent: bool = True
) -> PushOutcome:
    outcome: asyncio.Future[PushOutcome] = asyncio.get_running_loop().create_future()
    services.wake(options, payload, outcome.set_result, urgent=urgent)
    return await asyncio.wait_for(outcome, 10)


def test_a_device_is_sent_what_only_it_can_read(tmp_path: Path) -> None:
    """RFC 8030 §5, RFC 8291 §4, RFC 8292 §3."""

    async def main() -> None:
        device = PushDevice.new()
        async with push_endpoint(tmp_path) as endpoint:
            services = services_to(endpoint)

            outcome = await wake(
                services, device.options(f"{endpoint.url}/up?token=A"), b"<notification/>", urgent=False
            )

            assert outcome is PushOutcome.TAKEN
            (posted,) = endpoint.posted
            assert posted.path == "/up?token=A"
            assert device.open(posted.body) == b"<notification/>"
            assert posted.headers["content-encoding"] == "aes128gcm"
            assert (posted.headers["ttl"], posted.headers["urgency"]) == ("604800", "normal")
            assert posted.headers["authorization"].startswith("vapid t=")
            assert posted.headers["authorization"].endswith(f", k={services.key}")

    asyncio.run(main())


@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        (answer("202 Accepted"), PushOutcome.TAKEN),
        (answer("404 Not Found"), PushOutcome.GONE),
        (answer("410 Gone", b"expired"), PushOutcome.GONE),
        (answer("429 Too Many Requests"), PushOutcome.LATER),
        (answer("302 Found"), PushOutcome.LATER),
        (answer("500 Oops"), PushOutcome.LATER),
        (b"", PushOutcome.LATER),
        (b"NONSENSE\r\n\r\n", PushOutcome.LATER),
        (answer("201 Created", bytes(MAX_ANSWER_BYTES)), PushOutcome.LATER),
    ],
)
def test_what_a_service_says_decides_what_becomes_of_the_device(
    tmp_path: Path, said: bytes, outcome: PushOutcome
) -> None:
    async def main() -> None:
        async with push_endpoint(tmp_path, said) as endpoint:
            assert await wake(services_to(endpoint), PushDevice.new().options(f"{endpoint.url}/x")) is outcome

    asyncio.run(main())


def test_a_device_cannot_make_the_server_connect_to_its_own_network(tmp_path: Path) -> None:
    async def main() -> None:
        async with push_endpoint(tmp_path) as endpoint:
            services = services_to(endpoint, private=False)
            for host in ("localhost", "127.0.0.1", "[::1]", "10.0.0.1", "169.254.169.254", "[fe80::1]"):
                options = PushDevice.new().options(f"https://{host}:{endpoint.port}/x")
                assert await wake(services, options) is PushOutcome.LATER

            assert endpoint.connections == 0

    asyncio.run(main())


def test_an_address_cannot_smuggle_header_fields(tmp_path: Path) -> None:
    async def main() -> None:
        async with push_endpoint(tmp_path) as endpoint:
            options = PushDevice.new().options(f"{endpoint.url}/x HTTP/1.1\u0085Evil: 1")
            assert await wake(services_to(endpoint), options) is PushOutcome.LATER
            assert endpoint.posted == []
            with pytest.raises(PostError):
                await poster_to(endpoint).post(f"{endpoint.url}/", {"X": "1\r\nEvil: 2"}, b"")

    asyncio.run(main())


def test_a_service_that_does_not_answer_is_given_up(tmp_path: Path) -> None:
    async def main() -> None:
        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(OSError):
                await reader.read()
            writer.transport.abort()
            over.set()

        over = asyncio.Event()
        server = await asyncio.start_server(silent, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        poster = Poster(ssl.create_default_context(), timeout_s=0.05, private_addresses=True)
        with pytest.raises(PostError, match="no answer in time"):
            await poster.post(f"https://127.0.0.1:{port}/", {}, b"")
        await over.wait()
        server.close()

    asyncio.run(main())


def test_keys_that_are_none_end_the_registration(tmp_path: Path) -> None:
    async def main() -> None:
        async with push_endpoint(tmp_path) as endpoint:
            options = PushDevice.new().options(endpoint.url) | {"p256dh": "BAAA"}
            assert await wake(services_to(endpoint), options) is PushOutcome.GONE

    asyncio.run(main())


def test_what_is_under_way_ends_with_the_server(tmp_path: Path) -> None:
    async def main() -> None:
        async with push_endpoint(tmp_path) as endpoint:
            services = services_to(endpoint)
            outcomes: list[PushOutcome] = []
            services.wake(PushDevice.new().options(endpoint.url), b"x", outcomes.append, urgent=True)
            await services.stop()
            assert outcomes == []

    asyncio.run(main())


def test_the_key_is_made_once_and_is_the_owners_alone(tmp_path: Path) -> None:
    first, second = kept_key(tmp_path), kept_key(tmp_path)

    assert first.private_numbers() == second.private_numbers()
    assert stat.S_IMODE((tmp_path / "vapid.pem").stat().st_mode) == 0o600


@pytest.fixture(scope="module")
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def account_file(folder: Path, key: rsa.RSAPrivateKey, url: str) -> Path:
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = folder / "account.json"
    file.write_text(
        json.dumps(
            {
                "project_id": "p1",
                "client_email": "sabir@p1.example",
                "private_key": pem.decode(),
                "token_uri": f"{url}/token",
            }
        )
    )
    return file


def test_fcm_is_asked_for_a_token_once_and_told_of_each_notice(
    tmp_path: Path, rsa_key: rsa.RSAPrivateKey
) -> None:
    async def main() -> None:
        granted = answer("200 OK", b'{"access_token": "T", "expires_in": 3599, "token_type": "Bearer"}')
        async with push_endpoint(
            tmp_path, granted, answer("200 OK", b"{}"), answer("404 Not Found")
        ) as endpoint:
            poster = poster_to(endpoint)
            fcm = Fcm(account_file(tmp_path, rsa_key, endpoint.url), endpoint.url, poster, lambda: 1_000)
            vapid = Vapid(ec.generate_private_key(ec.SECP256R1()), "mailto:a@b.example", lambda: 1_000)
            services = Services(poster, vapid, fcm)
            assert services.types == {"webpush", "fcm"}

            first = await wake(services, {"type": "fcm", "token": "D"}, b"<n/>")
            second = await wake(services, {"type": "fcm", "token": "D"}, b"<n/>")

            assert (first, second) == (PushOutcome.TAKEN, PushOutcome.GONE)
            asked, told, _ = endpoint.posted
            assert asked.path == "/token"
            assertion = parse_qs(asked.body.decode())["assertion"][0]
            head, claims, signature = assertion.split(".")
            rsa_key.public_key().verify(
                bytes_of(signature), f"{head}.{claims}".encode(), padding.PKCS1v15(), hashes.SHA256()
            )
            assert json.loads(bytes_of(claims)) == {
                "iss": "sabir@p1.example",
                "scope": SCOPE,
                "aud": f"{endpoint.url}/token",
                "iat": 1_000,
                "exp": 4_600,
            }
            assert told.path == "/v1/projects/p1/messages:send"
            assert told.headers["authorization"] == "Bearer T"
            message = json.loads(told.body)["message"]
            assert (message["token"], message["data"]) == ("D", {"notification": "<n/>"})
            assert message["android"]["priority"] == "HIGH"

    asyncio.run(main())


def test_fcm_that_grants_no_token_is_tried_later(tmp_path: Path, rsa_key: rsa.RSAPrivateKey) -> None:
    async def main() -> None:
        async with push_endpoint(tmp_path, answer("400 Bad Request", b"{}")) as endpoint:
            fcm = Fcm(
                account_file(tmp_path, rsa_key, endpoint.url),
                endpoint.url,
                poster_to(endpoint),
                lambda: 1_000,
            )
            with pytest.raises(PostError, match="no token was granted: 400"):
                await fcm.send("D", b"<n/>", urgent=True)

    asyncio.run(main())


@pytest.mark.parametrize("text", ["", "[]", '{"project_id": "p"}'])
def test_a_file_that_is_no_service_account_is_refused_in_words(tmp_path: Path, text: str) -> None:
    file = tmp_path / "account.json"
    file.write_text(text)

    with pytest.raises(ValueError):  # noqa: PT011  # JSON's own words, or ours
        Fcm(
            file, "https://x", Poster(ssl.create_default_context(), timeout_s=1, private_addresses=False), int
        )
