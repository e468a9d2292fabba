"""Where the directory answers; `openapi.document` says what. Everything but that document needs a login."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final
from urllib.parse import parse_qs

from sabir.core.errors import Refusal
from sabir.core.model.actor import Account
from sabir.core.services.keys import Keys
from sabir.gateway.contract import Environment
from sabir.gateway.web import Exchange, Page
from sabir.keys import codec
from sabir.keys.login import Login
from sabir.keys.openapi import document
from sabir.net.limits import peer_key
from sabir.wire.http.types import HttpResponse

ROOT: Final = "/signal/v2"
MAX_BODY_BYTES: Final = 524_288
"""A full publication, 100 Kyber prekeys included, has 240 KiB."""
_JSON: Final = "application/json"
_MAX_DIGITS: Final = 18

Serve = Callable[[Exchange, Account], None]


def pages(environment: Environment) -> Sequence[Page]:
    """Return the pages."""
    services = environment.services
    login = Login(
        services.accounts, environment.logins, environment.secret, environment.domain, services.clock.now_ms
    )
    keys, domain = services.keys, environment.domain

    def page(path: str, method: str, serve: Serve, max_body_bytes: int = 1_024) -> Page:
        return Page(
            path=f"{ROOT}{path}",
            methods=(method,),
            serve=partial(_logged_in, login, serve, plain_logins=environment.plain_logins),
            max_body_bytes=max_body_bytes,
            cors=True,
        )

    described = document(ROOT, environment.version)
    return (
        Page(path="/signal/openapi.json", serve=partial(_describe, described), cors=True),
        page("/devices/{device}/keys", "PUT", partial(_publish, keys), MAX_BODY_BYTES),
        page("/devices/{device}/keys", "GET", partial(_standing, keys)),
        page("/devices/{device}/keys", "DELETE", partial(_remove, keys)),
        # Not GET: that is safe to repeat (RFC 9110 §9.2.1), and a hand-out uses something up.
        page("/keys/{name}", "POST", partial(_hand_out, keys, domain)),
        page("/keys/{name}/{device}", "POST", partial(_hand_out, keys, domain)),
        page("/changes", "GET", partial(_changes, keys)),
    )


def _logged_in(login: Login, serve: Serve, exchange: Exchange, *, plain_logins: bool) -> None:
    if not (exchange.secure or plain_logins):
        _answer(exchange, 403, codec.problem("passwords travel over https only"))
        return
    account = login.account(exchange.request.headers.get("authorization", ""), exchange.peer)
    if account is None:
        challenge = (("WWW-Authenticate", 'Basic realm="keys", charset="UTF-8"'),)  # RFC 7617 §2.1
        _answer(exchange, 401, codec.problem(Refusal.LOGIN_FAILED.value), challenge)
        return
    serve(exchange, account)


def _publish(keys: Keys, exchange: Exchange, account: Account) -> None:
    device_id = _number(exchange.parameters["device"])
    if device_id is None:
        _refuse(exchange, Refusal.BAD_REQUEST)
        return
    try:
        publication = codec.decode(device_id, exchange.request.body)
    except codec.BodyError as error:
        _answer(exchange, 400, codec.problem(str(error)))
        return
    keys.publish(
        account,
        publication,
        lambda standing: _answer(exchange, 200, codec.standing(standing)),
        partial(_refuse, exchange),
    )


def _standing(keys: Keys, exchange: Exchange, account: Account) -> None:
    device_id = _number(exchange.parameters["device"])
    standing = None if device_id is None else keys.standing(account, device_id)
    if standing is None:
        _refuse(exchange, Refusal.ITEM_UNKNOWN)
    else:
        _answer(exchange, 200, codec.standing(standing))


def _remove(keys: Keys, exchange: Exchange, account: Account) -> None:
    device_id = _number(exchange.parameters["device"])
    if device_id is None:
        _refuse(exchange, Refusal.ITEM_UNKNOWN)
        return
    keys.remove(account, device_id, lambda: _answer(exchange, 204, b""), partial(_refuse, exchange))


def _hand_out(keys: Keys, domain: str, exchange: Exchange, account: Account) -> None:
    name = exchange.parameters["name"].lower().removesuffix(f"@{domain}")
    device = exchange.parameters.get("device")
    device_id = None if device is None else _number(device)
    if device is not None and device_id is None:
        _refuse(exchange, Refusal.BAD_REQUEST)
        return
    keys.hand_out(
        account,
        hash(peer_key(exchange.peer)),
        name,
        device_id,
        lambda found: _answer(exchange, 200, codec.bundles(name, found)),
        partial(_refuse, exchange),
    )


def _changes(keys: Keys, exchange: Exchange, account: Account) -> None:
    since = _number(parse_qs(exchange.request.query).get("since", ["0"])[0])
    if since is None:
        _refuse(exchange, Refusal.BAD_REQUEST)
        return
    _answer(exchange, 200, codec.changes(*keys.changed(account, since)))


def _describe(described: bytes, exchange: Exchange) -> None:
    exchange.respond(HttpResponse(status=200, body=described, content_type=_JSON))


def _refuse(exchange: Exchange, refusal: Refusal) -> None:
    _answer(exchange, _status(refusal), codec.problem(refusal.value))


def _status(refusal: Refusal) -> int:
    match refusal:
        case Refusal.ACTOR_UNKNOWN | Refusal.ITEM_UNKNOWN:
            return 404
        case Refusal.RATE_LIMITED:
            return 429
        case Refusal.TOO_MANY:
            return 409
        case Refusal.ACCOUNT_DISABLED:
            return 403
        case Refusal.BUSY | Refusal.STORAGE_FAILED:
            return 503
        case Refusal.FAULT:
            return 500
        case _:
            return 400


def _answer(exchange: Exchange, status: int, body: bytes, headers: tuple[tuple[str, str], ...] = ()) -> None:
    exchange.respond(
        HttpResponse(
            status=status, body=body, content_type=_JSON, headers=(("Cache-Control", "no-store"), *headers)
        )
    )


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= _MAX_DIGITS else None
