-- Which of these ids will nobody return? Every one that is in no list: absent, ended, or popped by a worker that never came to the start fence
-- (the caller asks only for claims that are seconds old; a slow worker that comes later is refused by the fence or starts it, once).
-- KEYS: 1 the queue's list
-- ARGV: ids
-- Returns the lost ids; what was left of them is deleted.
local waiting = {}
for _, id in ipairs(redis.call('LRANGE', KEYS[1], 0, -1)) do waiting[id] = true end
local lost = {}
for _, id in ipairs(ARGV) do
  if not waiting[id] then
    redis.call('DEL', 'rq:job:' .. id)
    lost[#lost + 1] = id
  end
end
return lost
