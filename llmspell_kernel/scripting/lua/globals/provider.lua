-- Provider: which providers are configured, and what they can do. No server is asked. Read when it is first used. Gets
-- `core`; returns the functions.

local core = ...
local check, ipairs, next, setmetatable = core.check, ipairs, next, setmetatable
local array = core.host.array

local ITEM = core.named_items("provider")

local function item(told)
  return setmetatable({
    name = told.name,
    type = told.type,
    enabled = told.enabled,
    available = told.available,
    reason = told.reason,
    default_model = told.default_model,
    capabilities = {
      supports_streaming = told.streaming,
      supports_multimodal = told.images,
      max_context_tokens = told.context_tokens,
      available_models = told.models,
    },
  }, ITEM)
end

local methods = {}

function methods.list()
  local items = array {}
  local changes = core.provider_changes and core.provider_changes() or {}
  for position, told in ipairs(core.request("model_request", { action = "providers" }).providers) do
    local changed = changes[told.name]
    if changed ~= nil and changed.default_model ~= nil then
      told.default_model = changed.default_model
    end
    items[position] = item(told)
  end
  return items
end

local function found(name)
  for _, one in next, methods.list() do
    if one.name == name then
      return one
    end
  end
  return nil
end

function methods.get(name)
  return found(check(1, "Provider.get", "string", name))
end

function methods.getCapabilities(name)
  local provider = found(check(1, "Provider.getCapabilities", "string", name))
  return provider and provider.capabilities
end

function methods.isAvailable(name)
  local provider = found(check(1, "Provider.isAvailable", "string", name))
  return provider ~= nil and provider.available
end

return methods
