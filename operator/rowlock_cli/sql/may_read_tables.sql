-- may_read_tables: whether this login sees the ledger's own tables, or only the view.
select (has_table_privilege('rowlock.queue', 'select') and has_table_privilege('rowlock.lane', 'select')
   and has_table_privilege('rowlock.bucket', 'select') and has_table_privilege('rowlock.runner', 'select')
   and has_table_privilege('rowlock.active', 'select')
   and has_table_privilege('rowlock.done', 'select') and has_table_privilege('rowlock.inbox', 'select')
   and has_table_privilege('rowlock.source', 'select')) as may
