-- timeout: a person waits; `local`, because a pooled connection is somebody else's afterwards.
set local statement_timeout = '60s'
