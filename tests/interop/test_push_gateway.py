"""A real server wakes a device through a real service: HTTPS, encryption, signature, and what becomes of it."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from xml.etree import ElementTree

import pytest
from tests.interop.conftest import PASSWORD, SABIR, RunningServer, wait_until_ready
from tests.interop.test_xmpp_slixmpp import Client
from tests.support.push import PushDevice, PushEndpoint, answer, push_endpoint

TIMEOUT_S = 60
OPTIONS = "http://jabber.org/protocol/pubsub#publish-options"


@asynccontextmanager
async def serving(folder: Path, endpoint: PushEndpoint) -> AsyncIterator[RunningServer]:
    """Yield a server with two accounts that trusts the service."""
    data, file, log = folder / "data", folder / "ready.json", folder / "log"
    people = folder / "people.csv"
    people.write_text("".join([f"{name},{PASSWORD}\n" for name in ("romeo", "juliet")]))
    subprocess.run([*SABIR, "user", "import", str(people), "--data", str(data)], check=True, timeout=60)
    command = [*SABIR, "serve", "--data", str(data), "--ports", "auto", "--ready-file", str(file)]
    command += ["--set", "push.private_addresses=true"]
    environment = os.environ | {"SSL_CERT_FILE": str(endpoint.certificate)}
    with (
        log.open("wb") as out,
        subprocess.Popen(command, stdout=out, stderr=out, env=environment) as process,
    ):
        try:
            told = await asyncio.to_thread(wait_until_ready, process, file, log)
            ports = {name: listener["port"] for name, listener in told["listeners"].items()}
            yield RunningServer(told["domain"], data, data / "certificate.pem", ports)
        finally:
            process.terminate()
            await asyncio.to_thread(process.wait, 20)
    assert "Traceback" not in log.read_text(), log.read_text()


@pytest.mark.spec("XEP-0357 §5")
@pytest.mark.spec("XEP-0357 §7")
def test_a_device_that_is_away_is_woken_by_its_service_until_that_does_not_know_it(tmp_path: Path) -> None:
    async def main() -> None:
        device = PushDevice.new()
        answers = (answer("201 Created"), answer("410 Gone"))
        async with (
            asyncio.timeout(TIMEOUT_S),
            push_endpoint(tmp_path / "service", *answers) as endpoint,
            serving(tmp_path, endpoint) as running,
        ):
            phone = Client(running, "juliet", "phone")
            await phone.begin()
            fields = {"FORM_TYPE": OPTIONS} | device.options(f"{endpoint.url}/up")
            shown = "".join(
                [f"<field var='{var}'><value>{text}</value></field>" for var, text in fields.items()]
            )
            iq = phone.make_iq_set()
            iq.append(
                ElementTree.fromstring(
                    f"<enable xmlns='urn:xmpp:push:0' jid='push.{running.domain}' node='n'>"
                    f"<x xmlns='jabber:x:data' type='submit'>{shown}</x></enable>"
                )
            )
            await iq.send()
            await phone.disconnect()

            romeo = Client(running, "romeo", "orchard")
            await romeo.begin()
            romeo.send_message(mto=f"juliet@{running.domain}", mbody="Wherefore?", mtype="chat")
            await posted(endpoint, 1)
            notification = ElementTree.fromstring(device.open(endpoint.posted[0].body).decode())
            assert notification.tag == "{urn:xmpp:push:0}notification"
            values = [each.text for each in notification.iter("{jabber:x:data}value")]
            assert values == ["urn:xmpp:push:summary", "1", "New message"]
            assert endpoint.posted[0].headers["authorization"].startswith("vapid t=")

            romeo.send_message(mto=f"juliet@{running.domain}", mbody="Romeo?", mtype="chat")
            await posted(endpoint, 2)
            await romeo.disconnect()

    asyncio.run(main())


async def posted(endpoint: PushEndpoint, count: int) -> None:
    """Wait until the service got so many requests."""
    while len(endpoint.posted) < count:
        await asyncio.sleep(0.05)
