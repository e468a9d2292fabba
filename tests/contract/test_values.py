"""Tables of latest values: what is put there is there, the last value counts, what is gone is gone."""

from __future__ import annotations

import pytest
from tests.contract.conftest import Place
from tests.support.chronicle import Chronicle, account_row, conversation_row

from sabir.core.model.changes import (
    BlockRow,
    Change,
    ContactRow,
    CredentialRow,
    DataRow,
    ForgetAccount,
    ForgetTokens,
    MemberRow,
    MqttFilterRow,
    MqttMessageRow,
    MqttQueueRow,
    MqttReceivedRow,
    MqttRetainedRow,
    MqttSessionRow,
    ReadRow,
    ReceiptRow,
    ReportRow,
    SpanRow,
    StateRow,
    VoucherRow,
)


def as_stored(change: Change) -> Change:
    """Return a change as the store gives it back: without its number."""
    change.changed_seq = 0
    return change


def member(**fields: object) -> MemberRow:
    given: dict[str, object] = {
        "conversation_id": 21,
        "actor_id": 1,
        "membership": "join",
        "role": 2,
        "nick": "ada",
        "durable": True,
        "reason": "",
        "since": 4,
    }
    return MemberRow(**(given | fields))  # type: ignore[arg-type]  # the fields are those of the row


def contact(**fields: object) -> ContactRow:
    given: dict[str, object] = {
        "account_id": 1,
        "actor_id": 2,
        "name": "Bob",
        "groups": ("friends", "à la carte"),
        "flags": 3,
        "request": b"<presence/>",
    }
    return ContactRow(**(given | fields))  # type: ignore[arg-type]  # the fields are those of the row


def voucher(uses: int) -> VoucherRow:
    return VoucherRow(
        digest=b"digest", account_id=1, name="ada", uses=uses, expires_ms=9, registers=True, befriends=False
    )


def topic(value: bytes) -> StateRow:
    return StateRow(conversation_id=21, type="topic", key="", value=value)


VALUES = [
    ("members", member(), member(role=5, nick="Ada", durable=False)),
    ("states", topic(b"1"), topic(b"2")),
    ("contacts", contact(), contact(name="Robert", groups=())),
    ("vouchers", voucher(uses=3), voucher(uses=2)),
    ("blocks", BlockRow(account_id=1, name="eve@localhost"), BlockRow(account_id=1, name="eve@localhost")),
]


@pytest.mark.parametrize(("table", "first", "second"), VALUES, ids=[name for name, _, _ in VALUES])
def test_the_last_value_is_loaded_until_it_is_gone(
    place: Place, chronicle: Chronicle, table: str, first: Change, second: Change
) -> None:
    for value in (first, second):
        chronicle.change(value)
        place.reopen(chronicle)
        assert getattr(chronicle.opened.snapshot, table) == [as_stored(value)]

    second.gone = True
    chronicle.change(second)
    second.gone = False

    assert getattr(place.reopen(chronicle).snapshot, table) == []
    chronicle.change(first)
    assert getattr(place.reopen(chronicle).snapshot, table) == [as_stored(first)]


def test_accounts_and_conversations_are_loaded_with_every_field(place: Place, chronicle: Chronicle) -> None:
    account = account_row(9, display="Ada", delivered_seq=7, state="disabled", box_head=3)
    conversation = conversation_row(31, name="lobby")
    conversation.destroyed, conversation.encryption = True, "omemo"
    chronicle.change(account, conversation)

    snapshot = place.reopen(chronicle).snapshot

    assert snapshot.accounts[-1] == as_stored(account)
    assert snapshot.conversations[-1] == as_stored(conversation)


def test_an_account_written_anew_keeps_its_counter(place: Place, chronicle: Chronicle) -> None:
    for _ in range(30):
        chronicle.post(11)
    chronicle.change(account_row(1, box_head=30, display="Ada"))
    chronicle.post(11)

    snapshot = place.reopen(chronicle).snapshot

    assert [(row.box_head, row.display) for row in snapshot.accounts[:2]] == [(31, "Ada"), (31, "")]


def test_a_conversation_written_anew_keeps_its_counters(place: Place, chronicle: Chronicle) -> None:
    for _ in range(50):
        chronicle.post(21)
    renamed = conversation_row(21, name="renamed")
    chronicle.change(renamed)
    chronicle.post(21)

    snapshot = place.reopen(chronicle).snapshot

    assert [row.name for row in snapshot.conversations if row.id == 21] == ["renamed"]
    assert [row for row in snapshot.heads if row[0] == 21] == [(21, 51, 1, 51, 51, 1)]


def test_values_are_looked_up_by_their_key(chronicle: Chronicle) -> None:
    store = chronicle.opened.store
    read = ReadRow(
        account_id=1,
        conversation_id=11,
        thread="",
        kind="read",
        position=5,
        message_no=4,
        at_ms=chronicle.now_ms,
    )
    chronicle.change(
        CredentialRow(account_id=1, mechanism="SCRAM-SHA-256", verifier=b"v1"),
        DataRow(account_id=1, conversation_id=0, type="vcard", value=b"<vCard/>"),
        read,
        ReceiptRow(conversation_id=11, actor_id=2, thread="", kind="delivered", position=5),
        SpanRow(conversation_id=21, actor_id=1, from_position=1, to_position=0),
    )
    chronicle.change(CredentialRow(account_id=1, mechanism="SCRAM-SHA-256", verifier=b"v2"))

    assert store.credential(1, "SCRAM-SHA-256") == b"v2"
    assert store.credential(1, "PLAIN") is None
    assert store.data(1, 0, "vcard") == b"<vCard/>"
    assert store.data(1, 11, "vcard") is None
    assert store.reads(1) == [as_stored(read)]
    assert store.reads(2) == []

    chronicle.change(
        CredentialRow(account_id=1, mechanism="SCRAM-SHA-256", verifier=b"", gone=True),
        DataRow(account_id=1, conversation_id=0, type="vcard", value=b"", gone=True),
    )

    assert store.credential(1, "SCRAM-SHA-256") is None
    assert store.data(1, 0, "vcard") is None


def test_the_tokens_of_an_account_are_deleted_together(place: Place, chronicle: Chronicle) -> None:
    kept = CredentialRow(account_id=1, mechanism="SCRAM-SHA-256", verifier=b"v")
    other = CredentialRow(account_id=2, mechanism="token:a", verifier=b"t")
    tokens = [
        CredentialRow(account_id=1, mechanism=f"token:{each}", verifier=b"t") for each in ("", "a", "z")
    ]
    chronicle.change(kept, other, *tokens, ForgetTokens(account_id=1), tokens[1])

    store = chronicle.opened.store
    # In the order made: what is given after it stays.
    assert store.credentials(1) == [as_stored(kept), as_stored(tokens[1])]

    chronicle.change(ForgetTokens(account_id=1))

    store = place.reopen(chronicle).store
    assert store.credentials(1) == [as_stored(kept)]
    assert store.credentials(2) == [as_stored(other)]


def test_what_is_kept_for_one_account_alone_is_deleted_with_it(place: Place, chronicle: Chronicle) -> None:
    for account_id in (1, 2):
        chronicle.change(
            CredentialRow(account_id=account_id, mechanism="SCRAM-SHA-256", verifier=b"v"),
            DataRow(account_id=account_id, conversation_id=0, type="vcard-temp", value=b"card"),
            contact(account_id=account_id, actor_id=3 - account_id),
            BlockRow(account_id=account_id, name="eve"),
        )

    chronicle.change(ForgetAccount(account_id=1))

    snapshot, store = place.reopen(chronicle).snapshot, chronicle.opened.store
    assert [row.account_id for row in snapshot.contacts] == [2]
    assert [row.account_id for row in snapshot.blocks] == [2]
    assert [store.credential(account_id, "SCRAM-SHA-256") for account_id in (1, 2)] == [None, b"v"]
    assert [store.data(account_id, 0, "vcard-temp") for account_id in (1, 2)] == [None, b"card"]


def test_reports_are_listed_newest_first_until_they_are_closed(place: Place, chronicle: Chronicle) -> None:
    rows = [
        ReportRow(
            id=bytes([number]) * 16,
            at_ms=number,
            reporter=1,
            reported="eve@localhost",
            reason="spam",
            text="",
            messages=b"",
        )
        for number in range(3)
    ]
    chronicle.change(*rows)
    place.reopen(chronicle)

    assert [row.at_ms for row in chronicle.opened.store.reports(2)] == [2, 1]
    rows[1].gone = True
    chronicle.change(rows[1])
    assert [row.at_ms for row in chronicle.opened.store.reports(0)] == [2, 0]


def test_people_are_found_by_what_is_kept_for_them(place: Place, chronicle: Chronicle) -> None:
    for account_id, value in ((1, b"card: ada"), (2, b"card: bob"), (3, b"card: carol")):
        chronicle.change(
            DataRow(account_id=account_id, conversation_id=0, type="card", value=value),
            DataRow(account_id=account_id, conversation_id=0, type="other", value=b"card: nobody"),
        )
    gone = DataRow(account_id=2, conversation_id=0, type="card", value=b"")
    gone.gone = True
    chronicle.change(gone)
    store, loop = chronicle.opened.store, chronicle.opened.loop
    found: list[list[int]] = []

    store.scan_data("card", lambda account_id, value: True, 10, found.append)
    store.scan_data("card", lambda account_id, value: b"carol" in value, 10, found.append)
    store.scan_data("card", lambda account_id, value: True, 1, found.append)
    loop.run()

    assert sorted(found) == [[1], [1, 3], [3]]


def test_what_a_broker_keeps_is_there_and_goes_with_its_session(place: Place, chronicle: Chronicle) -> None:
    session = MqttSessionRow(id=1, account_id=2, client_id="lamp", expiry_s=60, expires_ms=7)
    other = MqttSessionRow(id=2, account_id=2, client_id="door", expiry_s=60)
    filters = [MqttFilterRow(session_id=each, filter="a/#", flags=5, sub_id=9) for each in (1, 2)]
    message = MqttMessageRow(id=4, topic="a/b", payload=b"\0on", properties=b"\0", qos=1, expires_ms=1 << 41)
    waiting = [
        MqttQueueRow(session_id=each, n=3, message_id=4, qos=1, retain=True, sub_ids=(9, 1), share="g")
        for each in (1, 2)
    ]
    received = [MqttReceivedRow(session_id=each, packet_id=65_535) for each in (1, 2)]
    retained = MqttRetainedRow(topic="a/b", message_id=4)
    chronicle.change(session, other, *filters, message, *waiting, *received, retained)

    found = place.reopen(chronicle).snapshot.queues
    assert found.sessions == [as_stored(session), as_stored(other)]
    assert found.filters == [as_stored(each) for each in filters]
    assert found.messages == [as_stored(message)]
    assert found.waiting == [as_stored(each) for each in waiting]
    assert found.received == [as_stored(each) for each in received]
    assert found.retained == [as_stored(retained)]

    waiting[1].released = True
    chronicle.change(
        MqttSessionRow(id=1, gone=True),
        waiting[1],
        MqttReceivedRow(session_id=2, packet_id=65_535, gone=True),
        MqttRetainedRow(topic="a/b", gone=True),
    )

    found = place.reopen(chronicle).snapshot.queues
    assert found.sessions == [as_stored(other)]
    assert found.filters == [as_stored(filters[1])]
    assert found.waiting == [as_stored(waiting[1])]
    assert (found.received, found.retained) == ([], [])
