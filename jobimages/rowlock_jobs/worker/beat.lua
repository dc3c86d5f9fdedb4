-- beat: renews what RQ knows of a worker and of the run it has in hand. All of it: Redis may have forgotten everything since the last one;
-- but a run that Redis forgot is left forgotten.
-- KEYS  1 worker hash  2 worker's executions  3 wip  4 all workers  5 the queue's workers
-- ARGV  1 now, RQ's format  2 now, unix seconds  3 seconds the worker hash lives  4 seconds an execution lives
--       5 id of the run in hand, or ''  6 its execution  then fields and values of the worker hash   return 1
local worker, executions, wip = KEYS[1], KEYS[2], KEYS[3]
local now_text, now, lives, id, execution = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[4]), ARGV[5], ARGV[6]
local call = redis.call
call('EXPIRE', worker, ARGV[3]) -- first a write that a full Redis takes: it takes those that follow, too
call('HSET', worker, unpack(ARGV, 7))
call('EXPIRE', worker, ARGV[3])
call('SADD', KEYS[4], worker)
call('SADD', KEYS[5], worker)
if id ~= '' then
  local composite, job = id .. ':' .. execution, 'rq:job:' .. id
  call('HSET', worker, 'state', 'busy')
  if call('EXISTS', 'rq:execution:' .. composite) == 1 then
    call('HSET', 'rq:execution:' .. composite, 'last_heartbeat', now)
    call('EXPIRE', 'rq:execution:' .. composite, lives)
    call('ZADD', wip, 'XX', now + lives, composite)
    call('ZADD', 'rq:executions:' .. id, 'XX', now + lives + 60, execution)
    call('EXPIRE', 'rq:executions:' .. id, lives + 60)
    call('EXPIRE', executions, lives + 60)
    if redis.pcall('HGET', job, 'status') == 'started' then call('HSET', job, 'last_heartbeat', now_text) end
  end
end
return 1
