-- Agent: models with a system prompt, a conversation and tools, as `agent_request`s. Gets `core`; returns the global.

local core = ...
local check, check_optional, check_keys = core.check, core.check_optional, core.check_keys
local error, ipairs, next, type = error, ipairs, next, type

local agent_request = core.agent_request

-- What of an agent's settings is this script's alone, by the agent's id.
local forgetful, declared = {}, {}

local SUMMARY = { "id", "name", "model", "provider", "description", "type" }
local METADATA = { "id", "name", "type", "model", "provider", "description", "turns", "messages", "created_at" }

local function picked(details, names)
  local some = {}
  for _, name in ipairs(names) do
    some[name] = details[name]
  end
  return some
end

local function about(agent, methods)
  function methods.get_info()
    local info = picked(agent.ask("info").agent, SUMMARY)
    local flat = picked(info, SUMMARY)
    flat.success, flat.result = true, info
    return flat
  end

  function methods.get_config()
    local config = agent.ask("info").agent
    for _, name in ipairs { "history", "summary", "turns", "messages", "busy", "created_at", "id", "members" } do
      config[name] = nil
    end
    return config
  end

  function methods.get_metadata()
    return picked(agent.ask("info").agent, METADATA)
  end

  function methods.destroy()
    agent.ask("delete")
    agent.destroyed = true
    forgetful[agent.id], declared[agent.id] = nil, nil
    core.forget_agent_notes(agent.id)
  end
end

local function instance(summary)
  local state = { id = summary.id, name = summary.name, remembers = not forgetful[summary.id], destroyed = false }
  function state.require_alive()
    if state.destroyed then
      error("Agent '" .. state.name .. "' has been destroyed", 0)
    end
  end
  function state.ask(action, content)
    state.require_alive()
    content = content or {}
    content.agent = state.id
    return agent_request(action, content)
  end

  local agent, methods = picked(summary, SUMMARY), {}
  agent.type, agent.success, agent.result = agent.type or "llm", true, agent
  core.agent_turns(state, methods)
  core.agent_tools(state, methods)
  core.agent_states(state, methods)
  core.agent_notes(state, methods)
  about(state, methods)
  return core.methods(agent, methods, "agent")
end

-- ## Making agents

local function build(settings)
  local summary = agent_request("create", core.agent_configuration(settings)).agent
  forgetful[summary.id] = settings.remember == false or nil
  declared[summary.id] = settings.capabilities[1] ~= nil and settings.capabilities or nil
  return instance(summary)
end

local function create(config)
  return build(core.agent_settings(check(1, "Agent.create", "table", config)))
end

-- The same, under another name than the table's where there is one.
local function create_named(name, config)
  local settings = core.agent_settings(config)
  settings.name = name or settings.name
  return build(settings)
end

local methods = core.agent_kinds(create_named, declared)
for name, fn in next, core.agent_shared do
  methods[name] = fn
end

methods.create = create
methods.createAsync = create -- synchronous like all calls, in spite of its name

function methods.builder()
  return core.agent_builder(build)
end

-- `(config)`, or `(name, config)`.
function methods.register(name, config)
  if type(name) == "table" then
    name, config = nil, name
  end
  check_optional(1, "Agent.register", "string", name)
  return create_named(name, check(2, "Agent.register", "table", config)).name
end

-- ## Agents that are there

function methods.get(name)
  local details = core.agent_found(check(1, "Agent.get", "string", name))
  return details and instance(details)
end

function methods.list()
  return agent_request("list", {}).agents
end

function methods.list_instances()
  local names = methods.list()
  for position, agent in ipairs(names) do
    names[position] = agent.name
  end
  return names
end

-- ## Agents of agents

-- An agent's id or name, from one of both or the agent itself.
local function named(where, position, agent)
  return check(position, where, "string", type(agent) == "table" and agent.id or agent)
end

local ROUTING = core.key_set { "strategy", "fallback_agent", "timeout_ms", "threshold", "execute", "description" }

local function routing_of(where, routing)
  if type(routing) == "string" then
    return { strategy = routing }
  elseif type(routing) == "function" then
    return { strategy = "custom", execute = routing }
  end
  routing = check_optional(3, where, "table", routing) or {}
  check_keys(where, routing, ROUTING)
  return routing
end

function methods.create_composite(name, agents, routing)
  local where = "Agent.create_composite"
  check(1, where, "string", name)
  local ids = {}
  for position, agent in ipairs(check(2, where, "table", agents)) do
    ids[position] = named(where .. ": agents", position, agent)
  end
  routing = routing_of(where, routing)
  local execute = check_optional(3, where .. ": execute", "function", routing.execute)
  return instance(agent_request("compose", {
    name = name,
    agents = core.host.array(ids),
    strategy = routing.strategy or execute and "custom" or nil,
    description = routing.description,
    execute = execute and core.offer(execute),
    fallback_agent = routing.fallback_agent and named(where .. ": fallback_agent", 3, routing.fallback_agent),
    threshold = routing.threshold,
    timeout_ms = routing.timeout_ms,
  }).agent)
end

local WRAPPED = core.key_set { "tool_name", "description", "category", "security_level" }

function methods.wrap_as_tool(agent, options)
  local where = "Agent.wrap_as_tool"
  options = check_optional(2, where, "table", options) or {}
  check_keys(where, options, WRAPPED)
  local content = { agent = named(where, 1, agent) }
  for name in next, WRAPPED do
    content[name] = check_optional(2, where .. ": " .. name, "string", options[name])
  end
  return agent_request("wrap", content).tool
end

return core.methods({}, methods)
