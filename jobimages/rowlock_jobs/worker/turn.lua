-- turn: one round trip a batch. Ends the previous executions in RQ's records and claims the next ids, atomically: there is no moment in
-- which an id is in no list and in no worker's hands.
-- The records are those RQ 3.0 writes itself (tests/integration/jobs/test_parity.py compares them), without dependents, repeats,
-- callbacks and rate limits, which Rowlock's ids never have. Keys of an id are derived from it: not for Redis Cluster (nor is RQ).
-- What ended is for RQ's tools alone, so little of it is kept: the last `keep` ids that finished and the last `keep` that did not, and
-- none where Redis is full.
-- KEYS  1 queue list  2 intermediate list  3 worker hash  4 worker's executions  5 wip  6 finished  7 failed
-- ARGV  1 now, RQ's format  2 now, unix seconds  3 worker name  4 seconds the worker hash lives  5 seconds an execution lives
--       6 how many ids are wanted  7 an id moved to the intermediate list, or '': the first of them (none wanted: it goes back)
--       8 how many executions ended, then for each: its id  its execution  status: finished | failed | stopped  started, unix seconds
--       working seconds  RQ's exc_string (failed, stopped); then ids for as many new executions as are wanted
-- return {1 where RQ is suspended, 1 where Redis is full, claimed id, its execution or '' (its hash is gone: run it, record nothing), the next...}
local queue, intermediate, worker, executions, wip = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local now_text, now, name, lives = ARGV[1], tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[5])
local call = redis.call
local keep = 500
local longest = 100 -- bytes of an id: what is longer is no run's and need not travel

-- A full Redis refuses a script's writes until one of them was of a kind that takes no memory; those that follow are taken, too. So a worker
-- goes on with what is there, and makes room.
local told, full = redis.pcall('HSET', worker, 'last_heartbeat', now_text), false
if type(told) == 'table' and told.err then
  if not string.find(told.err, 'OOM', 1, true) then return told end
  full = true
end
call('EXPIRE', worker, ARGV[4])

local function forget(id)
  local status = redis.pcall('HGET', 'rq:job:' .. id, 'status')
  if status == 'finished' or status == 'failed' or status == 'stopped' then call('DEL', 'rq:job:' .. id, 'rq:results:' .. id) end
end

-- Not all of a long list at once: whoever waits for Redis waits for this.
local function trim(registry, most)
  local over = math.min(call('ZCARD', registry) - (full and 0 or keep), most)
  if over > 0 then
    local oldest = call('ZPOPMIN', registry, over)
    for i = 1, #oldest, 2 do forget(oldest[i]) end
  end
  call('EXPIRE', registry, 86400) -- those of a queue that is gone are nobody's to tidy
end

local touched = {}
local function record(ended, execution, status, started, working, exc_string)
  local composite, key, results = ended .. ':' .. execution, 'rq:job:' .. ended, 'rq:results:' .. ended
  local good = status == 'finished'
  call('HINCRBY', worker, good and 'successful_job_count' or 'failed_job_count', 1)
  call('HINCRBYFLOAT', worker, 'total_working_time', working)
  local kept = execution ~= '' and call('HMGET', key, 'created_at', good and 'result_ttl' or 'failure_ttl') or {}
  if kept[1] then
    local ttl = tonumber(kept[2] or '') or 3600
    if ttl == 0 or full then
      call('DEL', key, results)
    else
      call('HSET', key, 'status', status, 'ended_at', now_text, 'last_heartbeat', now_text)
      if good then
        call('XADD', results, 'MAXLEN', '~', 10, '*', 'type', 1, 'worker_name', name,
             'execution_id', execution, 'execution_started_at', started, 'execution_ended_at', ARGV[2])
      else
        call('XADD', results, 'MAXLEN', '~', 10, '*', 'type', 2, 'worker_name', name, 'exc_string', exc_string,
             'execution_id', execution, 'execution_started_at', started, 'execution_ended_at', ARGV[2])
      end
      -- A new stream has room for 4 kB; a copy takes what it holds.
      call('COPY', results, results .. ':copy')
      call('RENAME', results .. ':copy', results)
      if ttl > 0 then
        call('EXPIRE', key, ttl)
        call('EXPIRE', results, ttl)
      end
      local registry = good and KEYS[6] or KEYS[7]
      touched[registry] = true
      call('ZADD', registry, ttl > 0 and now + ttl or (good and '+inf' or ttl), ended)
    end
  end
  if execution ~= '' then
    call('DEL', 'rq:execution:' .. composite)
    call('ZREM', 'rq:executions:' .. ended, execution)
    call('ZREM', wip, composite)
    call('SREM', executions, composite)
  end
end

local function claim(id, execution)
  local key = 'rq:job:' .. id
  if redis.pcall('HEXISTS', key, 'created_at') ~= 1 then return '' end -- or its key is of another kind, written by somebody else
  local composite = id .. ':' .. execution
  call('HSET', key, 'last_heartbeat', now_text, 'status', 'started', 'started_at', now_text, 'worker_name', name)
  call('PERSIST', key)
  call('HSET', 'rq:execution:' .. composite, 'id', execution, 'job_id', id, 'created_at', now, 'last_heartbeat', now, 'worker_name', name)
  call('EXPIRE', 'rq:execution:' .. composite, lives)
  call('ZADD', 'rq:executions:' .. id, now + lives + 60, execution)
  call('EXPIRE', 'rq:executions:' .. id, lives + 60)
  call('ZADD', wip, now + lives, composite)
  call('SADD', executions, composite)
  return execution
end

local at = 9
for _ = 1, tonumber(ARGV[8]) do
  record(unpack(ARGV, at, at + 5))
  at = at + 6
end
for _, registry in ipairs({KEYS[6], KEYS[7]}) do
  if touched[registry] or full then trim(registry, 2 * ARGV[8] + (full and 64 or 8)) end
end

local want, moved, suspended = tonumber(ARGV[6]), ARGV[7], call('EXISTS', 'rq:suspended')
local ids = {}
-- 0: somebody's maintenance took the id out of the intermediate list meanwhile; then it is not ours.
if moved ~= '' and call('LREM', intermediate, 1, moved) == 1 then
  if want == 0 or suspended == 1 then call('LPUSH', queue, moved) else ids[1] = moved end
end
if want > #ids and suspended == 0 then
  for _, id in ipairs(call('LPOP', queue, want - #ids) or {}) do ids[#ids + 1] = id end
end
local reply = {suspended, full and 1 or 0}
for number, id in ipairs(ids) do
  if #id <= longest then
    reply[#reply + 1] = id
    reply[#reply + 1] = claim(id, ARGV[at + number - 1])
  else
    reply[#reply + 1] = string.sub(id, 1, longest)
    reply[#reply + 1] = ''
  end
end
if #ids > 0 then call('EXPIRE', executions, lives + 60) end
call('HSET', worker, 'state', #ids > 0 and 'busy' or suspended == 1 and 'suspended' or 'idle')
call('EXPIRE', worker, ARGV[4])
return reply
