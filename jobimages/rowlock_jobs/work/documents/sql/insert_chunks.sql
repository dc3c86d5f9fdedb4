-- insert_chunks: group_id is taken from the document, whatever its type and value; tsv is the table's own business
-- (trigger or generated).
insert into workshop_chunks (document_id, group_id, page, chunk_index, content, token_count, content_sha)
select d.id, d.group_id, c.page, c.chunk_index, c.content, c.token_count, c.content_sha
  from workshop_documents d,
       unnest(%(pages)s::int[], %(indexes)s::int[], %(contents)s::text[], %(token_counts)s::int[], %(shas)s::text[])
         as c(page, chunk_index, content, token_count, content_sha)
 where d.id = %(document_id)s::uuid
