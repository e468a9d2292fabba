"""`sabir report`, on a real store that no server holds."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.xmpp import XmppServer
from tests.unit.cli.typed import sabir


def test_reports_are_listed_and_closed(tmp_path: Path) -> None:
    data = tmp_path / "data"
    server = XmppServer(data)
    server.add("juliet", "romeo")
    report = (
        "<report xmlns='urn:xmpp:reporting:1' reason='urn:xmpp:reporting:spam'><text>again</text></report>"
    )
    item = f"<item jid='romeo@localhost'>{report}</item>"
    server.log_in("juliet").ask(f"<block xmlns='urn:xmpp:blocking'>{item}</block>", type="set")
    server.close()

    listed = json.loads(sabir("report", "list", "--json", "--data", data).stdout)["reports"]

    (found,) = listed
    assert (found["reporter"], found["reported"], found["text"]) == ("juliet", "romeo@localhost", "again")
    assert "Reported" in sabir("report", "list", "--data", data).stdout
    assert sabir("report", "close", found["id"], "--data", data).exit_code == 0
    assert json.loads(sabir("report", "list", "--json", "--data", data).stdout)["reports"] == []
    assert sabir("report", "close", found["id"], "--data", data).exit_code == 1
    assert sabir("report", "close", "nonsense", "--data", data).exit_code == 1
