"""The XMPP compliance page and the DOAP file (XEP-0453): what `spec.toml` says, by extension and by suite.

`tools/spec_table.py` writes and checks both. An extension works in full if all of its rows in `spec.toml` do; titles
and versions are those of `xeps.toml`.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol as Interface
from xml.sax.saxutils import escape

MOST_NOTES = 2
SUITES_YEAR = "2023"
CORE, ADVANCED = "core", "advanced"


class Row(Interface):
    """A row of `spec.toml`."""

    @property
    def spec(self) -> str:
        """What it is about, e.g. `XEP-0045 §7.2`."""

    @property
    def status(self) -> str:
        """How far that works."""

    @property
    def note(self) -> str:
        """What is missing."""


@dataclass(frozen=True, slots=True)
class Requirement:
    """What a suite wants of a server; `level` from which on."""

    feature: str
    specs: tuple[str, ...]
    level: str


# XEP-0479 §3, the columns for servers. What concerns clients only is left out.
SUITES: dict[str, tuple[Requirement, ...]] = {
    "Core": (
        Requirement("Core features", ("RFC 6120",), CORE),
        Requirement("TLS", ("RFC 7590",), CORE),
        Requirement("Feature discovery", ("XEP-0030",), CORE),
        Requirement("Server extensibility", ("XEP-0114",), CORE),
        Requirement("Direct TLS", ("XEP-0368",), ADVANCED),
        Requirement("Feature broadcasts", ("XEP-0115",), ADVANCED),
        Requirement("Event publishing", ("XEP-0163",), ADVANCED),
    ),
    "Web": (Requirement("Web connection mechanisms", ("RFC 7395", "XEP-0206", "XEP-0124"), CORE),),
    "IM": (
        Requirement("Core features", ("RFC 6121",), CORE),
        Requirement("vcard-temp", ("XEP-0054",), CORE),
        Requirement("Outbound message synchronisation", ("XEP-0280",), CORE),
        Requirement("Group chat", ("XEP-0045", "XEP-0249"), CORE),
        Requirement("File upload", ("XEP-0363",), CORE),
        Requirement("User avatar compatibility", ("XEP-0398", "XEP-0153"), ADVANCED),
        Requirement("User blocking", ("XEP-0191",), ADVANCED),
        Requirement("Advanced group chat", ("XEP-0048", "XEP-0313", "XEP-0410"), ADVANCED),
        Requirement("Persistent storage of private data via PubSub", ("XEP-0223",), ADVANCED),
        Requirement("Private XML storage", ("XEP-0049",), ADVANCED),
        Requirement("Stream management", ("XEP-0198",), ADVANCED),
        Requirement("History storage and retrieval", ("XEP-0313",), ADVANCED),
    ),
    "Mobile": (
        Requirement("Stream management", ("XEP-0198",), CORE),
        Requirement("Client state indication", ("XEP-0352",), CORE),
        Requirement("Third party push notifications", ("XEP-0357",), ADVANCED),
    ),
    "A/V calling": (Requirement("STUN and TURN server discovery", ("XEP-0215",), CORE),),
}

_DOAP_STATUS = {"yes": "complete", "partial": "partial", "planned": "planned", "no": "wontfix"}
_TICKS = {"yes": "✔", "partial": "in part", "planned": "planned", "no": "no", "": "no"}


def extensions(path: Path) -> dict[str, tuple[str, str]]:
    """Return title and version of each extension, by number."""
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    return {number: (title, version) for number, (title, version) in table.items()}


def rows_of(spec: str, rows: Sequence[Row]) -> list[Row]:
    """Return the rows about a specification or its sections."""
    return [row for row in rows if row.spec == spec or row.spec.startswith(f"{spec} ")]


def status_of(spec: str, rows: Sequence[Row]) -> str:
    """Return how far a specification works: as its rows do if they agree, else in part; empty without rows."""
    statuses = {row.status for row in rows_of(spec, rows)}
    if len(statuses) == 1:
        return next(iter(statuses))
    return "partial" if statuses else ""


def suites(rows: Sequence[Row]) -> str:
    """Return the tables of the suites, in Markdown."""
    parts = []
    for name, requirements in SUITES.items():
        parts += [f"### {name}", "", "| Feature | Specifications | Level | Works |", "|---|---|---|---|"]
        for each in requirements:
            works = {spec: _TICKS[status_of(spec, rows)] for spec in each.specs}
            shown = set(works.values())
            ticks = shown.pop() if len(shown) == 1 else ", ".join(f"{s}: {t}" for s, t in works.items())
            parts.append(f"| {each.feature} | {', '.join(each.specs)} | {each.level} | {ticks} |")
        parts.append("")
    return "\n".join(parts).rstrip()


def numbers(rows: Sequence[Row]) -> list[str]:
    """Return the numbers of all extensions that rows are about."""
    return sorted({row.spec[4:8] for row in rows if row.spec.startswith("XEP-")})


def listing(rows: Sequence[Row], known: dict[str, tuple[str, str]]) -> str:
    """Return the table of all extensions, in Markdown."""
    lines = ["| Extension | What | Version | Works | |", "|---|---|---|---|---|"]
    for number in numbers(rows):
        spec = f"XEP-{number}"
        title, version = known.get(number, ("", ""))
        link = f"[{spec}](https://xmpp.org/extensions/xep-{number}.html)"
        lines.append(
            f"| {link} | {title} | {version} | {_TICKS[status_of(spec, rows)]} | {_notes(spec, rows)} |"
        )
    return "\n".join(lines)


def page(rows: Sequence[Row], known: dict[str, tuple[str, str]]) -> str:
    """Return what the compliance page has between its markers."""
    return (
        f"## Compliance suites {SUITES_YEAR}\n\n{suites(rows)}\n\n## All extensions\n\n{listing(rows, known)}"
    )


def doap(rows: Sequence[Row], known: dict[str, tuple[str, str]]) -> str:
    """Return the description of the project for xmpp.org and other lists (XEP-0453 §3)."""
    rfcs = sorted({row.spec.split(" ")[1] for row in rows if row.spec.startswith("RFC ")})
    lines = [
        "<?xml version='1.0' encoding='UTF-8'?>",
        "<!-- Generated by tools/spec_table.py. -->",
        "<rdf:RDF xmlns:rdf='http://www.w3.org/1999/02/22-rdf-syntax-ns#'",
        "         xmlns='http://usefulinc.com/ns/doap#'",
        "         xmlns:xmpp='https://linkmauve.fr/ns/xmpp-doap#'>",
        "  <Project>",
        "    <name>Sabir</name>",
        "    <shortdesc xml:lang='en'>One messaging server that speaks every protocol</shortdesc>",
        "    <description xml:lang='en'>One self-hosted messaging server that speaks every instant-messaging protocol "
        "natively, in one process: one account, one room and one history, reachable from any client.</description>",
        "    <license rdf:resource='https://www.apache.org/licenses/LICENSE-2.0'/>",
        "    <language>en</language>",
        "    <programming-language>Python</programming-language>",
        "    <os>Linux</os>",
        "    <category rdf:resource='https://linkmauve.fr/ns/xmpp-doap#category-server'/>",
    ]
    lines += [f"    <implements rdf:resource='https://xmpp.org/rfcs/rfc{rfc}.html'/>" for rfc in rfcs]
    for number in numbers(rows):
        spec = f"XEP-{number}"
        _, version = known.get(number, ("", ""))
        notes = _notes(spec, rows)
        lines += [
            "    <implements>",
            "      <xmpp:SupportedXep>",
            f"        <xmpp:xep rdf:resource='https://xmpp.org/extensions/xep-{number}.html'/>",
            f"        <xmpp:status>{_DOAP_STATUS[status_of(spec, rows)]}</xmpp:status>",
            *([f"        <xmpp:version>{version}</xmpp:version>"] if version else []),
            *([f"        <xmpp:note xml:lang='en'>{escape(notes)}</xmpp:note>"] if notes else []),
            "      </xmpp:SupportedXep>",
            "    </implements>",
        ]
    return "\n".join([*lines, "  </Project>", "</rdf:RDF>", ""])


def _notes(spec: str, rows: Sequence[Row]) -> str:
    """Return what is to be said of an extension; where there is much, its sections say it."""
    notes = list(dict.fromkeys(row.note for row in rows_of(spec, rows) if row.note))
    return "; ".join(notes) if len(notes) <= MOST_NOTES else ""
