"""A value that must not reach a log line, a traceback or a settings dump by accident."""

import hmac
from typing import NoReturn


class Secret:
    """A password, key or token; it prints as nothing, and only `reveal()` gives it out."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the secret itself; call it where the secret is used, not where it is passed on."""
        return self._value

    def __repr__(self) -> str:
        return ""

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._value.encode(), other._value.encode())

    def __hash__(self) -> int:
        return hash(self._value)

    def __bool__(self) -> bool:
        return bool(self._value)

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled or copied into a file.

        Raises:
            TypeError: always.
        """
        raise TypeError("a secret is not serialised")
