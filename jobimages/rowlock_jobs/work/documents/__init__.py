"""Turns an uploaded PDF into searchable chunks of text: importing this package registers the task
`process_document`.

Invariant: a document becomes 'ready' together with all of its chunks, or not at all.
Invariant: a file outside the documents folder is never opened, whatever the row says.
"""

from rowlock_jobs.work.documents import task as task
