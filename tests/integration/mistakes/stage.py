"""A running installation that every test of this folder makes its mistakes in, beside a source that is
well.
"""

import json
from typing import Any

from tests.services.hurry import LOOKS_AGAIN
from tests.services.manifests import STATUS_COLUMN, Manifest, row_source, work_queue
from tests.services.operator_room import OperatorRoom
from tests.services.process import wait_until
from tests.services.rows import add_orders, create_orders

ROLE = "keeper"  # the operator's login: no superuser, so that rights mean something
QUEUE = work_queue(
    "orders", imports=["tests.services.journal_tasks"], tasks=["count", "fails"], scaling={"max": 1}
)
TABLE = (
    "create table {}(id bigint primary key, amount numeric default 1, status text not null default 'new',"
    " error text)"
)
PATIENCE_SECONDS = 60.0  # two loaded cores


class Stage:
    """One operator, one worker, one database; the healthy source is `orders`."""

    def __init__(self, room: OperatorRoom) -> None:
        self.room = room
        self.sql(f"create role {ROLE} login createrole")
        self.sql(f"grant create on database {room.url.rsplit('/', 1)[1]} to {ROLE}")
        self.sql(f"alter default privileges grant select, update on tables to {ROLE}")
        create_orders(room.url)
        room.secret("rowlock-database", url=room.url.replace("postgres@", f"{ROLE}@"), workerUrl=room.url)
        room.create(QUEUE)
        room.create(self.source("healthy", table="public.orders"))
        self.operator = room.operator(otherwise=LOOKS_AGAIN)
        room.worker("orders")

    def sql(self, statement: str, *parameters: Any) -> list[tuple[Any, ...]]:
        return self.room.sql(statement, *parameters)

    def source(self, name: str, **spec: Any) -> Manifest:
        """A RowSource on the table of its own name."""
        given = {
            "workQueueRef": {"name": "orders"},
            "table": name,
            "task": "count",
            "columns": ["id"],
            "statusColumn": STATUS_COLUMN,
        }
        return row_source(name.replace("_", "-"), **{**given, **spec})

    def table(self, name: str, *, rows: int = 2, ddl: str = TABLE) -> None:
        """A table with new rows 1 to `rows`."""
        self.sql(ddl.format(name))
        self.sql(f"insert into {name}(id) select generate_series(1, {rows})")

    def create(self, name: str, **spec: Any) -> None:
        self.room.create(self.source(name, **spec))

    def told(self, name: str, reason: str, *words: str, type_: str = "Ready") -> str:
        """The message of a condition with this reason, once it is there and holds the words."""
        bad = "False" if type_ == "Ready" else "True"
        seen: dict[str, Any] = {}

        def there() -> bool:
            seen.update(self.room.condition("RowSource", name.replace("_", "-"), type_))
            return (
                seen.get("status") == bad
                and seen["reason"] == reason
                and all(word in seen["message"] for word in words)
            )

        try:
            wait_until(there, f"{name} says {reason} with {words}", PATIENCE_SECONDS)
        except AssertionError as error:
            raise AssertionError(f"{error}; it says {seen}") from None
        return str(seen["message"])

    def well(self, name: str) -> None:
        """Its conditions have nothing to complain of."""
        for type_, status in (("Ready", "True"), ("Degraded", "False")):
            self.room.wait_condition(
                "RowSource", name.replace("_", "-"), type_, status=status, deadline_seconds=PATIENCE_SECONDS
            )

    def succeeded(self, name: str) -> int:
        query = "select count(*) from rowlock.run where source = %s and state = 'succeeded'"
        return int(self.sql(query, f"{self.room.namespace}/{name.replace('_', '-')}")[0][0])

    def flows(self, name: str, runs: int = 2) -> None:
        """So many of its runs succeeded, each once."""
        wait_until(lambda: self.succeeded(name) >= runs, f"{runs} runs of {name} succeed", PATIENCE_SECONDS)
        assert self.succeeded(name) == runs

    def statuses(self, name: str) -> dict[int, str]:
        return dict(self.sql(f"select id, status from {name}"))

    def settled(self, name: str, expected: dict[int, str]) -> None:
        """The status column holds exactly this in the end."""
        try:
            wait_until(lambda: self.statuses(name) == expected, f"{name} is {expected}", PATIENCE_SECONDS)
        except AssertionError as error:
            raise AssertionError(f"{error}; it is {self.statuses(name)}") from None

    def written(self, name: str, status: str = "done", *, column: str = "status") -> None:
        """Every row of the table has this status in the end."""
        query = f"select count(*), count(*) filter (where {column}::text = %s) from {name}"

        def all_there() -> bool:
            rows, so_far = self.sql(query, status)[0]
            return bool(rows == so_far)

        wait_until(all_there, f"all of {name} is {status}", PATIENCE_SECONDS)

    def arguments(self, name: str) -> list[dict[str, Any]]:
        """What the runs of a source were given, in the order of their keys."""
        query = "select args from rowlock.run where source = %s order by source_key"
        return [args for (args,) in self.sql(query, f"{self.room.namespace}/{name.replace('_', '-')}")]

    def others_are_served(self) -> None:
        """Rows of the healthy source flow now."""
        add_orders(self.room.url, 3)
        wait_until(
            lambda: not self.sql("select from orders where status <> 'done'"),
            "the healthy source goes on",
            20,
        )

    def log_lines(self) -> list[dict[str, Any]]:
        return [
            json.loads(line) for line in self.operator.log.read_text().splitlines() if line.startswith("{")
        ]
