"""Data forms (XEP-0004): reading what a client submits, and writing what it is shown."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from sabir.protocols.xmpp.errors import NOT_ACCEPTABLE, Refused
from sabir.wire.xml import Element, escape_attribute, escape_text

NAMESPACE: Final = "jabber:x:data"
FORM_TYPE: Final = "FORM_TYPE"
MOST_FIELDS: Final = 100
"""Fields of one submitted form at most."""
MOST_VALUES: Final = 1_000
"""Values of all of its fields together at most."""


class Field:
    """One field of a form to be shown; `options` are (value, label) for lists."""

    __slots__ = ("extra", "label", "name", "options", "type", "values")

    def __init__(
        self,
        name: str,
        values: Iterable[str],
        type: str = "",
        label: str = "",
        options: Iterable[tuple[str, str]] = (),
        *,
        required: bool = False,
    ) -> None:
        self.name: str = name
        self.values: list[str] = list(values)
        self.type: str = type
        self.label: str = label
        self.options: list[tuple[str, str]] = list(options)
        self.extra: str = "<required/>" if required else ""
        """Further elements of the field."""


def boolean(name: str, value: bool, label: str) -> Field:
    """Return a field that is ticked or not."""
    return Field(name, ["1" if value else "0"], "boolean", label)


def text(name: str, value: str, label: str, type: str = "text-single") -> Field:
    """Return a field with one line of text."""
    return Field(name, [value], type, label)


def choice(name: str, value: str, label: str, options: Iterable[tuple[str, str]]) -> Field:
    """Return a field with one of several values."""
    return Field(name, [value], "list-single", label, options)


def write(kind: str, form_type: str, fields: Iterable[Field], title: str = "", instructions: str = "") -> str:
    """Return a form of `kind` (`form`, `result`); `form_type` says what it is about (XEP-0068 §3.1)."""
    parts = [f"<x xmlns='{NAMESPACE}' type='{kind}'>"]
    if title:
        parts.append(f"<title>{escape_text(title)}</title>")
    if instructions:
        parts.append(f"<instructions>{escape_text(instructions)}</instructions>")
    parts.append(f"<field var='{FORM_TYPE}' type='hidden'><value>{escape_text(form_type)}</value></field>")
    for field in fields:
        parts.append(f"<field var='{escape_attribute(field.name)}'")
        if field.type:
            parts.append(f" type='{field.type}'")
        if field.label:
            parts.append(f" label='{escape_attribute(field.label)}'")
        parts.append(">")
        parts.extend([f"<value>{escape_text(value)}</value>" for value in field.values])
        for value, label in field.options:
            parts.append(
                f"<option label='{escape_attribute(label)}'><value>{escape_text(value)}</value></option>"
            )
        parts.append(f"{field.extra}</field>")
    parts.append("</x>")
    return "".join(parts)


def table(form_type: str, columns: Sequence[Field], rows: Iterable[Sequence[str]]) -> str:
    """Return a form with several results, each with a value for each column (XEP-0004 §3.4)."""
    parts = [
        f"<x xmlns='{NAMESPACE}' type='result'>"
        f"<field var='{FORM_TYPE}' type='hidden'><value>{escape_text(form_type)}</value></field><reported>"
    ]
    for each in columns:
        name, label = escape_attribute(each.name), escape_attribute(each.label)
        parts.append(f"<field var='{name}' type='{each.type}' label='{label}'/>")
    parts.append("</reported>")
    for row in rows:
        parts.append("<item>")
        for each, value in zip(columns, row, strict=True):
            name = escape_attribute(each.name)
            parts.append(f"<field var='{name}'><value>{escape_text(value)}</value></field>")
        parts.append("</item>")
    parts.append("</x>")
    return "".join(parts)


def submitted(parent: Element) -> Element | None:
    """Return the form that `parent` holds."""
    return parent.find("x", NAMESPACE)


def read(form: Element) -> dict[str, list[str]]:
    """Return the values of each field of a submitted form, the one that says its type included.

    Raises:
        Refused: if there are more fields or values than any form of ours has.
    """
    fields: dict[str, list[str]] = {}
    total = 0
    for field in form.find_all("field"):
        name = field.get("var")
        if name is not None:
            fields[name] = [value.text() for value in field.find_all("value")]
            total += len(fields[name])
    if len(fields) > MOST_FIELDS or total > MOST_VALUES:
        raise Refused(NOT_ACCEPTABLE)
    return fields


def first(fields: Mapping[str, list[str]], name: str) -> str | None:
    """Return the first value of a field, None if it is not there or empty."""
    values = fields.get(name)
    return values[0] if values else None


def is_true(value: str) -> bool:
    """Return whether a boolean's value says yes (XEP-0004 §3.3)."""
    return value in ("1", "true")
