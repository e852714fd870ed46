-- What goes into an agent and what comes out of it. Gets `core`; adds `agent_request`, `agent_input`, `agent_output`,
-- `agent_limit`, `agent_options`.

local core = ...
local check_optional = core.check_optional
local type, next, error, ipairs, pcall = type, next, error, ipairs, pcall
local find = string.find
local json_parse = core.bind("json_parse")

local TEXT_KEYS = { "text", "prompt", "input", "instruction", "message", "query" }
local INPUT = core.key_set(TEXT_KEYS, { "parameters", "context", "output_modalities", "media", "image" })
local OPTIONS = core.key_set(core.sampling_options)

function core.agent_request(action, content)
  content.action = action
  return core.request("agent_request", content)
end

-- The fields of an execute request for a string or an input table.
function core.agent_input(input)
  if type(input) == "string" then
    return { input = input }
  end
  if type(input) ~= "table" then
    core.bad_argument(1, "agent.execute", "string or table", input)
  end
  if input.image ~= nil or type(input.media) == "table" and next(input.media) ~= nil then
    error("Component error: agents take text only in this version; leave out media and image", 0)
  end
  core.check_keys("agent.execute: input", input, INPUT)
  for _, key in ipairs(TEXT_KEYS) do
    if type(input[key]) == "string" then
      return {
        input = input[key],
        parameters = check_optional(1, "agent.execute: parameters", "table", input.parameters),
        context = check_optional(1, "agent.execute: context", "table", input.context),
      }
    end
  end
  error("Agent input requires 'text' field", 0)
end

-- The sampling options in a table of options, or nil.
function core.agent_options(options)
  if options == nil then
    return nil
  end
  core.check_keys("agent.execute", check_optional(2, "agent.execute", "table", options), OPTIONS)
  return core.sampling_of(options)
end

-- Whether a turn that ended like this has an answer.
local HAVE_ANSWER = { failed_calls = true }

-- What to raise for a turn that a limit ended before there was an answer, or nil.
function core.agent_limit(reply)
  if reply.limit == nil or HAVE_ANSWER[reply.limit] then
    return nil
  end
  local name = reply.agent and reply.agent.name or "?"
  return "Resource limit exceeded: the turn of agent '" .. name .. "' was ended by its " .. reply.limit
end

-- The output table for a reply; `took_ms` is how long the script waited for it.
function core.agent_output(reply, took_ms)
  local text = reply.text or ""
  local ended = core.agent_limit(reply)
  local usage, agent = reply.usage or {}, reply.agent or {}
  local took = took_ms // 1 | 0
  local output = {
    text = ended == nil and text or nil,
    finish_reason = reply.finish_reason,
    truncated = reply.truncated or false,
    content = ended == nil and text or nil,
    output = ended == nil and text or nil,
    success = ended == nil,
    error = ended and core.problem(ended, reply.limit),
    limit = reply.limit,
    dropped = reply.dropped,
    result = { content = text, model = reply.model, provider = reply.backend or agent.provider, usage = usage },
    metadata = {
      execution_time_ms = took,
      model = reply.model,
      provider = reply.backend or agent.provider,
      token_count = usage.completion_tokens,
      finish_reason = reply.finish_reason,
      extra = {},
    },
    media = {},
    tool_calls = reply.tool_calls or core.host.array {},
    duration_ms = took,
  }
  if ended == nil and find(text, "^%s*[%[{]") then
    local ok, value = pcall(json_parse, text)
    output.data = ok and value or nil
  end
  return output
end
