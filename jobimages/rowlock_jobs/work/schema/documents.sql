-- Domain tables for documents. A table that is there already is somebody's own: it stays exactly as it is, indexes and
-- triggers included. Not named here: other tables and columns of the systems these came from; Rowlock reads and writes
-- only what follows.

-- Keeps updated_at true whoever writes.
create or replace function rowlock_domain.touch_updated_at() returns trigger language plpgsql
  set search_path = pg_catalog, pg_temp as $$
begin
  new.updated_at := clock_timestamp();
  return new;
end $$;

-- Trigram search (parts of words) is a comfort; word search works without it, so a login that may not create extensions
-- goes on.
do $$
begin
  create extension if not exists pg_trgm;
exception when insufficient_privilege or undefined_file or feature_not_supported then
  raise notice 'the extension pg_trgm cannot be created here (%); documents are searched by words only', sqlerrm;
end $$;

create table if not exists users(
  id serial primary key,
  username varchar(255) not null unique,
  email varchar(255) not null unique,
  password_hash text,
  oauth_provider text,
  oauth_id text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

create table if not exists groups(
  id serial primary key,
  user_id int not null references users(id) on delete cascade,
  name text not null,
  description text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

do $$
begin
  if to_regclass('public.workshop_documents') is null then
    create table workshop_documents(
      id uuid primary key default gen_random_uuid(),
      group_id int not null references groups(id) on delete cascade,
      user_id int not null references users(id) on delete cascade,
      filename text not null,
      mime text not null default 'application/pdf',
      size_bytes bigint not null check (size_bytes >= 0),
      sha256 text not null check (sha256 ~ '^[0-9a-f]{64}$'),
      version int not null default 1,
      pages int,
      status text not null default 'queued' check (status in ('queued', 'processing', 'ready', 'error')),
      error text,
      storage_url text not null,
      created_at timestamptz not null default now(),
      updated_at timestamptz not null default now(),
      unique (user_id, group_id, sha256),
      -- what the chunks refer to: a chunk is never in another group than its document
      unique (id, group_id)
    );
    create trigger touch before update on workshop_documents
      for each row execute function rowlock_domain.touch_updated_at();
  end if;

  if to_regclass('public.workshop_chunks') is null then
    create table workshop_chunks(
      id bigint generated always as identity primary key,
      document_id uuid not null,
      group_id int not null,
      page int not null check (page >= 1),
      chunk_index int not null check (chunk_index >= 0),  -- in the whole document
      content text not null,
      token_count int not null,
      tsv tsvector generated always as (to_tsvector('english', content)) stored,
      content_sha text not null,
      foreign key (document_id, group_id) references workshop_documents(id,
        group_id) on delete cascade on update cascade,
      constraint workshop_chunk_dedupe unique (document_id, page, chunk_index, content_sha)
    );
    create index workshop_chunks_order on workshop_chunks(document_id, chunk_index);
    create index workshop_chunks_tsv on workshop_chunks using gin (tsv);
    if exists (select from pg_extension where extname = 'pg_trgm') then
      create index workshop_chunks_trigram on workshop_chunks using gin (content gin_trgm_ops);
    end if;
  end if;

  if to_regclass('public.document_ingest_jobs') is null then
    create table document_ingest_jobs(
      id bigint generated always as identity primary key,
      document_id uuid not null references workshop_documents(id) on delete cascade,
      status text not null default 'queued' check (status in ('queued', 'processing', 'done', 'error')),
      try_count int not null default 0,
      error text,
      created_at timestamptz not null default now(),
      updated_at timestamptz not null default now()
    );
    create trigger touch before update on document_ingest_jobs
      for each row execute function rowlock_domain.touch_updated_at();
    -- what a RowSource claims from
    create index document_ingest_jobs_queued on document_ingest_jobs(created_at, id) where status = 'queued';
  end if;
end $$;
