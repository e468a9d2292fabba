"""Searching people of this server by their cards (XEP-0055), where the operator has switched that on.

Nobody is found who has not written a card: that is how one asks to be found.
"""

from typing import Final

from sabir.core.model.actor import Account
from sabir.protocols.xmpp.codec import attribute
from sabir.protocols.xmpp.errors import BAD_REQUEST, SERVICE_UNAVAILABLE, Refused, stanza_error_for
from sabir.protocols.xmpp.features import forms, vcard
from sabir.protocols.xmpp.features.context import Context, Iq
from sabir.protocols.xmpp.features.forms import Field
from sabir.wire.xml import Element, escape_text, parse

NAMESPACE: Final = "jabber:iq:search"
MAX_FOUND: Final = 50
MIN_CHARS: Final = 2
"""Of what is searched for: nobody is given a list of everybody."""
MAX_CHARS: Final = 100

_FIELDS: Final = {"first": "Given name", "last": "Family name", "nick": "Name or nick", "email": "Email"}
_INSTRUCTIONS: Final = "Fill in one field or more; the beginning of a word will do."

Card = dict[str, str]
"""What a card says, by field."""


def form(context: Context, iq: Iq) -> None:
    """Say which fields there are (XEP-0055 §2.1)."""
    _check(context)
    fields = [forms.text(name, "", label) for name, label in _FIELDS.items()]
    shown = forms.write("form", NAMESPACE, fields, "Searching people", _INSTRUCTIONS)
    plain = "".join([f"<{name}/>" for name in _FIELDS])
    instructions = f"<instructions>{_INSTRUCTIONS}</instructions>"
    context.reply(iq.stanza, f"<query xmlns='{NAMESPACE}'>{instructions}{plain}{shown}</query>")


def search(context: Context, iq: Iq) -> None:
    """Find people (XEP-0055 §2.1, XEP-0055 §3)."""
    _check(context)
    submitted = forms.submitted(iq.payload)
    wanted = _wanted(iq.payload, submitted)
    services = context.place.services
    names: dict[int, str] = {account.id: account.name for account in services.accounts.all()}

    def fits(account_id: int, card: bytes) -> bool:
        name = names.get(account_id, "")
        said = _said(name, card) | {"nick": f"{name} {_said(name, card)['nick']}"}
        return all(_begins(said[field], text) for field, text in wanted.items())

    def answer(found: list[Account]) -> None:
        people = [
            (account, _said(account.name, services.devices.data(account, vcard.NAMESPACE) or b"<vCard/>"))
            for account in found
            if not services.presences.hides(account.actor, context.actor)
        ]
        shown = _plain(context, people) if submitted is None else _filled(context, people)
        context.reply(iq.stanza, f"<query xmlns='{NAMESPACE}'>{shown}</query>")

    def effect() -> None:
        refusal = services.search.accounts(context.actor, vcard.NAMESPACE, fits, MAX_FOUND, answer)
        if refusal is not None:
            context.refuse(iq.stanza, stanza_error_for(refusal))

    context.run(effect)


def _check(context: Context) -> None:
    if not context.place.config.user_search:
        raise Refused(SERVICE_UNAVAILABLE)


def _wanted(payload: Element, submitted: Element | None) -> Card:
    """Return what is searched for, by field.

    Raises:
        Refused: if that is nothing, or too short or long.
    """
    if submitted is None:
        said = {name: payload.child_text(name) or "" for name in _FIELDS}
    else:
        fields = forms.read(submitted)
        said = {name: forms.first(fields, name) or "" for name in _FIELDS}
    wanted = {name: text.strip().casefold() for name, text in said.items() if text.strip()}
    if not wanted or any(not MIN_CHARS <= len(text) <= MAX_CHARS for text in wanted.values()):
        raise Refused(BAD_REQUEST)
    return wanted


def _said(name: str, data: bytes) -> Card:
    card = parse(data)
    full, email = card.find("N"), card.find("EMAIL")
    shown = card.child_text("FN") or ""
    return {
        "first": (full.child_text("GIVEN") if full is not None else None) or shown.partition(" ")[0],
        "last": (full.child_text("FAMILY") if full is not None else None) or shown.rpartition(" ")[2],
        "nick": card.child_text("NICKNAME") or name,
        "email": (email.child_text("USERID") if email is not None else None) or "",
    }


def _begins(text: str, wanted: str) -> bool:
    folded = text.casefold()
    return any(word.startswith(wanted) for word in [folded, *folded.split()])


def _plain(context: Context, people: list[tuple[Account, Card]]) -> str:
    items = []
    for account, said in people:
        jid = attribute("jid", f"{account.name}@{context.place.domain}")
        fields = "".join([f"<{name}>{escape_text(text)}</{name}>" for name, text in said.items()])
        items.append(f"<item{jid}>{fields}</item>")
    return "".join(items)


def _filled(context: Context, people: list[tuple[Account, Card]]) -> str:
    columns = [Field("jid", [], "jid-single", "Address")]
    columns += [Field(name, [], "text-single", label) for name, label in _FIELDS.items()]
    rows = [
        [f"{account.name}@{context.place.domain}", *[said[name] for name in _FIELDS]]
        for account, said in people
    ]
    return forms.table(NAMESPACE, columns, rows)
