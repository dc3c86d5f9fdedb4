"""A key at its limit does not stand in the way of the others."""

import pytest

from tests.cluster.conftest import MakeApplication
from tests.cluster.release import Release, condition
from tests.services.process import wait_until

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(600)]


def test_a_row_of_another_key_starts_within_3_s_past_a_thousand_of_a_throttled_key(
    release: Release, two_workers: str, application: MakeApplication
) -> None:
    limit = {"name": "faults-per-customer", "key": "customer", "concurrency": 1}
    app = application("throttled", queue=two_workers, fairnessKey="customer", limits=[limit])
    app.insert(1, 1000, customer="throttled")
    wait_until(lambda: len(app.log("started")) == 1, "one row of the throttled key starts")
    wait_until(
        lambda: condition(release.find("rowsources", app.name), "Throttled").get("status") == "True",
        "the source says that it is throttled",
    )
    app.insert(1001, customer="other")
    wait_until(lambda: len(app.log("started")) == 2, "the other key's row starts")
    # Both instants are the database's own.
    [[seconds]] = release.sql(
        f"select extract(epoch from l.at - r.created_at) from faults_log l join {app.table} r on r.id ="
        " l.row_id where l.source = r.source and r.id = 1001"
    )
    assert float(seconds) < 3
    assert [row for row, _, _ in app.log("started")] == [
        1,
        1001,
    ], "one of the throttled key, in order, and the other"


def test_without_a_limit_one_key_takes_both_workers(two_workers: str, application: MakeApplication) -> None:
    """The twin: what the limit above holds back."""
    app = application("unthrottled", queue=two_workers, fairnessKey="customer")
    app.insert(1, 10, customer="throttled")
    wait_until(lambda: len(app.log("started")) == 2, "two rows of the key run at once")
