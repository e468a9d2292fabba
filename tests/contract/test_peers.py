"""Other servers, and what waits for them: in order, until it is gone, with numbers that nobody gets twice."""

from __future__ import annotations

from tests.contract.conftest import Place
from tests.contract.test_values import as_stored
from tests.support.chronicle import Chronicle

from sabir.core.model.changes import PeerQueueRow, PeerRow


def waiting(peer_id: int, n: int, payload: bytes = b"x") -> PeerQueueRow:
    return PeerQueueRow(peer_id=peer_id, n=n, kind="event", payload=payload, expires_ms=100 + n)


def gone(peer_id: int, n: int) -> PeerQueueRow:
    row = PeerQueueRow(peer_id=peer_id, n=n, kind="", payload=b"", expires_ms=0)
    row.gone = True
    return row


def test_servers_are_loaded_with_what_waits_for_each(place: Place, chronicle: Chronicle) -> None:
    near = PeerRow(id=1, domain="near.example", transport="xmpp")
    far = PeerRow(id=2, domain="far.example", transport="xmpp")
    chronicle.change(near, far, *(waiting(1, n) for n in (1, 2, 3)), waiting(2, 7))
    chronicle.change(gone(1, 1), gone(2, 7))

    snapshot = place.reopen(chronicle).snapshot

    assert snapshot.peers == [as_stored(near), as_stored(far)]
    assert snapshot.waiting == [(1, 2, 3)]


def test_one_domain_of_one_transport_is_one_server(place: Place, chronicle: Chronicle) -> None:
    chronicle.change(PeerRow(id=1, domain="near.example", transport="xmpp"))
    chronicle.change(PeerRow(id=2, domain="near.example", transport="matrix"))
    chronicle.change(PeerRow(id=3, domain="near.example", transport="xmpp"))  # refused as a whole

    assert [row.id for row in place.reopen(chronicle).snapshot.peers] == [1, 2]


def test_what_waits_is_read_in_order_and_in_parts(chronicle: Chronicle) -> None:
    rows = [waiting(1, n, b"%d" % n) for n in (1, 2, 3, 4)]
    chronicle.change(rows[2], rows[0], waiting(2, 1, b"for another"), rows[3], rows[1])
    store = chronicle.opened.store

    assert store.peer_queue(1, 0, 10) == [as_stored(row) for row in rows]
    assert [row.n for row in store.peer_queue(1, 0, 2)] == [1, 2]
    assert [row.n for row in store.peer_queue(1, 2, 10)] == [3, 4]
    assert [row.payload for row in store.peer_queue(2, 0, 10)] == [b"for another"]
    assert store.peer_queue(3, 0, 10) == []


def test_what_was_confirmed_waits_no_more_also_after_a_crash(place: Place, chronicle: Chronicle) -> None:
    chronicle.change(*(waiting(1, n) for n in (1, 2, 3)))
    chronicle.change(gone(1, 1), gone(1, 3))

    store = place.reopen(chronicle).store

    assert [row.n for row in store.peer_queue(1, 0, 10)] == [2]
