"""Every reason a condition may carry, each with its message beside it.

A message is a sentence with named gaps; what a user must do stands in it. Reasons are facts: never reuse a
near one. docs/troubleshooting.md names each of them that asks somebody to do something; a test compares.
"""

from dataclasses import dataclass

from rowlock_operator.errors import GiveUp


@dataclass(frozen=True)
class Reason:
    """`name` for programs, `message` for people."""

    name: str
    message: str

    def says(self, **gaps: object) -> str:
        """The message with its gaps filled; raises KeyError for a gap without a value."""
        return self.message.format(**gaps)

    def error(self, **gaps: object) -> GiveUp:
        """The same as an error; raises KeyError for a gap without a value."""
        return GiveUp(self.says(**gaps), self.name)


# Ready
READY = Reason("Ready", "Work is accepted.")
IDLE = Reason("Idle", "Nothing waits; the first run starts a worker.")
STARTING = Reason("Starting", "Runs wait for the first worker to become ready.")
SUSPENDED = Reason("Suspended", "spec.suspend is true: nothing new is started. Set it to false to go on.")
NOT_SUSPENDED = Reason("NotSuspended", "spec.suspend is false.")
QUEUE_SUSPENDED = Reason(
    "WorkQueueSuspended", "WorkQueue {queue} is suspended: rows wait until its spec.suspend is false."
)

# what the user must change
INVALID_SPEC = Reason("InvalidSpec", "{field}: {why}")  # as errors.InvalidSpec says it
PENDING_STAYS_TRUE = Reason("PendingStaysTrue", "{field}: {why}")
QUEUE_MISSING = Reason(
    "WorkQueueMissing",
    "WorkQueue {queue} does not exist in this namespace: create it or correct spec.workQueueRef.name.",
)
TASK_NOT_ALLOWED = Reason(
    "TaskNotAllowed",
    "Task {task} is not in spec.tasks of WorkQueue {queue}: add it there or correct spec.task.",
)
DATABASE_MISMATCH = Reason(
    "DatabaseMismatch",
    "spec.databaseRef names another database than WorkQueue {queue}: remove it, or use a WorkQueue of that"
    " database.",
)
SECRET_MISSING = Reason("SecretMissing", "Secret {secret} {fact}: {remedy}, or correct spec.databaseRef.")
SECRET_FORBIDDEN = Reason(
    "SecretForbidden",
    "The operator may not read Secret {secret}: add its name to rbac.secretNames of the chart if it is the"
    " right one, or correct spec.databaseRef.secretName.",
)
SECRET_MALFORMED = Reason(
    "SecretMalformed",
    "{fact}. Store {form} as it is, with %40 for @, %2F for /, %3F for ?, %23 for # and %25 for % in user and"
    " password.",
)
ENCODING_NOT_SUPPORTED = Reason("EncodingNotSupported", "{fact}.")
WRONG_CREDENTIALS = Reason("WrongCredentials", "{fact}. Correct the login in the Secret.")
NOT_ALLOWED = Reason("NotAllowed", "{fact}. As the owner: {remedy}.")
TABLE_MISSING = Reason(
    "TableMissing",
    "{fact}: create it, or delete this RowSource and make it again with the right spec.table (schema.table,"
    " spelled as \\d shows it).",
)
TABLE_LOCKED = Reason(
    "TableLocked", "{fact}. Somebody else holds a lock on it; rows flow again once it is released."
)
TABLE_SLOW = Reason(
    "TableSlow",
    "{fact}. A statement on one table is ended after 30 s, so that other sources do not wait for it: an index"
    " of the rows that wait helps (condition Degraded names it), or a lighter trigger or view. Rowlock tries"
    " again by itself.",
)
NOT_A_TABLE = Reason("NotATable", "{table} is a {kind}: name a table or a view in spec.table.")
VIEW_READ_ONLY = Reason(
    "ViewReadOnly",
    "{table} is a view through which {column} cannot be written: name the table beneath it, give the view an"
    " INSTEAD OF UPDATE trigger, or leave out spec.statusColumn and give spec.again (the ledger alone"
    " remembers then).",
)
VIEW_NOT_LOCKABLE = Reason(
    "ViewNotLockable",
    "Rows of the view {table} cannot be locked ({why}): name the table beneath it, or leave out"
    " spec.statusColumn and give spec.again (the ledger alone remembers then).",
)
COLUMN_MISSING = Reason("ColumnMissing", "{fact}: correct {field}, or add the column{known}.")
KEY_NOT_UNIQUE = Reason(
    "KeyNotUnique",
    "{table}: column {column} alone does not identify a row ({why}): name a column with a unique index of its"
    " own, or add one (id bigint generated always as identity unique).",
)
KEY_TYPE_NOT_SUPPORTED = Reason(
    "KeyTypeNotSupported",
    "{table}: key column {column} is of type {type}: name a column of one of the types {supported}.",
)
PENDING_REFUSED = Reason(
    "PendingRefused", "The database refuses spec.pending: {why}. Correct the expression."
)
STATUS_REFUSED = Reason(
    "StatusRefused",
    "{table}: column {column} refuses {value!r}: {why}. Correct spec.statusColumn or the column.",
)
MARK_LOST = Reason(
    "MarkLost",
    "{table}: writing {value!r} into {column} does not stay ({why}): such a row would be run again and again,"
    " so none is taken. Mend what keeps it from being written, or leave out spec.statusColumn (the ledger"
    " alone remembers then).",
)
ROW_REFUSED = Reason("RowRefused", "{fact}. Mend the row or what refuses it; Rowlock tries again by itself.")
ROWS_LEFT_OUT = Reason(
    "RowsLeftOut",
    "Some pending rows are not taken: {why}. The others are; these are, too, once they are mended.",
)
QUERY_REFUSED = Reason("QueryRefused", "{fact}. Mend what it names; Rowlock tries again by itself.")
QUEUE_UNKNOWN = Reason("UnknownQueue", "{fact}")
INDEX_MISSING = Reason(
    "IndexMissing", "{rows:.0f} rows are read to find those that wait. An index would help: {statement}"
)

# the outside
DATABASE_UNREACHABLE = Reason(
    "DatabaseUnreachable", "{why}. Rowlock goes on as soon as the database answers."
)
DUTY_FAILING = Reason(
    "DutyFailing",
    "The {duty} of this database fails, so {effect}: {why}. Rowlock tries again by itself; mend what it"
    " names.",
)
LEDGER_LOCKED = Reason(
    "LedgerLocked",
    "Work of this database waits: {holder} holds {what}. It goes on once that is released; to end it:"
    " {remedy}.",
)
REDIS_UNREACHABLE = Reason(
    "RedisUnreachable", "{why}. Runs stay in the database and go on as soon as it answers."
)
DEPTH_UNKNOWN = Reason(
    "DepthUnknown",
    "The number of waiting runs is not known at the moment: {why}. Nothing is scaled until it is.",
)
CHILD_REFUSED = Reason(
    "ChildRefused",
    "{kind} {name} cannot be made or changed: {why}. Mend what it names; Rowlock tries again by itself, a"
    " minute later at most.",
)
FORBIDDEN = Reason("Forbidden", "{call}: forbidden; the operator's Role lacks {right}.")
REFUSED_BY_POLICY = Reason("RefusedByPolicy", "{call}: the cluster's policy refused it: {why}")
OBJECT_REFUSED = Reason("ObjectRefused", "{call}: the API server refused the object: {why}")
UNEXPECTED_REPLY = Reason("UnexpectedReply", "{call}: HTTP {status}: {why}")
ROW_TOO_LARGE = Reason(
    "RowTooLarge", "The row of run {run} has {bytes} bytes, more than a pod can be given ({most}): {remedy}."
)
ROW_NAMES_COLLIDE = Reason(
    "RowNamesCollide",
    "Columns {one!r} and {other!r} would both become {name}: give them other names with spec.args of the"
    " RowSource.",
)
KUBE_JOB_REFUSED = Reason("KubeJobRefused", "The API server refuses the Kubernetes Job: {why}")
KUBE_JOB_NOT_DELETED = Reason(
    "KubeJobNotDeleted",
    "{count} Kubernetes Jobs whose runs are over cannot be deleted, such as {kube_job}: {why}. Mend what it"
    " names, or delete them; runs do not wait for that.",
)

# pods
IMAGE_PULL_FAILED = Reason(
    "ImagePullFailed",
    "{count} pods cannot pull their image: {why}. Correct spec.template.image or imagePullSecrets.",
)
UNSCHEDULABLE = Reason(
    "Unschedulable", "{count} pods find no node: {why}. Lower spec.template.resources or add nodes."
)
CRASH_LOOP = Reason(
    "CrashLoop", "{count} pods end right after their start: {why}. See `kubectl logs` of one of them."
)
OUT_OF_MEMORY = Reason(
    "OutOfMemory", "{count} pods ran out of memory ({why}): raise spec.template.resources.limits.memory."
)
PREEMPTED = Reason(
    "Preempted",
    "{count} pods had to make room for more important ones: {why} spec.template.priorityClassName says what"
    " may take their place.",
)
CONFIG_MISSING = Reason("ConfigMissing", "{count} pods cannot start: {why}. Create what is missing.")
CONTAINER_REFUSED = Reason(
    "ContainerRefused",
    "{count} pods have a container that cannot be started: {why}. Correct spec.template, or the image.",
)
QUOTA_EXCEEDED = Reason("QuotaExceeded", "Pods are refused: {why}. Raise the quota or lower scaling.max.")
PODS_NOT_MADE = Reason(
    "PodsNotMade",
    "{count} Kubernetes Jobs have no pod, such as {why}: a ResourceQuota or an admission rule refuses it."
    " `kubectl describe job` of it says which.",
)
SCHEDULING_GATED = Reason(
    "SchedulingGated",
    "{count} pods are held by a scheduling gate: {why}. Whoever set it (an admission webhook, a queueing"
    " system) takes it away.",
)
NOT_STARTING = Reason(
    "NotStarted",
    "{count} pods did not start in spec.startingDeadlineSeconds: {why}. `kubectl describe` of one of them"
    " says more.",
)
RUNS_INTERRUPTED = Reason(
    "RunsInterrupted",
    "{count} runs were kept from starting, or ended, by the platform three times in a row or more, such as"
    " {run}: {why}. They use no try and are tried again, later each time; mend what it names.",
)
NODE_LOST = Reason(
    "NodeLost",
    "{count} pods are on nodes that do not answer, such as {why}: a run of contract Exit is tried again only"
    " once its pod is gone. Bring the node back; or, once its machine is off for certain, delete the Node,"
    " taint it node.kubernetes.io/out-of-service, or force-delete the pod.",
)
POD_STUCK = Reason(
    "PodStuck",
    "{count} pods have waited for their container for a minute or longer, such as {why}. Provide what is"
    " missing; the pod starts by itself.",
)
WORKERS_NOT_READY = Reason(
    "WorkersNotReady",
    "Runs wait, and for two minutes no worker has become ready{why}. `kubectl describe pod` and `kubectl"
    " logs` of one of them say why.",
)
EVICTED = Reason(
    "Evicted",
    "{count} worker pods were evicted{by}: {why} Their runs are tried again. Raise"
    " spec.template.resources.requests of what ran short; for a full /tmp mount a larger volume there, or"
    " raise worker.tmpSize of the chart.",
)
PODS_FAILED = Reason(
    "PodsFailed",
    "{count} worker pods were ended by their node ({kind}): {why} Others take their place; `kubectl describe"
    " node` tells more.",
)
POD_PROBLEM = Reason("PodProblem", "{count} pods are not well: {why}.")

# What is done while nothing of a queue starts; after the message of the cause.
PROBING = "No run loses a try: one Kubernetes Job at a time probes, and all start again once one does."

# Progressing
ROLLING_OUT = Reason("RollingOut", "{updated} of {replicas} workers have the newest template.")
SCALING_UP = Reason("ScalingUp", "From {current} to {wanted} workers.")
SCALING_DOWN = Reason("ScalingDown", "From {current} to {wanted} workers; busy ones end their run first.")
DRAINING = Reason("Draining", "Suspended; {running} runs still finish.")
STABLE = Reason("Stable", "As asked for.")

# Throttled
THROTTLED = Reason("Throttled", "{count} runs wait behind a limit; `rowlock why RUN` names it.")
AT_PARALLELISM = Reason(
    "AtParallelism", "{count} Kubernetes Jobs run, as many as spec.parallelism allows; {backlog} runs wait."
)
HELD_BY_OTHERS = Reason(
    "HeldByOthers",
    "{count} Kubernetes Jobs are suspended by somebody else (Kueue, or a hand), such as {why}: they are"
    " waited for, and start once they are resumed; to give one up, cancel its run.",
)
AT_WRITE_BOUND = Reason(
    "AtWriteBound",
    "{who} may put {most} MiB into the API server within five minutes by Kubernetes Jobs"
    " (operator.kubeJobWrites of the chart), since etcd keeps it that long; further runs wait in their place."
    " A large row costs a tenth with spec.rowDelivery: Secret, and nothing where the task gets the key only.",
)
NOT_THROTTLED = Reason("NotThrottled", "No run waits behind a limit.")

# Degraded
DEAD_LETTERS = Reason(
    "DeadLetters", "{count} runs are dead or unknown: see `rowlock dead-letters`, then `rowlock requeue`."
)
MARKS_WITHOUT_RUN = Reason(
    "MarksWithoutRun",
    "{count} rows of {table}, such as {key_column} {key}, carry {column} = {claimed!r} though the ledger"
    " knows no run of them (their key was changed, or the table came back from a backup): nobody will run"
    " them. To have them run: {statement}",
)
OUTCOMES_NOT_WRITTEN = Reason(
    "OutcomesNotWritten",
    "Outcomes of runs of RowSource {source}, which takes no rows any more, cannot be written to its table"
    " {table}: {why} They are kept, and written once the table takes them.",
)
PLAN_NOT_STORED = Reason(
    "PlanNotStored",
    "Outcomes of runs of RowSource {source} wait, but an operator of an older version registered it: make the"
    " RowSource again, and they are written; then delete it.",
)
WATCHED_BY_OTHER = Reason(
    "WatchedByOther",
    "Namespace {namespace} is served by release {holder}; release {release} watches it, too, and leaves it"
    " alone. Take it out of watchNamespaces of one of them.",
)
SCALED_BY_OTHER = Reason(
    "ScaledByOther",
    "{scaler} scales Deployment {deployment}, which is Rowlock's: its number is left to that one. Delete it,"
    " or let it scale WorkQueue {queue} (spec.replicas) instead.",
)
REPLICAS_CONTESTED = Reason(
    "ReplicasContested",
    "{writer} writes the replicas of Deployment {deployment}, too, again and again: Rowlock sets its own"
    " number once in five minutes at most. Keep {writer} from it (a GitOps tool: ignore /spec/replicas), or"
    " set spec.replicas of WorkQueue {queue}.",
)
HEALTHY = Reason("Healthy", "Nothing needs attention.")

# monitoring
PROCESS_STARTING = Reason("ProcessStarting", "It was asked to start; the first worker that is free begins.")
PROCESS_RUNNING = Reason(
    "Running", "Articles are looked for, comments are written, and posted where that is allowed."
)
PROCESS_STOPPED = Reason(
    "Stopped", "It does not run: set spec.state to Running, or change spec.startRequest, to start it."
)
DURATION_REACHED = Reason(
    "DurationReached", "It has run for spec.maxDurationMinutes. Change spec.startRequest to start it again."
)
PROCESS_FAILED = Reason(
    "ProcessFailed", "It has failed: see status.lastError, then change spec.startRequest to start it again."
)
TOO_MANY_RUNNING = Reason(
    "TooManyRunning",
    "{owner} has {limit} processes running, as many as one owner may have: stop one of them; this one starts"
    " then.",
)
NO_WORKER = Reason("NoWorker", "WorkQueue {queue} cannot serve it: {why}")
PIPELINE_MISSING = Reason(
    "PipelineMissing",
    "RowSource {source} does not exist in this namespace: enable domain.monitoring in the chart, or"
    " create it.",
)
DOMAIN_MISSING = Reason(
    "DomainMissing",
    "Database {database} has no tables for monitoring: run the migration of the chart"
    " (domain.monitoring.enabled), it is tried again.",
)
ENCRYPTION_KEY_MISSING = Reason(
    "EncryptionKeyMissing",
    "The file with the encryption keys cannot be used: {why}. Put Fernet keys, one a line, into the Secret of"
    " the installation.",
)
LOGIN_SECRET_MISSING = Reason("LoginSecretMissing", "Secret {secret} {fact}: {remedy}, or correct {field}.")
LOGIN_SECRET_FORBIDDEN = Reason(
    "LoginSecretForbidden",
    "The operator may not read Secret {secret}: add its name to domain.monitoring.secretNames of the chart,"
    " or correct {field}.",
)
NEEDS_REAUTH = Reason(
    "NeedsReauth",
    "The site refuses these logins: {logins}. Correct name and password in their Secrets; nothing is tried"
    " until then.",
)
LOGINS_WORK = Reason("LoginsWork", "No login was refused.")
COMMENTS_UNKNOWN = Reason(
    "CommentsUnknown",
    "Nobody knows whether some comments were posted; they are never repeated. See `rowlock comments list"
    " --status unknown`.",
)
COMMENTS_FAILED = Reason(
    "CommentsFailed",
    "Some comments could not be made or posted: see `rowlock comments list --status failed`.",
)

ALL: tuple[Reason, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Reason))
