"""From a password to what is stored instead of it."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from sabir.wire.sasl import credentials


class Passwords:
    """Makes the verifiers of every SCRAM mechanism that is offered (`sabir.core.ports.Verifiers`)."""

    def make(self, password: str) -> Sequence[tuple[str, bytes]]:
        """Return (mechanism, verifier) for each mechanism. Takes about 3 ms of CPU.

        Raises:
            ValueError: the password is empty, or has characters that SASLprep refuses.
        """
        made = []
        for mechanism in credentials.HASHES:
            salt = secrets.token_bytes(credentials.SALT_BYTES)
            made.append(
                (mechanism, credentials.to_bytes(credentials.make_verifier(password, mechanism, salt=salt)))
            )
        return made

    def make_all(self, passwords: Iterable[str]) -> Iterator[Sequence[tuple[str, bytes]] | None]:
        """Make the verifiers of many, in their order, on all cores; None for one that is refused."""
        # Threads do: the hashing, which is nearly all of the work, lets go of the interpreter.
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            yield from pool.map(self._made, passwords)

    def _made(self, password: str) -> Sequence[tuple[str, bytes]] | None:
        try:
            return self.make(password)
        except ValueError:
            return None
