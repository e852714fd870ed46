-- What agents share: contexts with parents, and memory by scope. Gets `core`; adds `agent_shared`, functions of `Agent`.

local core = ...
local check, check_optional, check_keys = core.check, core.check_optional, core.check_keys
local ipairs, type = ipairs, type

local ask = core.agent_request
local methods = {}

local STRINGS = { "context", "parent", "inheritance", "conversation_id", "user_id", "session_id" }
local CONTEXT = core.key_set(STRINGS, { "scope", "data" })

-- `(settings)`, or `(id, data)`.
function methods.create_context(settings, data)
  if type(settings) == "string" then
    settings = { context = settings, data = check_optional(2, "Agent.create_context", "table", data) }
  end
  settings = check_optional(1, "Agent.create_context", "table", settings) or {}
  check_keys("Agent.create_context", settings, CONTEXT)
  local content = { scope = settings.scope, data = settings.data }
  for _, name in ipairs(STRINGS) do
    content[name] = check_optional(1, "Agent.create_context: " .. name, "string", settings[name])
  end
  return ask("context_create", content).context
end

function methods.create_child_context(parent, scope, inheritance)
  local content = { parent = check(1, "Agent.create_child_context", "string", parent), scope = scope }
  content.inheritance = check_optional(3, "Agent.create_child_context", "string", inheritance)
  return ask("context_create", content).context
end

function methods.update_context(id, key, value)
  check(1, "Agent.update_context", "string", id)
  ask("context_set", { context = id, key = check(2, "Agent.update_context", "string", key), value = value })
end

function methods.get_context_data(id, key)
  check(1, "Agent.get_context_data", "string", id)
  return ask("context_get", { context = id, key = check(2, "Agent.get_context_data", "string", key) }).value
end

function methods.remove_context(id)
  ask("context_remove", { context = check(1, "Agent.remove_context", "string", id) })
end

local SCOPE = core.key_set { "type", "id" }

local function scope_of(name, scope)
  if type(scope) == "string" then
    return { type = scope }
  end
  check_keys(name, check(1, name, "table", scope), SCOPE)
  return { type = scope.type, id = scope.id }
end

function methods.set_shared_memory(scope, key, value)
  local name = "Agent.set_shared_memory"
  ask("memory_set", { scope = scope_of(name, scope), key = check(2, name, "string", key), value = value })
end

function methods.get_shared_memory(scope, key)
  local name = "Agent.get_shared_memory"
  return ask("memory_get", { scope = scope_of(name, scope), key = check(2, name, "string", key) }).value
end

core.agent_shared = methods
