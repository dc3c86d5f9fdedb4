-- Documents and their chunks.

-- name: read_document
-- Where the file is, and the version of the row (its xmin) that a verdict will be about.
select storage_url, xmin::text from workshop_documents where id = %(document_id)s::uuid

-- name: make_ready
-- The document is readable. Its row lock comes first, so that two attempts write one after the other.
update workshop_documents set status = 'ready', pages = %(pages)s, error = null where id = %(document_id)s::uuid
  returning id

-- name: delete_chunks
-- What an earlier ingest left, also from another version of the file.
delete from workshop_chunks where document_id = %(document_id)s::uuid

-- name: insert_chunks
-- Group_id is taken from the document, whatever its type and value; tsv is the table's own business (trigger or
-- generated).
insert into workshop_chunks (document_id, group_id, page, chunk_index, content, token_count, content_sha)
select d.id, d.group_id, c.page, c.chunk_index, c.content, c.token_count, c.content_sha
  from workshop_documents d,
       unnest(%(pages)s::int[], %(indexes)s::int[], %(contents)s::text[], %(token_counts)s::int[], %(shas)s::text[])
         as c(page, chunk_index, content, token_count, content_sha)
 where d.id = %(document_id)s::uuid

-- name: refuse_document
-- Why the document cannot be read. Guard: only the version of the row that was read; a late word of a lost attempt must
-- not undo a newer outcome.
update workshop_documents set status = 'error', error = %(message)s
 where id = %(document_id)s::uuid and xmin::text = %(version)s
returning id
