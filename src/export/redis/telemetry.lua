-- Adds telemetry to the streams of partitions, all of a load or nothing of it, once however often this is tried.
-- KEYS: the number of the last load of this writer, then streams. ARGV: number of the load, how many entries a stream may
-- have, for how many seconds the number is remembered, then four for each message: which of the streams, signal, trace id
-- or nothing, and OTLP. Returns nothing, or the stream that is full.
local load, most = tonumber(ARGV[1]), tonumber(ARGV[2])

if tonumber(redis.call('GET', KEYS[1]) or '0') >= load then return false end
for i = 2, #KEYS do
  if redis.call('XLEN', KEYS[i]) >= most then return KEYS[i] end
end
for i = 4, #ARGV, 4 do
  redis.call('XADD', KEYS[1 + ARGV[i]], '*', 'signal', ARGV[i + 1], 'trace', ARGV[i + 2], 'otlp', ARGV[i + 3])
end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[3])
return false
