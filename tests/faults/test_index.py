"""Every fault that a run must survive has a test, and the table of them is true."""

from __future__ import annotations

from tests.faults import index


def test_every_fault_has_a_test_that_exists():
    assert [int(name.split()[0]) for name in index.INDEX] == list(range(1, 33))
    assert all(index.INDEX.values())
    assert index.missing() == []


def test_notes_are_about_faults():
    assert index.NOTES.keys() <= index.INDEX.keys()
