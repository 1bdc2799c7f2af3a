-- Adds events to a stream once, however often this is tried, and publishes them.
-- KEYS: the stream and the number of the last load of this writer; none where events are only published.
-- ARGV: number of the load, how many entries the stream keeps, for how many seconds the number is remembered, channel
-- or nothing, whether executions have channels of their own, then six for each event: JSON, name, id, time, execution
-- and agent. Returns 0, or the error that publishing met, which is no reason to add them again.
local stream, written = KEYS[1], KEYS[2]
local load, most, channel, by_execution = tonumber(ARGV[1]), ARGV[2], ARGV[4], ARGV[5] == '1'

if written and tonumber(redis.call('GET', written) or '0') >= load then return 0 end
local trouble = 0
local function publish(to, event)
  local published = redis.pcall('PUBLISH', to, event)
  if type(published) == 'table' and published.err then trouble = published.err end
end
for i = 6, #ARGV, 6 do
  local event, execution, agent = ARGV[i], ARGV[i + 4], ARGV[i + 5]
  if stream then
    local entry = {'event', event, 'name', ARGV[i + 1], 'event_id', ARGV[i + 2], 'timestamp', ARGV[i + 3]}
    if execution ~= '' then
      entry[#entry + 1] = 'execution_id'
      entry[#entry + 1] = execution
    end
    if agent ~= '' then
      entry[#entry + 1] = 'agent'
      entry[#entry + 1] = agent
    end
    redis.call('XADD', stream, 'MAXLEN', '~', most, '*', unpack(entry))
  end
  if channel ~= '' then
    publish(channel, event)
    if by_execution and execution ~= '' then publish(channel .. ':' .. execution, event) end
  end
end
if written then redis.call('SET', written, ARGV[1], 'EX', ARGV[3]) end
return trouble
