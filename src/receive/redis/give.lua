-- Gives a partition back, if it is that of whoever gives it.
-- KEYS: owners by partition. ARGV: the partition, and the mark with which it was given.
if redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] then redis.call('HDEL', KEYS[1], ARGV[1]) end
return 1
