"""The compliance page and the DOAP file say what `spec.toml` says."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest
from tools import compliance, spec_table
from tools.spec_table import Section

XMPP = spec_table.load(spec_table.ROOT / "src/sabir/protocols/xmpp/spec.toml")
KNOWN = compliance.extensions(spec_table.ROOT / "src/sabir/protocols/xmpp/xeps.toml")
RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
DOAP = "{http://usefulinc.com/ns/doap#}"
XEP = "{https://linkmauve.fr/ns/xmpp-doap#}"


def section(spec: str, status: str, note: str = "") -> Section:
    return Section(spec, "title", status, note)


@pytest.mark.parametrize(
    ("statuses", "together"),
    [
        (["yes"], "yes"),
        (["yes", "yes"], "yes"),
        (["yes", "no"], "partial"),
        (["no", "no"], "no"),
        (["planned"], "planned"),
        (["partial", "planned"], "partial"),
        ([], ""),
    ],
)
def test_an_extension_works_as_far_as_all_of_its_sections_do(statuses: list[str], together: str) -> None:
    rows = [section(f"XEP-0001 §{number}", status) for number, status in enumerate(statuses)]

    assert compliance.status_of("XEP-0001", [*rows, section("XEP-00011", "no")]) == together


def test_a_requirement_of_several_specifications_says_which_work() -> None:
    rows = [section("RFC 7395", "yes"), section("XEP-0206", "planned")]

    assert "| RFC 7395: ✔, XEP-0206: planned, XEP-0124: no |" in compliance.suites(rows)


def test_the_doap_file_names_every_extension_once_with_status_and_version() -> None:
    root = ElementTree.fromstring(compliance.doap(XMPP.sections, KNOWN))

    supported = list(root.iter(f"{XEP}SupportedXep"))
    numbers = [each.find(f"{XEP}xep").get(f"{RDF}resource")[-9:-5] for each in supported]  # type: ignore[union-attr, index]  # it has one
    assert numbers == compliance.numbers(XMPP.sections)
    statuses = {each.findtext(f"{XEP}status") for each in supported}
    assert statuses <= {"complete", "partial", "planned", "wontfix"}
    assert root.find(f"{DOAP}Project/{DOAP}name") is not None


def test_the_page_lists_every_extension_with_its_title() -> None:
    page = compliance.page(XMPP.sections, KNOWN)

    for number in compliance.numbers(XMPP.sections):
        assert f"| [XEP-{number}](" in page
    assert "Multi-User Chat" in page
