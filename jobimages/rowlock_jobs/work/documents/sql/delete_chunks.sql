-- delete_chunks: what an earlier ingest left, also from another version of the file.
delete from workshop_chunks where document_id = %(document_id)s::uuid
