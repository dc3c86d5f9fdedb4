"""`helm test`: says in sentences whether a worker pod of this release would find everything it needs."""

import os
import pathlib
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable

import psycopg2
import redis

from rowlock_jobs.errors import SettingsError
from rowlock_jobs.fence.connection import connect
from rowlock_jobs.worker.redis_client import connect_redis
from rowlock_ledger.addresses import AddressMalformed, without_arguments

WAIT_SECONDS = float(os.environ.get("WAIT_SECONDS", "60"))
FUNCTIONS = [
    "hello_v1",
    "renew_v1",
    "goodbye_v1",
    "start_v1",
    "finish_v1",
    "cycle_v1",
    "begin_effect_v1",
    "end_effect_v1",
]


def url_of(service: str) -> str:
    return pathlib.Path(os.environ[f"ROWLOCK_{service}_URL_FILE"]).read_text(errors="replace")


def ledger() -> str:
    """The worker role connects and may call each of its functions."""
    connection = connect(url_of("DATABASE"), "rowlock-test")
    with connection.cursor() as cursor:
        cursor.execute(
            "select p.proname from pg_proc p join pg_namespace n on n.oid = p.pronamespace where n.nspname ="
            " 'rowlock' and has_schema_privilege(n.oid, 'usage') and has_function_privilege(p.oid, 'execute')"
        )
        missing = sorted(set(FUNCTIONS) - {name for (name,) in cursor.fetchall()})
    connection.close()
    if missing:
        raise LookupError(
            f"the worker role may not call rowlock.{', rowlock.'.join(missing)}: has the operator made the"
            " ledger? See its log."
        )
    return "the database answers and the worker role may call every function of the ledger"


def transport() -> str:
    connect_redis(url_of("REDIS")).ping()
    return "Redis answers"


def operator() -> str:
    url = os.environ["ROWLOCK_OPERATOR_URL"]
    if not url:
        return "the operator's Service is off: not looked at"
    with urllib.request.urlopen(f"{url}/readyz", timeout=5) as answer:
        return f"the operator is ready ({answer.status})"


def until_true(check: Callable[[], str]) -> bool:
    """Tries again for a while: right after an install the operator is still making the ledger."""
    deadline = time.monotonic() + WAIT_SECONDS
    while True:
        try:
            print("ok:", check(), flush=True)
            return True
        except (AddressMalformed, SettingsError) as malformed:
            print(f"FAILED ({check.__name__}): the URL in the Secret cannot be read: {malformed}", flush=True)
            return False
        except (psycopg2.Error, redis.RedisError, LookupError, urllib.error.URLError, OSError) as error:
            if time.monotonic() > deadline:
                print(f"FAILED ({check.__name__}):", without_arguments(str(error)).strip(), flush=True)
                return False
            time.sleep(1)


# Every check speaks, also after one has failed.
results = [until_true(check) for check in (ledger, transport, operator)]
sys.exit(0 if all(results) else 1)
