-- make_ready: the document is readable. Its row lock comes first, so that two attempts write one after the other.
update workshop_documents set status = 'ready', pages = %(pages)s, error = null where id = %(document_id)s::uuid returning id
