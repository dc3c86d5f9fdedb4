-- Enqueue-if-absent, a batch in one call: RQ's job hash and its place in the queue's list, together or not at all.
-- An id that is known as queued or started is left alone, so a repeated call changes nothing.
-- KEYS: 1 the set of queues, 2 the queue's list
-- ARGV: 1 queue name, 2 time (RQ's utcformat), 3 data, 4 timeout in seconds, 5 ttl of results, 6 ttl of failures (seconds), then ids
-- What nobody takes for a day goes by itself (of a queue that was deleted, nobody else would tidy it up); what is lost by that is pushed again.
-- Returns how many were pushed.
local queues, list = KEYS[1], KEYS[2]
local name, at, data, timeout, result_ttl, failure_ttl = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local pushed = {}
for i = 7, #ARGV do
  local id = ARGV[i]
  local key = 'rq:job:' .. id
  local status = redis.call('HGET', key, 'status')
  if status ~= 'queued' and status ~= 'started' then
    redis.call('HSET', key, 'created_at', at, 'enqueued_at', at, 'data', data, 'origin', name, 'description', id,
      'timeout', timeout, 'result_ttl', result_ttl, 'failure_ttl', failure_ttl, 'status', 'queued', 'started_at', '', 'ended_at', '', 'worker_name', '')
    redis.call('EXPIRE', key, 86400)
    pushed[#pushed + 1] = id
  end
end
if #pushed > 0 then
  redis.call('SADD', queues, list)
  for i = 1, #pushed, 1000 do
    redis.call('RPUSH', list, unpack(pushed, i, math.min(i + 999, #pushed)))
  end
  redis.call('EXPIRE', list, 86400)
end
return #pushed
