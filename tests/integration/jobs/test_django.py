"""A Django application's connections outlive a restart of the database, and its writes commit with the
outcome.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from rowlock_jobs import hooks
from tests.integration.jobs.stage import Stage, WorkerProcess

pytestmark = pytest.mark.integration
TASKS = "bill,bill_together,leave_open,look,lose"


class Shop(Stage):
    """`driver`, `shop_url`: of the application's own connection."""

    def environment(self, *, driver: str = "psycopg2", shop_url: str = "", **changes: str) -> dict[str, str]:
        mine = {"imports": "tests.integration.jobs.shop.tasks", "tasks": TASKS}
        shop = {
            "DJANGO_SETTINGS_MODULE": "tests.integration.jobs.shop.settings",
            "SHOP_DRIVER": driver,
            "SHOP_DATABASE_URL": shop_url,
        }
        return super().environment(**{**mine, **changes}) | shop

    def restart_database(self) -> None:
        """As the application's connections see it."""
        ended = (
            "select count(pg_terminate_backend(pid, 5000)) from pg_stat_activity where application_name ="
            " 'shop' and datname = current_database()"
        )
        assert self.sql(ended)[0][0] >= 1

    def invoices(self) -> list[int]:
        return [number for (number,) in self.sql("select number from invoice order by number")]

    def bill(self, count: int) -> list[dict[str, object]]:
        """So many runs, one after the other."""
        return [
            self.wait_state(self.run("bill", number=number)[0], "succeeded", "dead")
            for number in range(count)
        ]


@pytest.fixture
def shop(database: str, redis_url: str, tmp_path: Path) -> Iterator[Shop]:
    made = Shop(database, redis_url, tmp_path)
    made.sql("create table invoice(id serial primary key, number int not null unique)")
    yield made
    made.close()


@pytest.fixture(params=["psycopg2", "psycopg"])
def worker(shop: Shop, request: pytest.FixtureRequest) -> WorkerProcess:
    return shop.worker(driver=request.param)


def test_a_restart_of_the_database_costs_no_run(shop: Shop, worker: WorkerProcess) -> None:
    before = shop.bill(2)
    shop.restart_database()
    shop.sql("delete from invoice")
    after = shop.bill(4)
    assert [(run["state"], run["attempt"]) for run in after] == [("succeeded", 1)] * 4
    assert {run["result"] for run in before + after} == {before[0]["result"]}, (
        "all in one process, whose connection was kept"
    )
    assert worker.events("child_changed") == []


def test_without_the_hooks_every_later_run_of_the_process_is_lost(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative twin: the workers of these tests are forks, so that the guard can be taken out of them."""
    monkeypatch.setattr(hooks, "call_before", lambda _run: None)
    monkeypatch.setattr(hooks, "call_after", lambda: None)
    monkeypatch.setattr(hooks, "replace_process", lambda: None)
    shop.sql("update rowlock.queue set retry = %s", '{"infra": {"limit": 0}, "app": {"limit": 0}}')
    shop.worker()
    shop.bill(1)
    shop.restart_database()
    shop.sql("delete from invoice")
    assert [run["state"] for run in shop.bill(3)] == ["dead"] * 3


def test_a_connection_that_ends_under_a_run_is_infra_and_the_next_attempt_has_another(
    shop: Shop, worker: WorkerProcess
) -> None:
    (run_id,) = shop.run("lose")
    shop.wait_state(run_id, "pending")
    shop.dispatch(1)
    ended = shop.wait_state(run_id, "succeeded")
    assert (ended["infra_tries"], ended["app_tries"]) == (1, 0)
    assert shop.invoices() == [2]


def test_a_transaction_that_a_task_left_open_is_not_the_next_ones(shop: Shop, worker: WorkerProcess) -> None:
    shop.wait_state(shop.run("leave_open")[0], "succeeded")
    looked = shop.wait_state(shop.run("look")[0], "succeeded")["result"]
    assert (looked["atomic"], looked["invoices"]) == (False, 0)


def test_writes_of_the_orm_and_of_run_transaction_commit_with_the_outcome(
    shop: Shop, worker: WorkerProcess
) -> None:
    (run_id,) = shop.run("bill_together", end="returns")
    assert shop.wait_state(run_id, "succeeded")["result"] == "returned"
    assert shop.invoices() == [1, 2]
    assert shop.wait_note("committed 1"), "on_commit functions are called after the commit"


@pytest.mark.parametrize(
    ("end", "state", "invoices"),
    [
        ("raises", "dead", []),
        ("commits", "dead", []),
        ("a block fails", "succeeded", [1, 2]),
        ("a hook raises", "succeeded", [1, 2]),
        ("forks", "succeeded", [1, 2]),
        ("a block is open", "dead", []),
    ],
)
def test_writes_share_the_fate_of_their_run(shop: Shop, end: str, state: str, invoices: list[int]) -> None:
    shop.sql("update rowlock.queue set retry = %s", '{"infra": {"limit": 0}, "app": {"limit": 0}}')
    worker = shop.worker()
    (run_id,) = shop.run("bill_together", end=end)
    assert shop.wait_state(run_id, "succeeded", "dead")["state"] == state
    assert shop.invoices() == invoices
    assert shop.sql("select count(*) from rowlock.run where task = 'look'") == [
        (1 if state == "succeeded" else 0,)
    ]
    assert len(worker.events("hook_failed")) == (end == "a hook raises")
    assert shop.wait_state(shop.run("look")[0], "succeeded")["result"]["atomic"] is False


def test_the_writes_of_a_stale_attempt_vanish(shop: Shop, worker: WorkerProcess) -> None:
    release = shop.folder / "go"
    (run_id,) = shop.run("bill_together", end="stale", release=str(release))
    shop.wait_note("wrote")
    shop.sql("update rowlock.active set token = gen_random_uuid() where id = %s", run_id)
    release.touch()
    worker.wait_event("run_stale")
    assert shop.invoices() == []
    assert shop.notes("committed 1") == []


def test_a_login_that_may_not_finish_runs_is_told_what_it_needs(shop: Shop) -> None:
    login = f"app_{shop.database.rsplit('/', 1)[1]}"
    shop.sql(f"create role {login} login")
    shop.sql(f"grant all on invoice, invoice_id_seq to {login}")
    shop.sql("update rowlock.queue set retry = %s", '{"app": {"limit": 0}}')
    shop.worker(shop_url=shop.database.replace("//postgres@", f"//{login}@"))
    failure = shop.wait_state(shop.run("bill_together", end="returns", alone=True)[0], "dead")["failure"]
    assert (failure["reason"], failure["class"]) == ("TransactionFailed", "app")
    assert "grant rowlock_worker to it" in failure["message"]
    assert shop.invoices() == []
    shop.sql(f"grant rowlock_worker to {login}")
    shop.wait_state(shop.run("bill_together", end="returns")[0], "succeeded")
    assert shop.invoices() == [1, 2]
