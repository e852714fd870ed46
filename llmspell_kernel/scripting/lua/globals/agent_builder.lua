-- What an agent is made from: the builder's rows, the forms of a configuration table, and the request they become.
-- Gets `core`; adds `agent_builder`, `agent_settings`, `agent_configuration`.

local core = ...
local check, check_optional, bad_argument = core.check, core.check_optional, core.bad_argument
local type, next, error, tostring, ipairs = type, next, error, tostring, ipairs
local array = core.host.array
local find, match, gsub, sub = string.find, string.match, string.gsub, string.sub

local NUMBERS, OPTIONS = core.sampling_numbers, core.key_set(core.sampling_options)

local LIMITS = { "max_execution_time_secs", "max_memory_mb", "max_tool_calls", "max_recursion_depth" }

local LOCAL_BACKENDS = {}
for _, name in ipairs(core.local_backends) do
  LOCAL_BACKENDS[name] = true
end

-- A model's name as the kernel reads it, from the pieces that scripts give.
local function model_spec(model, provider, backend)
  if model == nil then
    return nil
  end
  if provider ~= nil and find(model, "/", 1, true) == nil and find(model, "@", 1, true) == nil then
    if LOCAL_BACKENDS[provider] then
      backend = backend or provider
    else
      model = provider .. "/" .. model
    end
  end
  if backend ~= nil and find(gsub(model, "^.*/", ""), "@", 1, true) == nil then
    model = model .. "@" .. backend
  end
  return model
end

-- What the kernel cannot honour is refused, not forgotten.
local function refuse_missing(settings)
  for _, name in ipairs { "base_url", "api_key" } do
    if settings[name] ~= nil then
      error("Component error: " .. name .. " of an agent can't be set from a script in this version; "
        .. "set it for the provider in the configuration", 0)
    end
  end
end

-- What the script has set for a provider (`Config.setProvider`), where the agent names it and sets nothing itself.
local function fill_from_provider(settings)
  local changed = core.provider_changes and core.provider_changes()[settings.provider]
  if changed == nil then
    return
  end
  for name, value in next, changed do
    if OPTIONS[name] and settings.options[name] == nil then
      settings.options[name] = value
    end
  end
  settings.model = settings.model or changed.default_model
end

-- The content of `agent_request` create.
function core.agent_configuration(settings)
  refuse_missing(settings)
  if settings.provider ~= nil then
    fill_from_provider(settings)
  end
  local limits = settings.limits
  return {
    name = settings.name,
    type = settings.type == "basic" and "basic" or nil,
    model = model_spec(settings.model, settings.provider, settings.backend),
    -- Alone it means that provider's default model; "local" means whatever the default is.
    provider = settings.model == nil and settings.provider ~= "local" and settings.provider or nil,
    description = settings.description,
    system_prompt = settings.system_prompt,
    options = settings.options,
    schema = settings.schema,
    device = settings.device,
    speculation = settings.speculation,
    max_conversation_length = settings.max_conversation_length,
    max_conversation_tokens = settings.max_conversation_tokens,
    summarize = settings.summarize,
    max_execution_time_s = limits.max_execution_time_secs,
    max_tokens_total = settings.max_tokens_total,
    tools = settings.tools and settings.tools[1] and array(settings.tools) or nil,
    tool_mode = settings.tool_mode,
    max_tool_calls = limits.max_tool_calls,
    max_recursion_depth = limits.max_recursion_depth,
  }
end

local function empty_settings()
  return { options = {}, limits = {}, capabilities = {} }
end

local LIMIT_KEYS = core.key_set(LIMITS)

-- A limit as the builder's methods and keys beside `resource_limits` name it.
local LIMIT_METHODS = {
  max_execution_time = "max_execution_time_secs", max_memory_mb = "max_memory_mb", max_tool_calls = "max_tool_calls",
  max_recursion_depth = "max_recursion_depth",
}

local function set_limits(settings, limits)
  core.check_keys("resource_limits", limits, LIMIT_KEYS)
  for _, name in ipairs(LIMITS) do
    if limits[name] ~= nil then
      settings.limits[name] = check(1, "resource_limits." .. name, "number", limits[name])
    end
  end
end

-- Values here fill what isn't set otherwise; what is no option of ours is the provider's business, which has none yet.
local function set_custom(settings, custom)
  for key, value in next, custom do
    if OPTIONS[key] then
      if settings.options[key] == nil then
        settings.options[key] = value
      end
    elseif key == "system_prompt" or key == "max_conversation_length" then
      if settings[key] == nil then
        settings[key] = value
      end
    else
      core.host_log("DEBUG", "Agent: custom_config." .. tostring(key) .. " has no meaning for this provider")
    end
  end
end

local function provider_name(value)
  if type(value) == "table" then
    value = value.name
  end
  if type(value) ~= "string" then
    bad_argument(1, "provider", "string", value)
  end
  return value
end

-- The names of tools, from a list of names and of tools.
local function tool_names(where, list)
  local names = {}
  for position, one in ipairs(list) do
    names[position] = check(position, where, "string", type(one) == "table" and one.name or one)
  end
  return names
end

local STRING_KEYS = {
  "name", "description", "system_prompt", "backend", "base_url", "api_key", "device", "speculation", "tool_mode",
}
local NUMBER_KEYS = { "max_conversation_length", "max_conversation_tokens", "max_tokens_total" }
local CONFIG = core.key_set(STRING_KEYS, NUMBER_KEYS, core.sampling_options, LIMITS, {
  "provider", "type", "agent_type", "model", "schema", "stream", "memory_enabled", "summarize", "tools",
  "allowed_tools", "capabilities", "context_window", "max_execution_time", "resource_limits", "custom_config",
})
core.agent_keys = CONFIG
local MODEL = core.key_set(core.sampling_options, { "provider", "model_id", "name", "model", "settings" })

-- Settings from a configuration table: flat, or nested with a table under `model`.
function core.agent_settings(config)
  core.check_keys("Agent.create", config, CONFIG)
  local settings = empty_settings()
  for _, name in ipairs(STRING_KEYS) do
    if config[name] ~= nil then
      settings[name] = check(1, "Agent.create: " .. name, "string", config[name])
    end
  end
  settings.provider = config.provider ~= nil and provider_name(config.provider) or nil
  settings.type = config.agent_type or config.type
  settings.schema = core.schema_of("Agent.create: schema", config.schema)
  settings.stream, settings.remember = config.stream, config.memory_enabled
  for _, name in ipairs(NUMBER_KEYS) do
    settings[name] = check_optional(1, "Agent.create: " .. name, "number", config[name])
  end
  settings.summarize = check_optional(1, "Agent.create: summarize", "boolean", config.summarize)
  local tools = check_optional(1, "Agent.create: tools", "table", config.allowed_tools or config.tools)
  settings.tools = tools and tool_names("Agent.create: tools", tools)
  settings.capabilities = config.capabilities or {}
  settings.options = core.sampling_of(config)
  settings.options.num_ctx = settings.options.num_ctx or config.context_window
  local model = config.model
  if type(model) == "table" then
    core.check_keys("Agent.create: model", model, MODEL)
    if type(model.settings) == "table" then
      core.check_keys("Agent.create: model.settings", model.settings, OPTIONS)
    end
    settings.provider = settings.provider or model.provider
    settings.model = model.model_id or model.name or model.model
    for name in next, OPTIONS do
      local value = model[name]
      if value == nil and type(model.settings) == "table" then
        value = model.settings[name]
      end
      if settings.options[name] == nil then
        settings.options[name] = value
      end
    end
  elseif model ~= nil then
    settings.model = check(1, "Agent.create: model", "string", model)
  end
  for name, key in next, LIMIT_METHODS do
    settings.limits[key] = check_optional(1, "Agent.create: " .. name, "number", config[name])
  end
  if config.max_execution_time_secs ~= nil then
    set_limits(settings, { max_execution_time_secs = config.max_execution_time_secs })
  end
  if config.resource_limits ~= nil then
    set_limits(settings, check(1, "Agent.create: resource_limits", "table", config.resource_limits))
  end
  if config.custom_config ~= nil then
    set_custom(settings, check(1, "Agent.create: custom_config", "table", config.custom_config))
  end
  return settings
end

-- ## The builder: one row a method; each returns the builder

local STRINGS = { "name", "description", "type", "model", "system_prompt", "base_url", "api_key", "device", "speculation",
  "backend", "tool_mode" }
local function simple_rows(settings, row)
  for _, name in ipairs(STRINGS) do
    row(name, "string", function(value) settings[name] = value end)
  end
  for _, name in ipairs(NUMBERS) do
    row(name, "number", function(value) settings.options[name] = value end)
  end
  for name, key in next, LIMIT_METHODS do
    row(name, "number", function(value) settings.limits[key] = value end)
  end
  row("context_window", "number", function(value) settings.options.num_ctx = value end)
  for _, name in ipairs(NUMBER_KEYS) do
    row(name, "number", function(value) settings[name] = value end)
  end
  row("summarize", "boolean", function(value) settings.summarize = value end)
  row("stream", "boolean", function(value) settings.stream = value end)
  row("memory_enabled", "boolean", function(value) settings.remember = value end)
  row("resource_limits", "table", function(value) set_limits(settings, value) end)
  row("capability", "string", function(value) settings.capabilities[#settings.capabilities + 1] = value end)
end

local function tool_rows(settings, methods, builder)
  local function add(where, list)
    settings.tools = settings.tools or {}
    for _, name in ipairs(tool_names(where, list)) do
      settings.tools[#settings.tools + 1] = name
    end
    return builder
  end
  for _, name in ipairs { "allow_tool", "tool" } do
    methods[name] = function(one)
      return add(name, { one == nil and bad_argument(1, name, "string", nil) or one })
    end
  end
  for _, name in ipairs { "allowed_tools", "tools" } do
    methods[name] = function(list)
      return add(name, check(1, name, "table", list))
    end
  end
end

-- A new builder; `build(settings)` makes the agent.
function core.agent_builder(build)
  local settings, custom = empty_settings(), nil
  local builder, methods = {}, {}

  local function row(name, kind, set)
    methods[name] = function(value)
      set(check(1, name, kind, value))
      return builder
    end
  end

  simple_rows(settings, row)
  tool_rows(settings, methods, builder)
  row("custom_config", "table", function(value) custom = value end)

  function methods.schema(value)
    settings.schema = core.schema_of("schema", value)
    return builder
  end

  function methods.provider(value)
    settings.provider = provider_name(value)
    return builder
  end

  function methods.stop(value)
    if type(value) == "string" then
      value = { value }
    end
    settings.options.stop = check(1, "stop", "table", value)
    return builder
  end

  function methods.build()
    if custom ~= nil then
      set_custom(settings, custom)
    end
    if settings.model == nil and settings.provider == nil and settings.type ~= "basic" then
      error("Model is required", 0)
    end
    return build(settings)
  end

  return core.methods(builder, methods, "builder")
end
