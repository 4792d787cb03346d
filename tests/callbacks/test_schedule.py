"""The steps of records and snapshots."""

from dip.callbacks.schedule import Schedule


def test_records_the_first_the_last_and_every_nth():
    schedule = Schedule(steps=25, record_every=10)
    assert [step for step in range(1, 26) if schedule.records(step)] == [1, 10, 20, 25]


def test_early_records_are_additional_and_never_regular():
    schedule = Schedule(steps=120, record_every=20)
    assert [step for step in range(1, 121) if schedule.early(step)] == [2, 5, 10]
    assert not any(schedule.early(step) and schedule.records(step) for step in range(1, 121))


def test_snapshots_at_1_2_5_10_and_so_on():
    schedule = Schedule(steps=10_000, record_every=50)
    taken = [step for step in range(1, 10_001) if schedule.snapshots(step)]
    assert taken == [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000]


def test_snapshots_every_nth_step():
    schedule = Schedule(steps=100, record_every=50, snapshot_every=30)
    assert [step for step in range(1, 101) if schedule.snapshots(step)] == [30, 60, 90]
