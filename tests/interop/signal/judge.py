"""libsignal in a process of its own, asked by lines of JSON: `judge.mjs`."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from sabir.crypto import PreKeyBundle, PreKeySignalMessage, SignalMessage

HERE: Final = Path(__file__).parent
INSTALL_TIMEOUT_S: Final = 240
KEYS: Final = (
    "prekey",
    "signed_prekey",
    "signed_prekey_signature",
    "identity_key",
    "kyber_prekey",
    "kyber_prekey_signature",
)


class CannotInstall(Exception):
    """The judge is not to be had here: no npm, or no packages."""


class JudgeError(Exception):
    """What the judge refused, by the name of its error."""


def install(folder: Path) -> None:
    """Install the judge in this folder.

    Raises:
        CannotInstall: No npm, or it fails.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise CannotInstall("no npm here")
    for name in ("package.json", "package-lock.json", "judge.mjs"):
        shutil.copy(HERE / name, folder)
    done = subprocess.run(
        [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=INSTALL_TIMEOUT_S,
        check=False,
    )
    if done.returncode:
        raise CannotInstall(f"npm cannot install: {done.stderr[-200:]}")


class Judge:
    """One process of libsignal with any number of devices, by name."""

    def __init__(self, folder: Path) -> None:
        self._process = subprocess.Popen(
            ["node", "judge.mjs"], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=20)
        self._process.stdout.close()

    def ask(self, what: str, **arguments: Any) -> Any:
        """Return the answer.

        Raises:
            JudgeError: It refused.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"what": what, **arguments}) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        if "error" in answer:
            raise JudgeError(f"{answer['error']}: {answer['message']}")
        return answer["ok"]

    def bundle(self, name: str, *, one_time: bool) -> PreKeyBundle:
        """Return a bundle of this device."""
        told = self.ask("bundle", name=name, oneTime=one_time)
        return PreKeyBundle(
            **{key: bytes.fromhex(value) if key in KEYS and value else value for key, value in told.items()}
        )

    def process(self, name: str, peer: str, bundle: PreKeyBundle) -> None:
        """Let this device begin a session from a bundle of ours."""
        fields = {key: getattr(bundle, key) for key in PreKeyBundle.__dataclass_fields__}
        written = {key: value.hex() if isinstance(value, bytes) else value for key, value in fields.items()}
        self.ask("process", name=name, peer=peer, bundle=written)

    def encrypt(
        self, name: str, peer: str, plaintexts: Sequence[bytes]
    ) -> list[SignalMessage | PreKeySignalMessage]:
        """Return messages of this device, read from its bytes."""
        told = self.ask("encrypt", name=name, peer=peer, plaintexts=[each.hex() for each in plaintexts])
        return [
            (PreKeySignalMessage if kind == 3 else SignalMessage).deserialize(bytes.fromhex(data))
            for kind, data in told
        ]

    def decrypt(
        self, name: str, peer: str, messages: Sequence[SignalMessage | PreKeySignalMessage]
    ) -> list[bytes | str]:
        """Return what this device reads; the name of the error where it refuses."""
        told = self.ask(
            "decrypt",
            name=name,
            peer=peer,
            messages=[[each.type, each.serialize().hex()] for each in messages],
        )
        return [bytes.fromhex(each) if isinstance(each, str) else each["error"] for each in told]
