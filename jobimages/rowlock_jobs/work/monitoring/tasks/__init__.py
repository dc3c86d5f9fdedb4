"""Every task of monitoring by its known name; import this to register them.

Invariant: a task that leaves a row undone ends as canceled, so that its source puts the row back; it never
succeeds with nothing done.
Invariant: what a task writes about its row commits with its finish; what it writes before an outside effect
commits before.
Invariant: a task may be repeated after a crash at any point; only begin_effect makes a repetition impossible.
"""

from rowlock_jobs.work.monitoring.tasks import articles as articles
from rowlock_jobs.work.monitoring.tasks import discovery as discovery
from rowlock_jobs.work.monitoring.tasks import generation as generation
from rowlock_jobs.work.monitoring.tasks import posting as posting
from rowlock_jobs.work.monitoring.tasks import processes as processes
from rowlock_jobs.work.monitoring.tasks import sessions as sessions
from rowlock_jobs.work.monitoring.tasks import upkeep as upkeep
