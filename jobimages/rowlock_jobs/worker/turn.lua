-- turn: one round trip a run. Ends the previous execution in RQ's records and claims the next id, atomically: there is no moment in
-- which an id is in no list and in no worker's hands.
-- The records are those RQ 3.0 writes itself (tests/integration/jobs/test_parity.py compares them), without dependents, repeats,
-- callbacks and rate limits, which Rowlock's ids never have. Keys of an id are derived from it: not for Redis Cluster (nor is RQ).
-- KEYS  1 queue list  2 intermediate list  3 worker hash  4 worker's executions  5 wip  6 finished  7 failed
-- ARGV  1 now, RQ's format  2 now, unix seconds  3 worker name  4 seconds the worker hash lives  5 seconds an execution lives
--       6 want: none | next | take (an id moved to the intermediate list) | return (put that id back)
--       7 that id  8 id for a new execution
--       9 id that ended, or ''  10 its execution  11 status: finished | failed | stopped  12 started, unix seconds
--       13 working seconds  14 RQ's exc_string (failed, stopped)
-- return {claimed id or '', its execution or '' (its hash is gone: run it, record nothing), 1 where RQ is suspended}
local queue, intermediate, worker, executions, wip = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local now_text, now, name = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local call = redis.call

local ended = ARGV[9]
if ended ~= '' then
  local execution, status = ARGV[10], ARGV[11]
  local composite, key, results = ended .. ':' .. execution, 'rq:job:' .. ended, 'rq:results:' .. ended
  local good = status == 'finished'
  call('HINCRBY', worker, good and 'successful_job_count' or 'failed_job_count', 1)
  call('HINCRBYFLOAT', worker, 'total_working_time', ARGV[13])
  local ttl = call('HGET', key, good and 'result_ttl' or 'failure_ttl')
  if execution ~= '' and call('HEXISTS', key, 'created_at') == 1 then
    ttl = tonumber(ttl or '') or 3600
    if ttl == 0 then
      call('DEL', key, results)
    else
      call('HSET', key, 'status', status, 'ended_at', now_text, 'last_heartbeat', now_text)
      if good then
        call('XADD', results, 'MAXLEN', '~', 10, '*', 'type', 1, 'worker_name', name,
             'execution_id', execution, 'execution_started_at', ARGV[12], 'execution_ended_at', ARGV[2])
      else
        call('XADD', results, 'MAXLEN', '~', 10, '*', 'type', 2, 'worker_name', name, 'exc_string', ARGV[14],
             'execution_id', execution, 'execution_started_at', ARGV[12], 'execution_ended_at', ARGV[2])
      end
      if ttl > 0 then
        call('EXPIRE', key, ttl)
        call('EXPIRE', results, ttl)
      end
      call('ZADD', good and KEYS[6] or KEYS[7], ttl > 0 and now + ttl or (good and '+inf' or ttl), ended)
    end
  end
  if execution ~= '' then
    call('DEL', 'rq:execution:' .. composite)
    call('ZREM', 'rq:executions:' .. ended, execution)
    call('ZREM', wip, composite)
    call('SREM', executions, composite)
  end
end

local want, suspended = ARGV[6], call('EXISTS', 'rq:suspended')
local id
if want == 'take' or want == 'return' then
  -- 0: somebody's maintenance took the id out of the intermediate list meanwhile; then it is not ours.
  if call('LREM', intermediate, 1, ARGV[7]) == 1 then
    if want == 'return' or suspended == 1 then call('LPUSH', queue, ARGV[7]) else id = ARGV[7] end
  end
elseif want == 'next' and suspended == 0 then
  id = call('LPOP', queue)
end

local claimed = ''
if id then
  local key = 'rq:job:' .. id
  if call('HEXISTS', key, 'created_at') == 1 then
    claimed = ARGV[8]
    local composite, lives = id .. ':' .. claimed, tonumber(ARGV[5])
    call('HSET', key, 'last_heartbeat', now_text, 'status', 'started', 'started_at', now_text, 'worker_name', name)
    call('PERSIST', key)
    local execution = 'rq:execution:' .. composite
    call('HSET', execution, 'id', claimed, 'job_id', id, 'created_at', now, 'last_heartbeat', now, 'worker_name', name)
    call('EXPIRE', execution, lives)
    call('ZADD', 'rq:executions:' .. id, now + lives + 60, claimed)
    call('EXPIRE', 'rq:executions:' .. id, lives + 60)
    call('ZADD', wip, now + lives, composite)
    call('SADD', executions, composite)
    call('EXPIRE', executions, lives + 60)
  end
end
call('HSET', worker, 'state', id and 'busy' or 'idle', 'last_heartbeat', now_text)
call('EXPIRE', worker, ARGV[4])
return {id or '', claimed, suspended}
