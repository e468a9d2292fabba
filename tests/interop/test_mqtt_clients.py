"""MQTT libraries and programs as they come from their makers."""

from __future__ import annotations

import asyncio
import json
import queue
import shutil
import socket
import ssl
import subprocess
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from tests.interop.conftest import PASSWORD, RunningServer
from tests.interop.test_xmpp_js import installed as installed  # the Node libraries, as a fixture

paho = pytest.importorskip("paho.mqtt.client")
aiomqtt = pytest.importorskip("aiomqtt")

TIMEOUT_S = 20


class Paho:
    """A client of paho-mqtt, over TLS, in a thread of its own."""

    def __init__(self, running: RunningServer, name: str, version: int) -> None:
        self.heard: queue.Queue[Any] = queue.Queue()
        self.ready: queue.Queue[str] = queue.Queue()
        self.client = paho.Client(
            paho.CallbackAPIVersion.VERSION2, client_id=f"paho-{name}", protocol=version
        )
        self.client.tls_set_context(ssl.create_default_context(cafile=running.certificate))
        self.client.username_pw_set(name, PASSWORD)
        self.client.on_connect = lambda *told: self.ready.put("connected")
        self.client.on_subscribe = lambda *told: self.ready.put("subscribed")
        self.client.on_message = lambda client, data, message: self.heard.put(message)
        self.client.connect(running.domain, running.ports["mqtt-tls"])
        self.client.loop_start()
        assert self.ready.get(timeout=TIMEOUT_S) == "connected"

    def close(self) -> None:
        """Say goodbye."""
        self.client.disconnect()
        self.client.loop_stop()


@pytest.mark.parametrize("version", [4, 5])
def test_paho_talks_over_tls_at_every_quality(running: RunningServer, version: int) -> None:
    reader, writer = Paho(running, "juliet", version), Paho(running, "romeo", version)
    try:
        reader.client.subscribe("paho/#", 2)
        assert reader.ready.get(timeout=TIMEOUT_S) == "subscribed"

        for qos in range(3):
            writer.client.publish("paho/t", f"at {qos}", qos).wait_for_publish(TIMEOUT_S)

        got = [reader.heard.get(timeout=TIMEOUT_S) for _ in range(3)]
        assert [(each.topic, each.payload, each.qos) for each in got] == [
            ("paho/t", f"at {qos}".encode(), qos) for qos in range(3)
        ]
    finally:
        reader.close()
        writer.close()


def test_a_device_and_a_person_on_irc_talk_in_one_room(running: RunningServer) -> None:
    device = Paho(running, "mercutio", 5)
    try:
        device.client.subscribe("chat/v1/r/queue/text", 1)
        assert device.ready.get(timeout=TIMEOUT_S) == "subscribed"
        with socket.create_connection(("127.0.0.1", running.ports["irc"]), timeout=TIMEOUT_S) as person:
            lines = person.makefile("rb")
            person.sendall(
                f"PASS {PASSWORD}\r\nNICK nurse\r\nUSER nurse 0 * :Nurse\r\nJOIN #queue\r\n".encode()
            )
            _line(lines, b" 366 ")
            person.sendall(b"PRIVMSG #queue :is the lamp on?\r\n")
            asked = device.heard.get(timeout=TIMEOUT_S)
            device.client.publish("chat/v1/r/queue/text", "it is", 1).wait_for_publish(TIMEOUT_S)
            answer = _line(lines, b"PRIVMSG")
            lines.close()
    finally:
        device.close()

    assert (asked.payload, dict(asked.properties.UserProperty)["sender"]) == (b"is the lamp on?", "nurse")
    assert answer.startswith(b":mercutio!")
    assert answer.endswith(b" PRIVMSG #queue :it is\r\n")


def _line(lines: BinaryIO, wanted: bytes) -> bytes:
    return next(line for line in lines if wanted in line)


def test_aiomqtt_gets_a_retained_message(running: RunningServer) -> None:
    async def play() -> tuple[bytes, bool]:
        options = {"port": running.ports["mqtt"], "password": PASSWORD}
        async with aiomqtt.Client("127.0.0.1", username="romeo", **options) as writer:
            await writer.publish("aio/t", "kept", qos=1, retain=True)
        async with aiomqtt.Client("127.0.0.1", username="juliet", **options) as reader:
            await reader.subscribe("aio/+", qos=1)
            async for message in reader.messages:
                return bytes(message.payload), message.retain
        raise AssertionError("nothing came")

    assert asyncio.run(asyncio.wait_for(play(), TIMEOUT_S)) == (b"kept", True)


@pytest.mark.spec("MQTT 5.0 §6")
def test_the_node_library_talks_over_a_websocket(running: RunningServer, installed: Path) -> None:
    done = subprocess.run(
        ["node", "mqtt.mjs", str(running.ports["http"]), PASSWORD],
        cwd=installed,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["granted"] == [2]
    assert seen["heard"] == [["ws/greeting", f"hello {qos} \U0001f319", qos] for qos in range(3)]


@pytest.mark.parametrize("version", ["mqttv311", "mqttv5"])
def test_mosquitto_pub_and_sub_talk_over_tls(running: RunningServer, version: str) -> None:
    pub, sub = shutil.which("mosquitto_pub"), shutil.which("mosquitto_sub")
    if pub is None or sub is None:
        pytest.skip("no mosquitto_pub and mosquitto_sub here: apt-get install mosquitto-clients")
    common = [
        "-h",
        running.domain,
        "-p",
        str(running.ports["mqtt-tls"]),
        "--cafile",
        str(running.certificate),
    ]
    common += ["-V", version, "-P", PASSWORD, "-t", f"mosquitto/{version}", "-q", "2"]
    subprocess.run([pub, *common, "-u", "romeo", "-m", "kept", "-r"], check=True, timeout=TIMEOUT_S)

    heard = subprocess.run(
        [sub, *common, "-u", "juliet", "-C", "1"], check=True, timeout=TIMEOUT_S, capture_output=True
    )

    assert heard.stdout == b"kept\n"
