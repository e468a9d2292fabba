"""Compares what the code cites, what `spec.toml` lists and what the tests prove.

Reported are: a citation in a protocol package that no row of its `spec.toml` covers, and a row marked `yes`
that no test is marked with. A row covers its own section and those under it: `RFC 6120 §4.9` covers
`RFC 6120 §4.9.3.2`.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from tools.spec_table import ROOT, Protocol, protocols

# The fixed forms in which code cites a specification, STYLE: one per family of documents.
CITATION = re.compile(
    r"RFC \d{3,5} §[A-Z0-9]+(?:\.\d+)*"
    r"|XEP-\d{4}(?: §\d+(?:\.\d+)*)?"
    r"|IRCv3 (?:draft/)?[a-z][a-z0-9-]*"
    r"|Modern IRC §[A-Za-z0-9-]+"
    r"|Matrix v\d+\.\d+ [A-Z]+ §\d+(?:\.\d+)*"
    r"|MQTT \d\.\d(?:\.\d)? §\d+(?:\.\d+)*"
    r"|EIP-\d+"
)


def covers(row: str, cited: str) -> bool:
    """Return whether a row of a `spec.toml` speaks of a cited section."""
    return cited == row or (cited.startswith(row) and cited[len(row)] in " .")


def cited_in(package: Path) -> Iterator[tuple[Path, int, str]]:
    """Yield file, line and text of each citation in a package."""
    for path in sorted([*package.rglob("*.py"), *package.rglob("*.pyx")]):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            for found in CITATION.findall(line):
                yield path, number, found


def proven() -> set[str]:
    """Return every section that a test is marked with."""
    sections = set()
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr == "spec"
            ):
                sections |= {
                    a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)
                }
    return sections


def unlisted(protocol: Protocol) -> list[str]:
    """Return the citations that the `spec.toml` of this package does not cover, with their places.

    What is cited as a whole needs no row of its own where its sections have theirs.
    """
    package = ROOT / "src/sabir/protocols" / protocol.package
    return [
        f"{path.relative_to(ROOT)}:{line}: {cited} is not in spec.toml"
        for path, line, cited in cited_in(package)
        if not any(covers(s.spec, cited) or covers(cited, s.spec) for s in protocol.sections)
    ]


def unproven(protocol: Protocol, tested: set[str]) -> list[str]:
    """Return the sections that are said to work although no test is marked with them."""
    return [
        f"{protocol.package}/spec.toml: {section.spec} ({section.title}) is `yes` without a test"
        for section in protocol.sections
        if section.status == "yes" and not any(covers(section.spec, test) for test in tested)
    ]


def main() -> int:
    """Print the report; exit 1 if there is anything to report."""
    tested = proven()
    report = [line for p in protocols() for line in (*unlisted(p), *unproven(p, tested))]
    print("\n".join(report) or "Every citation is listed, and every section that works is tested.")
    return 1 if report else 0


if __name__ == "__main__":
    sys.exit(main())
