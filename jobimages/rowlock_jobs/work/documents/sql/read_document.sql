-- read_document: where the file is, and the version of the row (its xmin) that a verdict will be about.
select storage_url, xmin::text from workshop_documents where id = %(document_id)s::uuid
