"""The configuration of a node as a form (XEP-0060 §8.2, §16.4.4)."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from sabir.core.model.pubsub import Access, NodeConfig, Publishing, SendLast
from sabir.protocols.xmpp.errors import BAD_REQUEST, NOT_ACCEPTABLE, Refused, StanzaError
from sabir.protocols.xmpp.features import forms
from sabir.protocols.xmpp.features.context import Place
from sabir.protocols.xmpp.features.forms import Field
from sabir.protocols.xmpp.features.pubsub.names import NAMESPACE
from sabir.wire.xml import Element

CONFIG: Final = NAMESPACE + "#node_config"
META: Final = NAMESPACE + "#meta-data"
OPTIONS: Final = NAMESPACE + "#publish-options"
MAX_TEXT_CHARS: Final = 1_000
MAX_GROUPS: Final = 100

_ACCESS: Final = {
    Access.OPEN: "Anybody may read it",
    Access.PRESENCE: "Who sees your presence may read it",
    Access.ROSTER: "Contacts in some groups may read it",
    Access.WHITELIST: "Nobody but those whom you list may read it",
}
_PUBLISHING: Final = {
    Publishing.PUBLISHERS: "Owners and those whom they list as publishers",
    Publishing.SUBSCRIBERS: "Subscribers, too",
    Publishing.OPEN: "Whoever may read it",
}
_LAST: Final = {
    SendLast.NEVER: "Never",
    SendLast.ON_SUBSCRIBING: "To new subscribers",
    SendLast.ON_PRESENCE: "To new subscribers and devices that come online",
}
_BOOLEANS: Final = {
    "pubsub#persist_items": ("persist", "Keep items"),
    "pubsub#deliver_notifications": ("notify", "Tell readers of what happens"),
    "pubsub#deliver_payloads": ("payloads", "Tell them what was published"),
    "pubsub#notify_retract": ("notify_retract", "Tell them that an item was taken back"),
    "pubsub#notify_delete": ("notify_delete", "Tell them that the node was removed"),
    "pubsub#notify_config": ("notify_config", "Tell them that the configuration changed"),
}
_TEXTS: Final = {
    "pubsub#title": ("title", "Title"),
    "pubsub#description": ("description", "Description"),
    "pubsub#type": ("type", "Namespace of the payloads"),
}


def write(config: NodeConfig, kind: str = "form") -> str:
    """Return a form that shows a configuration; one of kind `form` lets it be changed."""
    fields = [forms.text(name, getattr(config, key), label) for name, (key, label) in _TEXTS.items()]
    fields += [forms.boolean(name, getattr(config, key), label) for name, (key, label) in _BOOLEANS.items()]
    access = [(access.value, label) for access, label in _ACCESS.items()]
    publishing = [(model.value, label) for model, label in _PUBLISHING.items()]
    last = [(last.value, label) for last, label in _LAST.items()]
    kinds = [("headline", "For who is there"), ("normal", "Like any message")]
    fields += (
        forms.text(
            "pubsub#max_items", str(config.max_items) if config.max_items else "max", "Most items, or max"
        ),
        forms.choice("pubsub#access_model", config.access.value, "Who may read", access),
        Field("pubsub#roster_groups_allowed", config.groups, "text-multi", "Groups that may read"),
        forms.choice("pubsub#send_last_published_item", config.send_last.value, "Show the last item", last),
        forms.choice(
            "pubsub#notification_type", "headline" if config.headline else "normal", "Notifications", kinds
        ),
        forms.choice("pubsub#publish_model", config.publishing.value, "Who may publish", publishing),
    )
    return forms.write(kind, CONFIG, fields)


def meta_data(config: NodeConfig) -> str:
    """Return what readers may know of a node (XEP-0060 §5.4)."""
    fields = [forms.text(name, getattr(config, key), label) for name, (key, label) in _TEXTS.items()]
    fields.append(forms.text("pubsub#access_model", config.access.value, "Who may read"))
    return forms.write("result", META, [field for field in fields if field.values[0]])


def read(parent: Element, form_type: str, place: Place) -> dict[str, object] | None:
    """Return the fields of `NodeConfig` that the form in `parent` sets; None for a form that was cancelled.

    Raises:
        Refused: if there is no such form, or it sets what does not exist or a value that nothing can have.
    """
    form = forms.submitted(parent)
    if form is None:
        raise Refused(BAD_REQUEST)
    if form.get("type") == "cancel":
        return None
    fields = forms.read(form)
    given = forms.first(fields, forms.FORM_TYPE)
    if form.get("type") not in (None, "submit") or given not in (None, form_type):
        raise Refused(BAD_REQUEST)
    changes: dict[str, object] = {}
    for name, values in fields.items():
        if name != forms.FORM_TYPE:
            _read_field(name, values, place, changes)
    return changes


def _read_field(name: str, values: list[str], place: Place, changes: dict[str, object]) -> None:
    value = values[0].strip() if values else ""
    if name in _BOOLEANS:
        if value not in ("0", "1", "true", "false"):
            raise Refused(_bad(name))
        changes[_BOOLEANS[name][0]] = forms.is_true(value)
    elif name in _TEXTS:
        if len(value) > MAX_TEXT_CHARS:
            raise Refused(_bad(name))
        changes[_TEXTS[name][0]] = value
    elif name == "pubsub#roster_groups_allowed":
        if len(values) > MAX_GROUPS or any(len(group) > MAX_TEXT_CHARS for group in values):
            raise Refused(_bad(name))
        changes["groups"] = tuple([group for group in values if group])
    elif name in _CHOICES:
        try:
            key, parse = _CHOICES[name]
            changes[key] = parse(value)
        except (KeyError, ValueError):
            raise Refused(_bad(name)) from None
    elif name == "pubsub#max_items":
        changes["max_items"] = _max_items(value, place)
    else:
        raise Refused(_bad(name))


def _max_items(value: str, place: Place) -> int:
    """XEP-0060 §16.4.4: a number, or `max` for as many as the server allows."""
    if value == "max":
        return 0
    if not value.isascii() or not value.isdecimal() or len(value) > 10 or int(value) == 0:
        raise Refused(_bad("pubsub#max_items"))
    number = int(value)
    return number if number < place.services.pubsub.most_items else 0


_CHOICES: Final[dict[str, tuple[str, Callable[[str], object]]]] = {
    "pubsub#access_model": ("access", Access),
    "pubsub#publish_model": ("publishing", Publishing),
    "pubsub#send_last_published_item": ("send_last", SendLast),
    "pubsub#notification_type": ("headline", {"headline": True, "normal": False}.__getitem__),
}


def _bad(name: str) -> StanzaError:
    # XEP-0060 §8.2.5.2: what cannot be processed
    return replace(NOT_ACCEPTABLE, text=f"This server cannot do that: {name[:100]}")
