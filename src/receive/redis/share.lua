-- Shares partitions among those that are alive, evenly: who has too many is to give some back, who has too few takes what
-- is nobody's or of somebody who was not heard of for too long.
-- KEYS: members by when they were heard of, owners by partition, and how many partitions there are. ARGV: who asks,
-- after how many milliseconds somebody counts as gone, and 1 if the one who asks leaves. Returns its partitions, each
-- with a mark that no other time has at which it was given to anybody, and whether it is to be given back.
local members, owners = KEYS[1], KEYS[2]
local me, patience = ARGV[1], tonumber(ARGV[2])
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

redis.call('ZREMRANGEBYSCORE', members, '-inf', now - patience)
if ARGV[3] == '1' then redis.call('ZREM', members, me) else redis.call('ZADD', members, now, me) end
local alive, place = redis.call('ZRANGE', members, 0, -1), 0
table.sort(alive)
for i, member in ipairs(alive) do
  if member == me then place = i end
end

local count = tonumber(redis.call('GET', KEYS[3]) or '0')
local mine, free = {}, {}
for partition = 0, count - 1 do
  local owner = redis.call('HGET', owners, partition)
  local name = owner and string.match(owner, '^[%d.]+ (.*)$')
  if name == me then
    mine[#mine + 1] = {partition, owner}
  elseif not name or not redis.call('ZSCORE', members, name) then
    free[#free + 1] = partition
  end
end
local fair = 0
if place > 0 then
  fair = math.floor(count / #alive)
  if place <= count % #alive then fair = fair + 1 end
end
for i, lease in ipairs(mine) do
  lease[3] = i > fair and 1 or 0
  if place == 0 then redis.call('HDEL', owners, lease[1]) end
end
for _, partition in ipairs(free) do
  if #mine >= fair then break end
  local owner = clock[1] .. '.' .. string.format('%06d', clock[2]) .. ' ' .. me
  redis.call('HSET', owners, partition, owner)
  mine[#mine + 1] = {partition, owner, 0}
end
return mine
