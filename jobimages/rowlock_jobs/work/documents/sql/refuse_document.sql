-- refuse_document: why the document cannot be read.
-- Guard: only the version of the row that was read; a late word of a lost attempt must not undo a newer outcome.
update workshop_documents set status = 'error', error = %(message)s
 where id = %(document_id)s::uuid and xmin::text = %(version)s
returning id
