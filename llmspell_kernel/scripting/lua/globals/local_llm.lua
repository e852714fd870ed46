-- LocalLLM: models on this machine, as `model_request`s. Gets `core`; returns the global.

local core = ...
local check_keys, key_set = core.check_keys, core.key_set
local check, check_optional = core.check, core.check_optional
local find, gsub = string.find, string.gsub
local request, open, next_event, close = core.request, core.open, core.next_event, core.close
local unix_seconds = core.bind("unix_seconds")

local methods = core.local_llm_answers

local function model_request(action, content)
  content.action = action
  return request("model_request", content)
end

-- Without the backend an empty string or "all" means every one.
local function backend_or_nil(backend)
  if backend == "" or backend == "all" then
    return nil
  end
  return backend
end

local function health(name, state)
  local ready = state ~= nil and (state.running or state.ready) or false
  local result = { models = state and state.available_models or 0, version = state and state.version }
  result[name == "candle" and "ready" or "running"] = ready
  if not ready then
    result.error = state and state.reason or "Not configured"
  end
  if state ~= nil and not state.configured then
    result.error = "Not configured"
  end
  return result
end

function methods.status(backend)
  check_optional(1, "LocalLLM.status", "string", backend)
  local wanted = backend_or_nil(backend)
  local states = model_request("status", { backend = wanted }).backends or {}
  if wanted ~= nil then
    return health(wanted, states[wanted])
  end
  local result = {}
  for name, state in pairs(states) do
    result[name] = health(name, state)
  end
  for _, name in ipairs(core.local_backends) do
    result[name] = result[name] or health(name, nil)
  end
  return result
end

local function row(model)
  return {
    id = model.id,
    backend = model.backend,
    size_bytes = model.size_bytes,
    quantization = model.quantization,
    modified_at = model.modified_at and unix_seconds(model.modified_at),
  }
end

local ABSENT = { backend_not_configured = true, backend_unavailable = true, not_found = true, unavailable = true }

function methods.list(backend)
  check_optional(1, "LocalLLM.list", "string", backend)
  local ok, reply, _, code = core.try("model_request", { action = "list", backend = backend_or_nil(backend) })
  if not ok then
    if ABSENT[code] then
      return {}
    end
    error(reply, 0)
  end
  local result = {}
  for index, model in ipairs(reply.models or {}) do
    result[index] = row(model)
  end
  return result
end

local STATUS = { resolving = "starting", downloading = "downloading", verifying = "verifying", complete = "complete" }

local function with_backend(spec, backend)
  if backend ~= nil and not find(gsub(spec, "^.*/", ""), "@", 1, true) then
    return spec .. "@" .. backend
  end
  return spec
end

local function progress_row(spec, content)
  return {
    model_id = spec,
    status = STATUS[content.phase] or content.phase,
    percent_complete = content.percent_complete or 0,
    bytes_downloaded = content.bytes_downloaded or 0,
    bytes_total = content.bytes_total,
  }
end

-- Pulls, telling `visit` about the progress; a function that returns false cancels the pull.
local function pull_model(spec, visit)
  local id = open("model_request", { action = "pull", model = spec })
  while true do
    local kind, content, message, code = next_event(id)
    if kind == "reply" then
      return true, content
    elseif kind == "error" then
      return false, content, message, code
    elseif kind == "progress" and visit ~= nil and visit(progress_row(spec, content)) == false then
      close(id)
      return false, "Failed to pull model: cancelled by the script", "cancelled by the script", "cancelled"
    end
  end
end

local SPEAKS_FOR_ITSELF = { invalid_request = true, backend_not_configured = true, forbidden = true }

function methods.pull(spec, backend, visit)
  check(1, "LocalLLM.pull", "string", spec)
  if type(backend) == "function" then
    backend, visit = nil, backend
  end
  check_optional(2, "LocalLLM.pull", "string", backend)
  check_optional(3, "LocalLLM.pull", "function", visit)
  -- An address says by itself where the model comes from, and only candle reads those.
  local default = find(spec, "://", 1, true) == nil and find(spec, "^hf%.co/") == nil and "ollama" or nil
  local ok, reply, message, code = pull_model(with_backend(spec, backend or default), visit)
  if ok then
    return {
      model_id = reply.model_id,
      status = "complete",
      percent_complete = 100,
      bytes_downloaded = reply.bytes_downloaded,
      bytes_total = reply.bytes_total,
    }
  end
  if code == "checksum_mismatch" then
    return { model_id = spec, status = "failed", percent_complete = 0, bytes_downloaded = 0, error = message }
  end
  core.fail(SPEAKS_FOR_ITSELF[code] and message or "Failed to pull model: " .. message)
end

local INFO = {
  "id", "backend", "size_bytes", "format", "loaded", "parameter_count", "quantization", "context_length",
  "architecture", "path", "license", "family", "sha256", "capabilities",
}

-- As scripts expect them.
local FORMATS = { gguf = "GGUF", safetensors = "Safetensors" }

-- 135,000,000 as "135M": scripts expect a text.
local function count_text(count)
  if type(count) ~= "number" then
    return count
  end
  if count >= 1e9 then
    return (gsub(string.format("%.1fB", count / 1e9), "%.0B", "B"))
  end
  return string.format("%.0fM", count / 1e6)
end

function methods.info(id)
  local info = model_request("info", { model = check(1, "LocalLLM.info", "string", id) })
  local result = {}
  for _, key in ipairs(INFO) do
    result[key] = info[key]
  end
  result.parameter_count = count_text(info.parameter_count)
  result.format = FORMATS[info.format] or info.format
  result.modified_at = info.modified_at and unix_seconds(info.modified_at)
  return result
end

local LOAD = key_set { "keep_alive", "pin", "device", "speculation", "num_ctx" }

function methods.load(spec, options)
  check_optional(2, "LocalLLM.load", "table", options)
  local content = { model = check(1, "LocalLLM.load", "string", spec) }
  if options ~= nil then
    check_keys("LocalLLM.load", options, LOAD)
    content.keep_alive, content.pin, content.device = options.keep_alive, options.pin, options.device
    content.speculation, content.num_ctx = options.speculation, options.num_ctx
  end
  return model_request("load", content)
end

function methods.unload(spec)
  return model_request("unload", { model = check_optional(1, "LocalLLM.unload", "string", spec) })
end

function methods.ps()
  return model_request("ps", {})
end

function methods.remove(spec)
  return model_request("remove", { model = check(1, "LocalLLM.remove", "string", spec) })
end

return core.methods({}, methods)
