-- put_back: an execution this worker claimed and will not run goes back to the head of its queue.
-- KEYS  1 queue list  2 worker's executions  3 wip   ARGV  1 id  2 its execution   return 1
local key, composite = 'rq:job:' .. ARGV[1], ARGV[1] .. ':' .. ARGV[2]
redis.call('DEL', 'rq:execution:' .. composite)
redis.call('ZREM', 'rq:executions:' .. ARGV[1], ARGV[2])
redis.call('ZREM', KEYS[3], composite)
redis.call('SREM', KEYS[2], composite)
if redis.call('HEXISTS', key, 'created_at') == 1 then
  redis.call('HSET', key, 'status', 'queued')
  redis.call('HDEL', key, 'started_at', 'worker_name')
end
redis.call('LPUSH', KEYS[1], ARGV[1])
return 1
