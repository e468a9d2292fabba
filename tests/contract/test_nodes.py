"""Nodes, items and subscribers of pubsub: what was published last is what is read, in the order of publication."""

from __future__ import annotations

from tests.contract.conftest import Place
from tests.contract.test_values import as_stored
from tests.support.chronicle import Chronicle

from sabir.core.model.changes import DataRow, ForgetAccount, ItemRow, NodeCleared, NodeRow, SubscriberRow
from sabir.core.ports import Nodes


def node(number: int, owner: int = 1, name: str = "") -> NodeRow:
    return NodeRow(id=number, owner_actor=owner, name=name or f"node{number}", access="open", config=b"\x80")


def item(node_id: int, item_id: str, payload: bytes = b"<a/>") -> ItemRow:
    return ItemRow(node_id=node_id, item_id=item_id, publisher=1, payload=payload, at_ms=5)


def test_nodes_are_read_with_their_items_in_order_of_publication(place: Place, chronicle: Chronicle) -> None:
    subscriber = SubscriberRow(node_id=1, jid="user2/phone", state="subscribed", affiliation="")
    chronicle.change(node(1), node(2), node(3, owner=2), subscriber)
    chronicle.change(item(1, "b", b"<bb/>"), item(1, "a"), item(2, "x"), item(3, "y"))
    chronicle.change(item(1, "b", b"<b/>"))

    opened = place.reopen(chronicle)

    assert opened.store.nodes(1) == Nodes(
        [as_stored(node(1)), as_stored(node(2))],
        [(1, "a", 4), (2, "x", 4), (1, "b", 4)],
        [as_stored(subscriber)],
    )
    assert sorted(opened.snapshot.node_owners) == [1, 2]
    assert opened.snapshot.last_node_id == 3
    assert opened.store.nodes(3) == Nodes([], [], [])


def test_items_are_read_in_the_order_asked(chronicle: Chronicle) -> None:
    chronicle.change(node(1), item(1, "a"), item(1, "b", b"<b/>"))

    assert chronicle.opened.store.items(1, ["b", "nothing", "a"]) == [
        as_stored(item(1, "b", b"<b/>")),
        as_stored(item(1, "a")),
    ]


def test_what_is_taken_back_is_gone(chronicle: Chronicle) -> None:
    subscriber = SubscriberRow(node_id=1, jid="user2", state="subscribed", affiliation="")
    chronicle.change(node(1), item(1, "a"), item(1, "b"), subscriber)
    taken_back = item(1, "a", b"")
    taken_back.gone = True
    chronicle.change(taken_back)
    store = chronicle.opened.store
    assert store.nodes(1).items == [(1, "b", 4)]

    chronicle.change(NodeCleared(node_id=1, subscribers=False))
    assert store.nodes(1) == Nodes([as_stored(node(1))], [], [as_stored(subscriber)])

    gone = node(1)
    gone.gone = True
    chronicle.change(NodeCleared(node_id=1, subscribers=True), gone)
    assert store.nodes(1) == Nodes([], [], [])
    chronicle.change(node(4, name="node1"))
    assert store.nodes(1).nodes == [as_stored(node(4, name="node1"))]


def test_values_of_an_account_are_counted(chronicle: Chronicle) -> None:
    chronicle.change(
        DataRow(account_id=1, conversation_id=0, type="a", value=b"123"),
        DataRow(account_id=1, conversation_id=0, type="b", value=b"4567"),
        DataRow(account_id=2, conversation_id=0, type="a", value=b"8"),
    )
    chronicle.change(DataRow(account_id=1, conversation_id=0, type="a", value=b"", gone=True))

    assert chronicle.opened.store.data_size(1) == (1, 4)
    assert chronicle.opened.store.data_size(3) == (0, 0)
    assert chronicle.opened.store.data_types(3) == []
    assert len(chronicle.opened.store.data_types(1)) == 1


def test_the_nodes_of_a_deleted_account_are_gone(chronicle: Chronicle) -> None:
    subscriber = SubscriberRow(node_id=1, jid="user2", state="subscribed", affiliation="")
    chronicle.change(node(1), node(2, owner=2), item(1, "a"), item(2, "a"), subscriber)

    chronicle.change(ForgetAccount(account_id=1))

    assert chronicle.opened.store.nodes(1) == Nodes([], [], [])
    assert chronicle.opened.store.items(1, ["a"]) == []
    assert len(chronicle.opened.store.nodes(2).items) == 1
