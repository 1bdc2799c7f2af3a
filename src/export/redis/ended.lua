-- Says of what a process counted in a bucket that it will not change any more, because the process ends.
-- KEYS: the bucket. ARGV: field of the process.
local state = redis.call('HGET', KEYS[1], ARGV[1])
if not state or cjson.decode(state).ended then return 0 end
local ended = string.format('{"ended":%s,', redis.call('TIME')[1])
redis.call('HSET', KEYS[1], ARGV[1], ended .. string.sub(state, 2))
return 1
