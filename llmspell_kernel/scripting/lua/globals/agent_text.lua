-- What goes into an agent and what comes out of it. Gets `core`; adds `agent_input`, `agent_output`, `agent_options`.

local core = ...
local check_optional = core.check_optional
local type, next, error, ipairs, pcall = type, next, error, ipairs, pcall
local find = string.find
local json_parse = core.bind("json_parse")

local TEXT_KEYS = { "text", "prompt", "input", "instruction", "message", "query" }
local INPUT = core.key_set(TEXT_KEYS, { "parameters", "context", "output_modalities", "media", "image" })
local OPTIONS = core.key_set(core.sampling_options)

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

-- The output table for a reply; `took_ms` is how long the script waited for it.
function core.agent_output(reply, took_ms)
  local text = reply.text or ""
  local usage, agent = reply.usage or {}, reply.agent or {}
  local took = took_ms // 1 | 0
  local output = {
    text = text,
    finish_reason = reply.finish_reason,
    truncated = reply.truncated or false,
    content = text,
    output = text,
    success = true,
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
    tool_calls = reply.message and reply.message.tool_calls or {},
    duration_ms = took,
  }
  if find(text, "^%s*[%[{]") then
    local ok, value = pcall(json_parse, text)
    output.data = ok and value or nil
  end
  return output
end
