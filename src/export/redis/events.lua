-- Adds events to a stream, those that it has not got yet, and publishes what is new.
-- KEYS: the stream and the ids of its last events, by when they came; none where events are only published.
-- ARGV: how many entries the stream keeps, how many ids are remembered, channel or nothing, whether executions have
-- channels of their own, then six for each event: JSON, name, id, time, execution and agent. Returns how many it had
-- already, or the error that publishing met, which is no reason to try them again.
local stream, ids = KEYS[1], KEYS[2]
local most, remembered, channel, by_execution = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4] == '1'
local clock = redis.call('TIME')
local now = clock[1] .. string.format('%06d', clock[2])

local trouble, known = nil, 0
local function publish(to, event)
  local published = redis.pcall('PUBLISH', to, event)
  if type(published) == 'table' and published.err then trouble = published.err end
end
for i = 5, #ARGV, 6 do
  local event, execution, agent = ARGV[i], ARGV[i + 4], ARGV[i + 5]
  if stream and redis.call('ZADD', ids, 'NX', now, ARGV[i + 2]) == 0 then
    known = known + 1
  else
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
end
if ids then redis.call('ZREMRANGEBYRANK', ids, 0, -(remembered + 1)) end
return trouble or known
