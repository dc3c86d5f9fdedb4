"""A database that was away: healthy runners could not renew, and must not lose their runs for it."""

import pytest

from rowlock_operator.dispatch.state import SharedState
from rowlock_operator.dispatch.sweeper import Sweeper, SweeperSettings
from rowlock_operator.dispatch.tables import TablesSettings, WaitingRoom
from rowlock_operator.errors import RetryLater
from rowlock_operator.rows.ledger import Ledger
from rowlock_operator.rows.pool import Pool
from rowlock_operator.transport.redis_queues import RedisQueues
from tests.integration.ledger.ledger_client import LedgerClient
from tests.services.postgres import PostgresServer
from tests.services.process import wait_until

pytestmark = pytest.mark.integration


def sweep_after_an_outage(redis_url: str, *, grace_seconds: float) -> str:
    """State of a run whose runner's lease passed while the database was down, after the first sweep that
    succeeds.
    """
    server = PostgresServer().start()
    try:
        url = server.new_database()
        client = LedgerClient(url)
        run = client.running()
        client.lapse()
        client.close()
        pool, queues = Pool(url), RedisQueues(redis_url)
        state = SharedState()
        room = WaitingRoom(state, TablesSettings())
        sweeper = Sweeper(
            state, Ledger(pool), lambda: queues, SweeperSettings(grace_seconds=grace_seconds), room
        )
        server.kill()
        with pytest.raises(RetryLater):
            sweeper.run_once()
        server.start()

        def swept() -> bool:
            try:
                sweeper.run_once()
            except RetryLater:
                return False
            return True

        wait_until(swept, "a sweep succeeds after the restart")
        after = LedgerClient(url)
        run_state = after.state(run)
        after.close()
        pool.close()
        queues.close()
        return run_state
    finally:
        server.stop()


def test_runners_get_time_to_renew_after_the_database_was_away(redis_url: str) -> None:
    assert sweep_after_an_outage(redis_url, grace_seconds=12.0) == "running"


def test_without_the_grace_their_runs_are_taken_from_them(redis_url: str) -> None:
    assert sweep_after_an_outage(redis_url, grace_seconds=0.0) == "pending"
