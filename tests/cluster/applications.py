"""What the tests bring along as a user would: WorkQueues, a task module in a ConfigMap, and applications with
a table each.
"""

from pathlib import Path
from typing import Any

from tests.cluster.release import Object, Release
from tests.services.process import wait_until

API = "rowlock.dev/v1alpha1"
IMAGE = "python:3.13-slim-trixie"
# An Exit pod waits for a file: `let_go` makes it, so a run ends when the test says so.
WAIT_FOR_GO = (
    'trap "exit 143" TERM; until [ -e /tmp/go ]; do sleep 0.2; done; printf "{\\"row\\": %s}" "$ROW_ID" >'
    " /dev/termination-log"
)


def task_config_map() -> Object:
    module = Path(__file__).with_name("task_module.py").read_text()
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "faults"},
        "data": {"faults.py": module},
    }


def workers_queue(name: str, **spec: Any) -> Object:
    """A WorkQueue whose warm workers know the task `hold`."""
    template = {
        "env": [{"name": "PYTHONPATH", "value": "/tasks"}],
        "volumes": [{"name": "tasks", "configMap": {"name": "faults"}}],
        "volumeMounts": [{"name": "tasks", "mountPath": "/tasks", "readOnly": True}],
    }
    return _queue(name, {"imports": ["faults"], "tasks": ["hold"], "template": template, **spec})


def exit_queue(name: str, *, template: Object | None = None, **spec: Any) -> Object:
    """A WorkQueue of Kubernetes Jobs of an image that knows nothing of Rowlock."""
    container = {
        "image": IMAGE,
        "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "-c"],
        "args": [WAIT_FOR_GO],
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}},
    }
    return _queue(
        name,
        {
            "mode": "Jobs",
            "contract": "Exit",
            "tasks": ["hold"],
            "template": {**container, **(template or {})},
            **spec,
        },
    )


def _queue(name: str, spec: Object) -> Object:
    return {"apiVersion": API, "kind": "WorkQueue", "metadata": {"name": name}, "spec": spec}


def row_source(name: str, *, queue: str, **spec: Any) -> Object:
    """A RowSource over a table as `Application` makes it, named like it but for underscores."""
    whole = {
        "workQueueRef": {"name": queue},
        "table": name.replace("-", "_"),
        "key": "id",
        "pending": "status = 'new'",
        "orderBy": ["id"],
        "columns": ["id", "source"],
        "statusColumn": {
            "name": "status",
            "claimed": "claimed",
            "succeeded": "done",
            "failed": "failed",
            "canceled": "canceled",
            "errorColumn": "error",
        },
        "task": "hold",
        **spec,
    }
    return {"apiVersion": API, "kind": "RowSource", "metadata": {"name": name}, "spec": whole}


class Application:
    """A table of its own with a RowSource on it. Runs of `hold` wait until `open_gate`."""

    def __init__(self, release: Release, name: str, *, queue: str, **spec: Any) -> None:
        self.release, self.name, self.table = release, name, name.replace("-", "_")
        release.sql(
            f"""create table {self.table}(id int primary key, source text not null default '{name}',
              customer text not null default 'somebody',
                  status text not null default 'new', error text, created_at timestamptz not null
                  default clock_timestamp());
                create index on {self.table}(id) where status = 'new'"""
        )
        release.apply(row_source(name, queue=queue, **spec))

    def insert(self, first: int, last: int | None = None, *, customer: str = "somebody") -> None:
        """Rows with the ids from first to last, in one commit."""
        self.release.sql(
            f"insert into {self.table}(id, customer) select i, '{customer}' from generate_series({first},"
            f" {last or first}) i"
        )

    def open_gate(self) -> None:
        self.release.sql(f"insert into faults_gate values ('{self.name}') on conflict do nothing")

    def log(self, word: str) -> list[tuple[int, int, str]]:
        """(row, attempt, pod) of every line the task wrote with this word, in order."""
        rows = self.release.sql(
            f"select row_id, attempt, pod from faults_log where source = '{self.name}' and word = '{word}'"
            " order by at"
        )
        return [(int(row), int(attempt), pod) for row, attempt, pod in rows]

    def runs(self, *columns: str) -> list[list[str]]:
        """Columns of this application's runs, in the order of their rows."""
        wanted = ", ".join(f"coalesce(({column})::text, '')" for column in columns)
        return self.release.sql(
            f"select {wanted} from rowlock.run where {self._mine} order by source_key::int"
        )

    def count(self, state: str) -> int:
        return int(
            self.release.sql(f"select count(*) from rowlock.run where {self._mine} and state = '{state}'")[0][
                0
            ]
        )

    def statuses(self) -> dict[str, int]:
        """What the application sees in its own table: status -> rows."""
        return {
            status: int(n)
            for status, n in self.release.sql(f"select status, count(*) from {self.table} group by 1")
        }

    def kube_pods(self) -> dict[str, Object]:
        """The pods of the runs that are active, where they are kube jobs."""
        ids = {run for (run,) in self.runs("id")}
        return {
            n: p
            for n, p in self.release.pods("rowlock.dev/run").items()
            if p["metadata"]["labels"]["rowlock.dev/run"] in ids
        }

    def let_go(self) -> None:
        """Lets the pods of contract Exit end."""
        for pod in self.kube_pods():
            self.release.kubectl("exec", pod, "--", "touch", "/tmp/go")

    def close(self) -> None:
        """Everything away, the history of these runs too: a later demo counts dead letters."""
        self.open_gate()
        self.release.sql(f"delete from {self.table}")
        # Again and again: a row may have been on its way into the ledger.
        cancel = (
            f"select rowlock.cancel_v1(array(select id from rowlock.run where {self._mine} and finished_at is"
            " null))"
        )
        active = f"select count(*) from rowlock.run where {self._mine} and finished_at is null"
        wait_until(
            lambda: self.release.sql(f"{cancel} \\g /dev/null\n{active}") == [["0"]],
            f"every run of {self.name} ends",
            60,
        )
        self.release.delete("rowsource", self.name)
        self.release.sql(f"""drop table {self.table};
                reset role;
                delete from rowlock.done using rowlock.source s where s.id = source_id
                  and s.name = '{self.release.namespace}/{self.name}';
                set role app""")

    @property
    def _mine(self) -> str:
        return f"source = '{self.release.namespace}/{self.name}'"
