"""The limit of the claim alone: rounds over runs that are in the ledger already, in batches of 500, each
durable.
"""

import time

from rowlock_operator.rows.ledger import Ledger
from rowlock_operator.rows.pool import Pool
from tests.bench.frame import Bench, Target
from tests.bench.ledger import add_runs, new_queue

NAME = "claiming"
KEYS = {
    "claim_only_rows_per_s": Target("runs claimed in the ledger alone, rounds of 500", "rows/s", "higher")
}


def measure(bench: Bench) -> dict[str, float]:
    count, batch = (1_000, 500) if bench.quick else (100_000, 500)
    with bench.database() as url:
        pool = Pool(url)
        try:
            ledger, queue = Ledger(pool), new_queue(url)
            add_runs(url, queue, count)
            floor, taken, began = "0", 0, time.perf_counter()
            while taken < count:
                given = ledger.round({queue: batch}, floor)
                floor, taken = given.floor, taken + len(given.claimed)
            return {"claim_only_rows_per_s": taken / (time.perf_counter() - began)}
        finally:
            pool.close()
