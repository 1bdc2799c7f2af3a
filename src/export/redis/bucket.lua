-- Sets what one process counted in a bucket, and the summary of what all have.
-- KEYS: the bucket. ARGV: field of the process, its sequence, its sums, when the bucket expires, how long it is in
-- seconds, how many processes it has apart from one another, how many it has at all, and for how many seconds a process
-- that has ended stays apart. Returns 1, 0 where as new a state was there already, -1 where there is no room.
local key, field, sequence = KEYS[1], ARGV[1], tonumber(ARGV[2])
local together = 'raw:(ended)'

local states, count, all = {}, 0, redis.call('HGETALL', key)
for i = 1, #all, 2 do
  if string.sub(all[i], 1, 4) == 'raw:' then
    states[all[i]] = cjson.decode(all[i + 1])
    count = count + 1
  end
end
if states[field] then
  if states[field].seq >= sequence then return 0 end
elseif count >= tonumber(ARGV[7]) then
  return -1
end
redis.call('HSET', key, field, ARGV[3])
redis.call('EXPIREAT', key, ARGV[4])
states[field] = cjson.decode(ARGV[3])

-- Always in the same order, because sums of fractions depend on it.
local function sorted(of)
  local names = {}
  for name in pairs(of) do names[#names + 1] = name end
  table.sort(names)
  return names
end
local function written(value)
  local short = string.format('%.15g', value)
  return tonumber(short) == value and short or string.format('%.17g', value)
end
local function object(of, write)
  local members = {}
  for name, value in pairs(of) do members[#members + 1] = cjson.encode(name) .. ':' .. write(value) end
  return '{' .. table.concat(members, ',') .. '}'
end
local function add(to, from)
  for name, value in pairs(from) do to[name] = (to[name] or 0) + value end
end
local function merge(to, state)
  add(to.sums, state.sums)
  add(to.agents, state.agents)
  for feature, of_feature in pairs(state.features) do
    to.features[feature] = to.features[feature] or {}
    add(to.features[feature], of_feature)
  end
end

-- Where there are many, those that have ended become one: none of them will say any more what it counted.
if count > tonumber(ARGV[6]) then
  local ended = states[together] or {sums = {}, features = {}, agents = {}}
  local latest, folded = tonumber(redis.call('TIME')[1]) - tonumber(ARGV[8]), 0
  for _, name in ipairs(sorted(states)) do
    local state = states[name]
    if state.ended and state.ended <= latest then
      merge(ended, state)
      redis.call('HDEL', key, name)
      states[name], folded = nil, folded + 1
    end
  end
  if folded > 0 then
    states[together] = ended
    local features = object(ended.features, function(of_feature) return object(of_feature, written) end)
    local members = {object(ended.sums, written), features, object(ended.agents, written)}
    redis.call('HSET', key, together, string.format('{"seq":0,"sums":%s,"features":%s,"agents":%s}', unpack(members)))
  end
end

local sum = {sums = {}, features = {}, agents = {}}
for _, name in ipairs(sorted(states)) do merge(sum, states[name]) end
local summary, sums = {}, sum.sums
local function put(name, value)
  summary[#summary + 1] = name
  summary[#summary + 1] = written(value)
end
local function ratio(name, part, whole)
  if whole and whole > 0 then put(name, (part or 0) / whole) end
end

local busy, seen = 0, 0
for _, agent in ipairs(sorted(sum.agents)) do
  local share = math.min(sum.agents[agent] / 1e6 / tonumber(ARGV[5]), 1)
  put('agent_utilization:' .. agent, share)
  busy, seen = busy + share, seen + 1
end
for feature, of_feature in pairs(sum.features) do
  ratio('cost_per_feature:' .. feature, of_feature.task_cost_usd, of_feature.tasks)
end
ratio('agent_utilization', busy, seen)
ratio('cost_per_feature', sums.task_cost_usd, sums.tasks)
ratio('average_retry_count', sums.retries, sums.attempted_tasks)
ratio('critic_rejection_rate', sums.rejected, (sums.approved or 0) + (sums.rejected or 0))
ratio('validation_pass_rate', sums.passed, sums.validated)
ratio('time_to_completion', sums.task_seconds, sums.tasks)
put('total_cost_usd', sums.cost_usd or 0)
put('unpriced_calls', sums.unpriced_calls or 0)
put('tokens', (sums.input_tokens or 0) + (sums.output_tokens or 0))
put('runs', sums.runs or 0)
put('errors', sums.errors or 0)

for i = 1, #summary, 1000 do
  redis.call('HSET', key, unpack(summary, i, math.min(i + 999, #summary)))
end
return 1
