"""Hats (XEP-0317): titles that administrators of a room give to people, shown in presences, by commands (XEP-0050)."""

import hashlib
from collections.abc import Iterable
from typing import Final

from sabir.core import policy
from sabir.core.model.actor import Actor
from sabir.core.model.conversation import Conversation, Hat, Role
from sabir.core.services.appearance import MOST_HATS
from sabir.protocols.xmpp.codec import attribute
from sabir.protocols.xmpp.errors import ITEM_NOT_FOUND, Refused
from sabir.protocols.xmpp.features import forms
from sabir.protocols.xmpp.features.commands.execution import Command, Execution, wrong_payload
from sabir.protocols.xmpp.features.context import Context
from sabir.protocols.xmpp.features.dialogues import Fields
from sabir.protocols.xmpp.features.forms import Field
from sabir.protocols.xmpp.features.muc.names import account_name_of, real_address, sees_addresses
from sabir.wire.xml import escape_attribute, escape_text

NAMESPACE: Final = "urn:xmpp:hats:0"
FORM_TYPE: Final = "urn:xmpp:hats:commands"
MOST_CHARS: Final = 256
"""Characters of a title or URI at most."""

_TITLE: Final = "hats#title"
_URI: Final = "hats#uri"
_HUE: Final = "hats#hue"
_JID: Final = "hats#jid"


def worn(room: Conversation, actor: Actor) -> str:
    """Return the element that shows the hats of somebody (XEP-0317 §3.1), empty if they have none."""
    uris = room.wearers.get(actor.id)
    if not uris:
        return ""
    shown = [
        f"<hat title='{escape_attribute(hat.title)}' uri='{escape_attribute(hat.uri)}'"
        + (f" hue='{hat.hue}'/>" if hat.hue else "/>")
        for uri in uris
        if (hat := room.hats.get(uri)) is not None
    ]
    return f"<hats xmlns='{NAMESPACE}'>{''.join(shown)}</hats>"


def hash_of(room: Conversation) -> str:
    """Return what changes whenever the list of hats does (XEP-0317 §2)."""
    listed = "\n".join([f"{hat.uri} {hat.hue} {hat.title}" for hat in room.hats.values()])
    return hashlib.sha1(listed.encode(), usedforsecurity=False).hexdigest()


def commands(room: Conversation) -> dict[str, Command]:
    """Return the commands of a room, by node."""

    def is_admin(context: Context) -> bool:
        return policy.effective_role(room, context.actor) >= Role.ADMIN

    def may_see(context: Context) -> bool:
        return context.actor.id in room.attendees or policy.is_member(room, context.actor)

    def may_see_who(context: Context) -> bool:
        own = room.attendees.get(context.actor.id)
        return is_admin(context) or (own is not None and sees_addresses(room, own.role))

    hats = _Hats(room)
    made = (
        ("create", "Create or change a hat", (_creating,), hats.create, is_admin),
        ("destroy", "Destroy a hat", (hats.destroying,), hats.destroy, is_admin),
        ("list", "List the hats", (), hats.list, may_see),
        ("assign", "Assign a hat", (hats.assigning,), hats.assign, is_admin),
        ("unassign", "Take a hat away", (hats.assigning,), hats.unassign, is_admin),
        ("list-assigned", "List who wears which hat", (), hats.list_assigned, may_see_who),
    )
    return {
        f"{FORM_TYPE}:{name}": Command(
            node=f"{FORM_TYPE}:{name}", name=title, steps=steps, run=run, is_open=is_open
        )
        for name, title, steps, run, is_open in made
    }


def _creating(context: Context, fields: Fields) -> str:
    title, uri = forms.text(_TITLE, "", "Hat title"), forms.text(_URI, "", "Hat URI")
    title.extra = uri.extra = "<required/>"
    shown = (title, uri, forms.text(_HUE, "", "Hat hue"))
    return forms.write("form", FORM_TYPE, shown, "Creating a hat", "Fill out this form to create a hat.")


class _Hats:
    """The commands of one room."""

    def __init__(self, room: Conversation) -> None:
        self._room = room

    def destroying(self, context: Context, fields: Fields) -> str:
        return forms.write("form", FORM_TYPE, (self._choice(),), "Destroying a hat")

    def assigning(self, context: Context, fields: Fields) -> str:
        jid = forms.text(_JID, "", "User address", "jid-single")
        jid.extra = "<required/>"
        return forms.write("form", FORM_TYPE, (jid, self._choice()), "A hat for somebody")

    def create(self, execution: Execution) -> None:
        title, uri = execution.value(_TITLE), execution.value(_URI)
        if max(len(title), len(uri)) > MOST_CHARS or ":" not in uri:
            raise wrong_payload("A hat has a URI and a title of at most 256 characters each.")
        hat = Hat(uri, title, _hue((execution.fields.get(_HUE) or [""])[0]))
        context = execution.context
        context.place.services.appearance.set_hat(
            context.session, self._room, hat, execution.complete, execution.refused
        )

    def destroy(self, execution: Execution) -> None:
        context = execution.context
        context.place.services.appearance.remove_hat(
            context.session, self._room, execution.value(_URI), execution.complete, execution.refused
        )

    def assign(self, execution: Execution) -> None:
        context, actor, uri = self._person(execution)
        context.place.services.appearance.give_hat(
            context.session, self._room, actor, uri, execution.complete, execution.refused
        )

    def unassign(self, execution: Execution) -> None:
        context, actor, uri = self._person(execution)
        context.place.services.appearance.take_hat(
            context.session, self._room, actor, uri, execution.complete, execution.refused
        )

    def list(self, execution: Execution) -> None:
        rows = [((_TITLE, hat.title), (_URI, hat.uri), (_HUE, hat.hue)) for hat in self._room.hats.values()]
        _tell(execution, "Hats list", (_TITLE, _URI, _HUE), rows)

    def list_assigned(self, execution: Execution) -> None:
        place, room = execution.context.place, self._room
        rows = [
            ((_JID, address), (_URI, uri), (_TITLE, room.hats[uri].title), (_HUE, room.hats[uri].hue))
            for actor_id, uris in room.wearers.items()
            if (address := real_address(place, place.services.directory.actor(actor_id)))
            for uri in uris
        ]
        _tell(execution, "Assigned hats list", (_JID, _URI, _TITLE, _HUE), rows)

    def _choice(self) -> Field:
        options = [(hat.uri, hat.title) for hat in self._room.hats.values()]
        return Field(_URI, (), "list-single", "The hat", options[:MOST_HATS])

    def _person(self, execution: Execution) -> tuple[Context, Actor, str]:
        context = execution.context
        name = account_name_of(context.place, execution.value(_JID))
        account = None if name is None else context.place.services.directory.account(name)
        if account is None:
            raise Refused(ITEM_NOT_FOUND)
        return context, account.actor, execution.value(_URI)


def _hue(text: str) -> str:
    if not text:
        return ""
    try:
        hue = float(text)
    except ValueError:
        hue = -1.0
    if not 0 <= hue <= 360:
        raise wrong_payload("A hue is an angle, from 0 to 360.")  # XEP-0392
    return f"{hue:g}"


def _tell(
    execution: Execution,
    title: str,
    names: Iterable[str],
    rows: Iterable[Iterable[tuple[str, str]]],
) -> None:
    """Answer with a table (XEP-0004 §3.4)."""

    def answer() -> None:
        reported = "".join([f"<field var='{name}'/>" for name in names])
        items = "".join(
            [
                "<item>"
                + "".join(
                    [
                        f"<field{attribute('var', var)}><value>{escape_text(value)}</value></field>"
                        for var, value in row
                    ]
                )
                + "</item>"
                for row in rows
            ]
        )
        execution.complete(
            f"<x xmlns='{forms.NAMESPACE}' type='result'><title>{title}</title>"
            f"<reported>{reported}</reported>{items}</x>"
        )

    execution.context.run(answer)
