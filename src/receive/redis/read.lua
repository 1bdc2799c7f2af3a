-- Reads partitions, as far as they are those of whoever asks.
-- KEYS: owners by partition, then the streams. ARGV: the group, how many entries of each, then three for each stream: its
-- partition, the mark with which it was given, and behind which entry: of those that were given to whoever had it before,
-- or > for new ones. Returns for each stream its entries, or 0 if it is somebody else's.
local read = {}
for i = 2, #KEYS do
  local at = 3 * i - 3
  local partition, mark, from = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  if redis.call('HGET', KEYS[1], partition) ~= mark then
    read[i - 1] = 0
  else
    -- Whoever has the partition has what was given to others that had it: to the group they are all one.
    local ask = {'XREADGROUP', 'GROUP', ARGV[1], 'owner', 'COUNT', ARGV[2], 'STREAMS', KEYS[i], from}
    local answer = redis.pcall(unpack(ask))
    if answer and answer.err and string.find(answer.err, 'NOGROUP', 1, true) then
      redis.call('XGROUP', 'CREATE', KEYS[i], ARGV[1], '0', 'MKSTREAM')
      answer = redis.call(unpack(ask))
    end
    if answer and answer.err then return answer end
    read[i - 1] = answer and answer[1] and answer[1][2] or {}
  end
end
return read
