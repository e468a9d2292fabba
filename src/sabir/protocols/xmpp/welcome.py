"""The page that somebody opens who was invited (XEP-0401 §5.2, XEP-0379 §3.3): what it is, and what to do.

It needs no script, loads nothing and tells nobody where it came from.
"""

import base64
import hashlib
import html
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import segno

from sabir.core.services.vouchers import Voucher, Vouchers
from sabir.gateway.web import Exchange, Page
from sabir.protocols.xmpp.features.onboarding import PAGE, uri_of
from sabir.wire.http.types import HttpResponse

_MAX_SECRET_CHARS: Final = 64

_STYLE: Final = """
:root { color-scheme: light dark; --accent: #1d5f8a; --line: #8884; }
body { font: 1.05rem/1.55 system-ui, sans-serif; max-width: 38rem; margin: 0 auto; padding: 2.5rem 1.25rem 4rem; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 .5rem; }
h2 { font-size: 1.1rem; margin: 2.25rem 0 .5rem; }
.quiet { opacity: .75; font-size: .95rem; }
.go { display: inline-block; margin: 1rem 0 .25rem; padding: .8rem 1.4rem; border-radius: .5rem;
  background: var(--accent);
  color: #fff; text-decoration: none; font-weight: 600; }
.go:hover, .go:focus { filter: brightness(1.15); }
.clients { list-style: none; padding: 0; display: grid; grid-template-columns: repeat(auto-fill, minmax(16rem, 1fr));
  gap: .5rem; }
.clients li { border: 1px solid var(--line); border-radius: .5rem; padding: .55rem .8rem; }
.clients b { display: block; }
.code { background: #fff; width: 12rem; padding: .75rem; border: 1px solid var(--line); border-radius: .5rem; }
.code svg { display: block; width: 100%; height: auto; }
code { overflow-wrap: anywhere; }
"""
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()

_HEADERS: Final = (
    (
        "Content-Security-Policy",
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'",
    ),
    ("Referrer-Policy", "no-referrer"),  # the address is the secret
    ("X-Content-Type-Options", "nosniff"),
    ("X-Robots-Tag", "noindex"),
    ("Cache-Control", "no-store"),
)

_CLIENTS: Final = (
    ("Android", "Conversations", "https://conversations.im/"),
    ("Android", "Cheogram", "https://cheogram.com/"),
    ("iPhone, iPad, Mac", "Monal", "https://monal-im.org/"),
    ("Windows, Linux, Mac", "Gajim", "https://gajim.org/"),
    ("Linux", "Dino", "https://dino.im/"),
)


def pages(vouchers: Vouchers, domain: str) -> Sequence[Page]:
    """Return the page of invitations."""

    def serve(exchange: Exchange) -> None:
        secret = exchange.parameters["secret"]
        voucher = vouchers.find(secret) if len(secret) <= _MAX_SECRET_CHARS else None
        if voucher is None:
            status, body = 404, _render("This invitation is not valid any more", _over())
        else:
            status, body = 200, _render(_title(voucher, domain), _invitation(voucher, secret, domain))
        exchange.respond(
            HttpResponse(status=status, body=body, content_type="text/html; charset=utf-8", headers=_HEADERS)
        )

    return (Page(path=PAGE + "{secret}", serve=serve),)


def _title(voucher: Voucher, domain: str) -> str:
    who = "You are invited" if voucher.inviter is None else f"{voucher.inviter.name} has invited you"
    return f"{who} to {domain if voucher.registers else 'chat'}"


def _invitation(voucher: Voucher, secret: str, domain: str) -> str:
    uri = uri_of(voucher, secret, domain)
    until = datetime.fromtimestamp(voucher.expires_ms / 1000, UTC)
    return f"""
<p>{_what(voucher, domain)}</p>
<a class="go" href="{html.escape(uri)}">{_action(voucher, domain)}</a>
<p class="quiet">Nothing happens? Then you have no chat program yet that knows such links. Get one, then open this page
again.</p>
<h2>A program for you</h2>
<ul class="clients">{"".join(_client(*each) for each in _CLIENTS)}</ul>
<p class="quiet">There are many others: <a href="https://xmpp.org/software/">every XMPP client</a> will do.</p>
<h2>Is the program on your phone?</h2>
<p>Scan this with it:</p>
<div class="code">{_code(uri)}</div>
<h2>By hand</h2>
<p class="quiet">Some programs ask for the link itself: <code>{html.escape(uri)}</code></p>
<p class="quiet">Good until <time datetime="{until.isoformat()}">{until:%d %B %Y, %H:%M} UTC</time>. If you do not know
who sent you here, close this page: nothing has happened yet.</p>
"""


def _what(voucher: Voucher, domain: str) -> str:
    server = f"<b>{html.escape(domain)}</b>"
    inviter = "" if voucher.inviter is None else f"<b>{html.escape(f'{voucher.inviter.name}@{domain}')}</b>"
    network = "a free network of many servers (XMPP), like e-mail: you choose the program."
    if voucher.name:
        account = f"the account <b>{html.escape(f'{voucher.name}@{domain}')}</b>"
        return f"You can have {account}, and choose its password yourself. {server} is part of {network}"
    if not voucher.registers:
        return f"With any account you can talk to {inviter}. It is part of {network}"
    account = f"You can make an account on {server}, part of {network}"
    if voucher.befriends and inviter:
        account += f" You and {inviter} will be contacts from the beginning."
    return account


def _action(voucher: Voucher, domain: str) -> str:
    if voucher.befriends and voucher.inviter is not None and not voucher.name:
        return f"Add {html.escape(voucher.inviter.name)} as a contact"
    return f"Make my account on {html.escape(domain)}"


def _client(system: str, name: str, url: str) -> str:
    link = f'<a href="{html.escape(url)}" rel="noreferrer noopener">{html.escape(name)}</a>'
    return f"<li><b>{link}</b>{html.escape(system)}</li>"


def _code(text: str) -> str:
    """Return a QR code as SVG."""
    return segno.make_qr(text, error="m").svg_inline(scale=4, border=1, omitsize=True)


def _over() -> str:
    return "<p>It may have been used, or its time is over. Ask whoever sent it for another one.</p>"


def _render(title: str, body: str) -> bytes:
    escaped = html.escape(title)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escaped}</title><style>{_STYLE}</style></head>"
        f"<body><main><h1>{escaped}</h1>{body}</main></body></html>\n"
    ).encode()
