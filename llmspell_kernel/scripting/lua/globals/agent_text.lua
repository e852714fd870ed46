-- What goes into an agent and what comes out of it. Gets `core`; adds `agent_request`, `agent_input`, `agent_output`,
-- `agent_limit`, `agent_options`.

local core = ...
local check_optional = core.check_optional
local type, next, error, ipairs, pcall = type, next, error, ipairs, pcall
local check, check_keys, tostring = core.check, core.check_keys, tostring
local find, gsub, byte, sub, rep = string.find, string.gsub, string.byte, string.sub, string.rep
local open = io.open
local images_of
local json_parse = core.bind("json_parse")

local TEXT_KEYS = { "text", "prompt", "input", "instruction", "message", "query" }
local INPUT = core.key_set(TEXT_KEYS, { "parameters", "context", "output_modalities", "media", "image" })
local MEDIA = core.key_set { "type", "format", "base64", "path", "data", "mime_type", "metadata", "name" }
local OPTIONS = core.key_set(core.sampling_options)

function core.agent_request(action, content)
  content.action = action
  return core.request("agent_request", content)
end

local ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

local function base64(data)
  return (gsub(data, "..?.?", function(piece)
    local a, b, c = byte(piece, 1, 3)
    local bits = a << 16 | (b or 0) << 8 | (c or 0)
    local signs = ""
    for shift = 18, 0, -6 do
      local at = (bits >> shift & 63) + 1
      signs = signs .. sub(ALPHABET, at, at)
    end
    return sub(signs, 1, #piece + 1) .. rep("=", 3 - #piece)
  end))
end

local function contents_of(path)
  local file, problem = open(path, "rb")
  if file == nil then
    error(problem, 0)
  end
  local data = file:read("a")
  file:close()
  return data
end

-- A picture in base64: of a path, or of a table such as those in the `media` of a tool's output.
local function image_of(item)
  if type(item) == "string" then
    return base64(contents_of(item))
  end
  check_keys("agent.execute: media", check(1, "agent.execute: media", "table", item), MEDIA)
  if item.type ~= nil and item.type ~= "image" then
    error("Component error: agents are shown images only, not '" .. tostring(item.type) .. "'", 0)
  end
  if type(item.base64) == "string" then
    return item.base64
  end
  if type(item.path) == "string" then
    return base64(contents_of(item.path))
  end
  return base64(check(1, "agent.execute: media: path, base64 or data", "string", item.data))
end

-- The pictures of an input table, or nil.
function images_of(input)
  local media = check_optional(1, "agent.execute: media", "table", input.media) or {}
  if media.type ~= nil then
    media = { media }
  end
  local images = {}
  if input.image ~= nil then
    images[1] = image_of(input.image)
  end
  for _, item in ipairs(media) do
    images[#images + 1] = image_of(item)
  end
  return images[1] ~= nil and images or nil
end

-- The fields of an execute request for a string or an input table.
function core.agent_input(input)
  if type(input) == "string" then
    return { input = input }
  end
  if type(input) ~= "table" then
    core.bad_argument(1, "agent.execute", "string or table", input)
  end
  core.check_keys("agent.execute: input", input, INPUT)
  for _, key in ipairs(TEXT_KEYS) do
    if type(input[key]) == "string" then
      return {
        input = input[key],
        images = images_of(input),
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
