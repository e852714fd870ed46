-- LocalLLM's answers without an agent: chats, continued texts, embeddings. Gets `core`; adds `stream_reply` and `local_llm_answers`.

local core = ...
local check, check_optional, check_keys = core.check, core.check_optional, core.check_keys
local concat, error, ipairs, type = table.concat, error, ipairs, type
local json_parse, unpack_vectors = core.bind("json_parse"), core.bind("unpack_vectors")

local OF_EVERY_REQUEST = { "model", "schema", "device", "speculation" }
local CHAT = core.key_set(core.sampling_options, OF_EVERY_REQUEST, { "messages", "prompt", "system" })
local GENERATE = core.key_set(core.sampling_options, OF_EVERY_REQUEST, { "raw" })
local EMBED = core.key_set { "model", "normalize" }

-- The chunks of a delta: a piece of text, or a tool that a model called and that begins or has ended.
local function chunks_of(delta)
  local chunks = {}
  if delta.text ~= nil then
    chunks[1] = { text = delta.text, type = "text" }
  end
  if delta.tool ~= nil then
    chunks[#chunks + 1] = { text = "", type = "tool", tool = delta.tool }
  end
  return chunks
end

-- Runs a streamed request; `visit` gets each piece, and false from it ends the request. Returns the reply, or nil and
-- the text so far where `visit` has ended it; then how many pieces there were.
function core.stream_reply(msg_type, content, visit)
  content.stream = true
  local id = core.open(msg_type, content)
  local pieces, count = {}, 0
  while true do
    local kind, answer = core.next_event(id)
    if kind == "delta" then
      for _, chunk in ipairs(chunks_of(answer)) do
        count = count + 1
        pieces[count], chunk.index = chunk.text, count
        if visit(chunk) == false then
          core.close(id)
          return nil, concat(pieces), count
        end
      end
    elseif kind == "reply" then
      return answer, nil, count
    elseif kind == "error" then
      error(answer, 0)
    end
  end
end

local function content_of(name, options, known)
  check_keys(name, options, known)
  return {
    model = check_optional(1, name .. ": model", "string", options.model) or "",
    options = core.sampling_of(options),
    schema = core.schema_of(name .. ": schema", options.schema),
    device = options.device,
    speculation = options.speculation,
  }
end

local function result_of(reply, schema)
  local message = reply.message
  return {
    text = message.content,
    reasoning = message.reasoning,
    data = schema ~= nil and json_parse(message.content) or nil,
    finish_reason = reply.finish_reason,
    truncated = reply.truncated or false,
    model = reply.model,
    backend = reply.backend,
    usage = reply.usage,
    timings = reply.timings,
  }
end

local function answer(action, content, visit)
  content.action = action
  if visit == nil then
    content.stream = false
    return result_of(core.request("model_request", content), content.schema)
  end
  local reply, text = core.stream_reply("model_request", content, visit)
  if reply == nil then
    return { text = text, stopped = true, truncated = true }
  end
  return result_of(reply, content.schema)
end

local methods = {}

function methods.chat(request, visit)
  if type(request) == "string" then
    request = { prompt = request }
  end
  check(1, "LocalLLM.chat", "table", request)
  check_optional(2, "LocalLLM.chat", "function", visit)
  local content = content_of("LocalLLM.chat", request, CHAT)
  local messages = {}
  if request.system ~= nil then
    messages[1] = { role = "system", content = check(1, "LocalLLM.chat: system", "string", request.system) }
  end
  for _, message in ipairs(check_optional(1, "LocalLLM.chat: messages", "table", request.messages) or {}) do
    messages[#messages + 1] = message
  end
  if request.prompt ~= nil then
    local prompt = check(1, "LocalLLM.chat: prompt", "string", request.prompt)
    messages[#messages + 1] = { role = "user", content = prompt }
  end
  if request.prompt == nil and request.messages == nil then
    error("Validation error: LocalLLM.chat needs a prompt or messages", 0)
  end
  content.messages = messages
  return answer("chat", content, visit)
end

function methods.generate(prompt, options, visit)
  check(1, "LocalLLM.generate", "string", prompt)
  if type(options) == "function" then
    options, visit = nil, options
  end
  options = check_optional(2, "LocalLLM.generate", "table", options) or {}
  check_optional(3, "LocalLLM.generate", "function", visit)
  local content = content_of("LocalLLM.generate", options, GENERATE)
  content.prompt = prompt
  content.raw = check_optional(2, "LocalLLM.generate: raw", "boolean", options.raw) or false
  return answer("generate", content, visit)
end

local warned = {}

local function warn(text)
  if not warned[text] then
    warned[text] = true
    core.host.write("stderr", "warning: " .. text .. "\n")
  end
end

-- One vector for a text, a list of vectors for a list of texts; then what is known about them.
function methods.embed(texts, options)
  if type(options) == "string" then
    options = { model = options }
  end
  options = check_optional(2, "LocalLLM.embed", "table", options) or {}
  check_keys("LocalLLM.embed", options, EMBED)
  local single = type(texts) == "string"
  if not single and type(texts) ~= "table" then
    core.bad_argument(1, "LocalLLM.embed", "string or table", texts)
  end
  local reply = core.request("model_request", {
    action = "embed",
    input = single and { texts } or core.host.array(table.move(texts, 1, #texts, 1, {})),
    model = check_optional(2, "LocalLLM.embed: model", "string", options.model),
    normalize = options.normalize,
  })
  for _, text in ipairs(reply.warnings or {}) do
    warn(text)
  end
  local vectors = unpack_vectors(reply.buffers[1], reply.dimensions)
  reply.buffers, reply.shape, reply.dtype = nil, nil, nil
  return single and vectors[1] or vectors, reply
end

core.local_llm_answers = methods
