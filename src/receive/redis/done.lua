-- Takes entries out of a partition, if it is that of whoever asks.
-- KEYS: owners by partition, and the stream. ARGV: the group, the partition, the mark with which it was given, and the
-- entries. Returns whether it was.
if redis.call('HGET', KEYS[1], ARGV[2]) ~= ARGV[3] then return 0 end
for i = 4, #ARGV do
  redis.call('XACK', KEYS[2], ARGV[1], ARGV[i])
  redis.call('XDEL', KEYS[2], ARGV[i])
end
return 1
