"""What we say we support is listed in one form, cited where it is obeyed, and shown in the documentation."""

from __future__ import annotations

from pathlib import Path

import pytest
from tools import citations, spec_table

ROOT = Path(__file__).parents[2]
PACKAGES = sorted(path.parent for path in (ROOT / "src/sabir/protocols").glob("*/__init__.py"))


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_a_protocol_lists_its_specifications(package: Path) -> None:
    protocol = spec_table.load(package / "spec.toml")

    assert protocol.sections


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_whatever_a_protocol_cites_is_in_its_list(package: Path) -> None:
    protocol = spec_table.load(package / "spec.toml")

    assert citations.unlisted(protocol) == []


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_a_specification_that_is_said_to_work_is_tested(package: Path) -> None:
    protocol = spec_table.load(package / "spec.toml")

    assert citations.unproven(protocol, citations.proven()) == []


def test_a_row_covers_its_own_section_and_those_under_it() -> None:
    assert citations.covers("RFC 6120 §4.9", "RFC 6120 §4.9.3.2")
    assert citations.covers("XEP-0280", "XEP-0280 §6")
    assert not citations.covers("RFC 6120 §4.9", "RFC 6120 §4.91")
    assert not citations.covers("RFC 6120 §4.9.3", "RFC 6120 §4.9")


def test_a_status_that_does_not_exist_is_refused_by_name(tmp_path: Path) -> None:
    table = tmp_path / "spec.toml"
    table.write_text(
        '[protocol]\nname = "X"\nsummary = "Y"\n'
        '[[section]]\nspec = "RFC 1 §1"\ntitle = "Z"\nstatus = "almost"\n'
    )

    with pytest.raises(ValueError, match="section 'RFC 1 §1': status is one of yes, partial, planned, no"):
        spec_table.load(table)
