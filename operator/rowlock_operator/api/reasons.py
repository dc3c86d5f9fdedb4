"""Every reason a condition may carry, each with its message beside it.

A message is a sentence with named gaps; what a user must do stands in it. Reasons are facts: never reuse a near one.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Reason:
    """`name` for programs, `message` for people."""

    name: str
    message: str

    def says(self, **gaps: object) -> str:
        """The message with its gaps filled; raises KeyError for a gap without a value."""
        return self.message.format(**gaps)


# Ready
READY = Reason("Ready", "Work is accepted.")
IDLE = Reason("Idle", "Nothing waits; the first run starts a worker.")
STARTING = Reason("Starting", "Runs wait for the first worker to become ready.")
NOT_OBSERVED = Reason("NotObserved", "Rowlock has not looked at this object yet.")
SUSPENDED = Reason("Suspended", "spec.suspend is true: nothing new is started. Set it to false to go on.")
NOT_SUSPENDED = Reason("NotSuspended", "spec.suspend is false.")
QUEUE_SUSPENDED = Reason("WorkQueueSuspended", "WorkQueue {queue} is suspended: rows wait until its spec.suspend is false.")

# what the user must change
INVALID_SPEC = Reason("InvalidSpec", "{field}: {why}")
QUEUE_MISSING = Reason(
    "WorkQueueMissing", "WorkQueue {queue} does not exist in this namespace: create it or correct spec.workQueueRef.name."
)
TASK_NOT_ALLOWED = Reason("TaskNotAllowed", "Task {task} is not in spec.tasks of WorkQueue {queue}: add it there or correct spec.task.")
DATABASE_MISMATCH = Reason(
    "DatabaseMismatch", "spec.databaseRef names another database than WorkQueue {queue}: remove it, or use a WorkQueue of that database."
)
SECRET_MISSING = Reason("SecretMissing", "Secret {secret} has no key {key}, or does not exist: create it or correct spec.databaseRef.")
TABLE_MISSING = Reason(
    "TableMissing",
    "Table {table} does not exist: create it, or delete this RowSource and make it again with spec.table spelled exactly as the database shows it.",
)
COLUMN_MISSING = Reason("ColumnMissing", "Table {table} has no column {column}: correct {field}.")
KEY_NOT_UNIQUE = Reason(
    "KeyNotUnique", "Column {column} of {table} is not unique and not null: add such a constraint or choose another spec.key."
)
PENDING_REFUSED = Reason("PendingRefused", "The database refused spec.pending: {why}. Correct the expression.")
NOT_ALLOWED = Reason("NotAllowed", "The operator's role may not {right} {table}: run `GRANT {right} ON {table} TO {role}`.")
NOT_A_TABLE = Reason("NotATable", "{table} is neither a table nor a view: correct spec.table.")
KEY_TYPE_NOT_SUPPORTED = Reason("KeyTypeNotSupported", "Column {column} of {table} is of type {type}: choose another spec.key.")
PENDING_STAYS_TRUE = Reason("PendingStaysTrue", "spec.pending: {why}")
ROW_TOO_LARGE = Reason("RowTooLarge", "{why}")
ROW_NAMES_COLLIDE = Reason("RowNamesCollide", "{why}")
INDEX_MISSING = Reason("IndexMissing", "Looking for pending rows reads the whole table ({rows} rows). An index would help: {statement}")

# the outside
DATABASE_UNREACHABLE = Reason("DatabaseUnreachable", "The database does not answer: {why}. Rowlock goes on as soon as it does.")
REDIS_UNREACHABLE = Reason("RedisUnreachable", "Redis does not answer: {why}. Runs stay in the database and go on as soon as it does.")
DEPTH_UNKNOWN = Reason("DepthUnknown", "The number of waiting runs is not known at the moment: {why}. Nothing is scaled until it is.")
CHILD_REFUSED = Reason("ChildRefused", "The API server refused {kind} {name}: {why}. Correct the field it names in spec.template.")
FORBIDDEN = Reason("Forbidden", "{why}")

# pods
IMAGE_PULL_FAILED = Reason(
    "ImagePullFailed", "{count} pods cannot pull their image: {why}. Correct spec.template.image or imagePullSecrets."
)
UNSCHEDULABLE = Reason("Unschedulable", "{count} pods find no node: {why}. Lower spec.template.resources or add nodes.")
CRASH_LOOP = Reason("CrashLoop", "{count} pods end right after their start: {why}. See `kubectl logs` of one of them.")
OUT_OF_MEMORY = Reason("OutOfMemory", "{count} pods ran out of memory: raise spec.template.resources.limits.memory.")
CONFIG_MISSING = Reason("ConfigMissing", "{count} pods cannot start: {why}. Create what is missing.")
QUOTA_EXCEEDED = Reason("QuotaExceeded", "Pods are refused: {why}. Raise the quota or lower scaling.max.")
POD_PROBLEM = Reason("PodProblem", "{count} pods are not well: {why}.")

# Progressing
ROLLING_OUT = Reason("RollingOut", "{updated} of {replicas} workers have the newest template.")
SCALING_UP = Reason("ScalingUp", "From {current} to {wanted} workers.")
SCALING_DOWN = Reason("ScalingDown", "From {current} to {wanted} workers; busy ones end their run first.")
DRAINING = Reason("Draining", "Suspended; {running} runs still finish.")
STABLE = Reason("Stable", "As asked for.")

# Throttled
THROTTLED = Reason("Throttled", "{count} runs wait behind a limit; `rowlock why RUN` names it.")
AT_PARALLELISM = Reason("AtParallelism", "{count} Kubernetes Jobs run, as many as spec.parallelism allows; {backlog} runs wait.")
NOT_THROTTLED = Reason("NotThrottled", "No run waits behind a limit.")

# Degraded
DEAD_LETTERS = Reason("DeadLetters", "{count} runs are dead or unknown: see `rowlock dead-letters`, then `rowlock requeue`.")
HEALTHY = Reason("Healthy", "Nothing needs attention.")

ALL: tuple[Reason, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Reason))
