-- What agents can be made from, and what those that are there can do. Gets `core`; adds `agent_kinds(create)`, which
-- gives functions of `Agent`, and `agent_found`.

local core = ...
local check, check_optional = core.check, core.check_optional
local error, ipairs, next, type = error, ipairs, next, type
local sort = table.sort
local array, ask = core.host.array, core.agent_request

local KINDS = {
  llm = { description = "A model with a system prompt and a conversation", complexity = "Intermediate", required = {} },
  basic = { description = "Answers with its input", complexity = "Basic", required = {} },
  ["tool-orchestrator"] = {
    description = "A model that calls tools", complexity = "Advanced", required = { "tools" }, type = "llm",
  },
}
local COMPLEXITY = { llm = "Intermediate", basic = "Basic", composite = "Advanced" }

-- Everything about the agent that a name or an id means, or nil.
function core.agent_found(name)
  local ok, reply, _, code = core.try("agent_request", { action = "info", agent = name })
  if ok then
    return reply.agent
  end
  if code == "not_found" then
    return nil
  end
  error(reply, 0)
end

local function kind_names()
  local names = {}
  for name in next, KINDS do
    names[#names + 1] = name
  end
  sort(names)
  return array(names)
end

-- Keys that are refused: they are settings of providers.
local REFUSED = core.key_set { "base_url", "api_key" }

local function optional_keys(required)
  local names = {}
  for name in next, core.agent_keys do
    if name ~= required[1] and not REFUSED[name] then
      names[#names + 1] = name
    end
  end
  sort(names)
  return array(names)
end

local function capabilities_of(details)
  return {
    supports_streaming = true,
    supports_tools = #details.tools > 0,
    supports_context = true,
    supports_multimodal = false,
  }
end

-- The agents by name; of several with a name the newest, which holds it.
local function by_name()
  local found = {}
  for _, agent in ipairs(ask("list", {}).agents) do
    found[agent.name] = agent.id
  end
  return found
end

local function hierarchy(details)
  local children = {}
  for _, id in ipairs(details.members) do
    local member = core.agent_found(id)
    if member ~= nil then
      children[#children + 1] = hierarchy(member)
    end
  end
  return { name = details.name, type = details.type, id = details.id, children = array(children) }
end

-- `create(name, config)` makes an agent; `declared` has the capabilities that scripts gave agents, by id.
function core.agent_kinds(create, declared)
  local methods = {}

  function methods.discover()
    local kinds = kind_names()
    for position, name in ipairs(kinds) do
      kinds[position] = { type = name, description = KINDS[name].description }
    end
    return kinds
  end

  methods.list_templates = kind_names

  -- `(name, template, settings)`, or `(template, settings)`.
  function methods.create_from_template(name, template, settings)
    local where = "Agent.create_from_template"
    check(1, where, "string", name)
    if type(template) ~= "string" then
      name, template, settings = nil, name, template
    end
    local kind = KINDS[template]
    if kind == nil then
      error("Agent template '" .. template .. "' not found", 0)
    end
    local config = {}
    for key, value in next, check_optional(3, where, "table", settings) or {} do
      config[key] = value
    end
    if kind.required[1] ~= nil and config.tools == nil and config.allowed_tools == nil then
      error("Validation error: an agent of template '" .. template .. "' needs a list of tools", 0)
    end
    config.type, config.agent_type = kind.type or template, nil
    return create(name, config)
  end

  function methods.get_info(name)
    local kind = KINDS[check(1, "Agent.get_info", "string", name)]
    if kind ~= nil then
      return {
        name = name,
        description = kind.description,
        category = "agent",
        complexity = kind.complexity,
        required_parameters = array { kind.required[1] },
        optional_parameters = optional_keys(kind.required),
      }
    end
    local details = ask("info", { agent = name }).agent
    return {
      name = details.name,
      description = details.description,
      type = details.type,
      model = details.model,
      provider = details.provider,
      category = "agent",
      complexity = COMPLEXITY[details.type],
      required_parameters = array { "text" },
      optional_parameters = array { "context", "parameters" },
    }
  end

  function methods.get_details(name)
    return core.agent_found(check(1, "Agent.get_details", "string", name))
  end

  function methods.get_hierarchy(name)
    return { root = hierarchy(ask("info", { agent = check(1, "Agent.get_hierarchy", "string", name) }).agent) }
  end

  function methods.list_capabilities()
    local all = {}
    for name, id in next, by_name() do
      local details = core.agent_found(id)
      if details ~= nil then
        all[name] = {
          id = id,
          name = name,
          description = details.description,
          config = {
            system_prompt = details.system_prompt,
            temperature = details.options.temperature,
            max_tokens = details.options.max_tokens,
          },
          capabilities = capabilities_of(details),
        }
      end
    end
    return all
  end

  -- Agents that were given this capability, or have it: "tools", "streaming", "context".
  function methods.discover_by_capability(wanted)
    check(1, "Agent.discover_by_capability", "string", wanted)
    local names = {}
    for name, one in next, methods.list_capabilities() do
      local has = one.capabilities[wanted] or one.capabilities["supports_" .. wanted]
      for _, given in ipairs(declared[one.id] or {}) do
        has = has or given == wanted
      end
      if has then
        names[#names + 1] = name
      end
    end
    sort(names)
    return array(names)
  end

  return methods
end
