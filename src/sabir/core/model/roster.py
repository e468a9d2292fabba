"""Contacts of an account and the subscriptions between two (RFC 6121 §3 in the core's words)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sabir.core.model.actor import Actor


@dataclass(frozen=True, slots=True)
class Contact:
    """One contact. `watches`: the owner sees the contact's presence; `watched`: the other way round.

    `asked` is an outgoing request without an answer, `asking` an incoming one (kept until answered). A
    contact that exists only because of an incoming request is not `listed`.
    """

    actor: Actor
    name: str = ""
    groups: tuple[str, ...] = ()
    watches: bool = False
    watched: bool = False
    asked: bool = False
    asking: bool = False
    approved: bool = False
    listed: bool = True
    request: bytes = b""
    """The incoming request in its protocol's form, given again at each login until answered."""

    def with_(self, **changes: object) -> Contact:
        """Return a copy with some fields replaced."""
        return replace(self, **changes)  # type: ignore[arg-type]  # replace() checks the names at run time
