"""The cache of the latest entries in `sabir.core.services.relating`."""

from sabir.core.model.event import Event
from sabir.core.services import relating
from sabir.core.services.relating import Recent


def entry(seq: int) -> Event:
    event = Event(
        seq, b"id%d" % seq, 1, seq, seq, seq, seq, 7, "ada", 1, 0, 0, b"", 0, 0, "xmpp", b"", b""
    )  # fmt: skip
    event.native_id = b"native%d" % seq
    return event


def test_the_latest_entries_are_known_by_either_id_and_the_oldest_forgotten() -> None:
    recent = Recent()
    last = 3 * relating._RECENT

    for seq in range(1, last + 1):
        recent.add(entry(seq))

    oldest_kept = last - relating._RECENT + 1
    for seq in (oldest_kept, last):
        assert recent.by_id(b"id%d" % seq) == (seq, 7, 1)
        assert recent.by_native(7, b"native%d" % seq) == (seq, b"id%d" % seq, 1)
    assert recent.by_id(b"id1") is None
    assert recent.by_native(7, b"native1") is None


def test_an_entry_whose_commit_failed_is_forgotten_from_either_generation() -> None:
    recent = Recent()
    failed = [entry(1), entry(relating._RECENT + 1)]
    for seq in range(1, relating._RECENT + 2):
        recent.add(entry(seq))

    for event in failed:
        recent.drop(event)

    assert all(recent.by_id(event.event_id) is None for event in failed)
    assert all(recent.by_native(7, event.native_id) is None for event in failed)
    assert recent.by_id(b"id2") is not None
