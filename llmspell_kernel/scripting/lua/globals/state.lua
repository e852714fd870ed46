-- State: values that outlive the script, as `state_request`s. Gets `core`; returns the global.

local core = ...
local check, check_optional, check_keys, key_set = core.check, core.check_optional, core.check_keys, core.key_set
local error, ipairs, next, select, type = error, ipairs, next, select, type
local find = string.find
local try = core.bind("request_kept")

local function state_request(action, content)
  content.action = action
  local ok, reply = try("state_request", content)
  if not ok then
    error(reply, 0)
  end
  return reply
end

-- ## Entries

local OPTIONS = key_set { "ttl", "ttl_s" }

-- The seconds after which an entry is gone; `ttl` is the option without its unit.
local function ttl_of(position, name, options)
  check_keys(name, check_optional(position, name, "table", options) or {}, OPTIONS)
  if not options then
    return nil
  end
  local ttl_s = check_optional(position, name .. ": ttl_s", "number", options.ttl_s)
  return ttl_s or check_optional(position, name .. ": ttl", "number", options.ttl)
end

local function write(name, scope, key, value, options)
  check(1, name, "string", scope)
  check(2, name, "string", key)
  local ttl = ttl_of(4, name, options)
  if value == nil then
    state_request("delete", { scope = scope, key = key })
  else
    state_request("set", { scope = scope, key = key, value = value, ttl_s = ttl })
  end
  return true
end

local function read(name, scope, key)
  check(1, name, "string", scope)
  return state_request("get", { scope = scope, key = check(2, name, "string", key) }).entry
end

local function load(name, scope, key)
  local entry = read(name, scope, key)
  return entry and entry.value
end

local methods = {}

-- `set(key, value)`, or `set(scope, key, value[, options])`.
function methods.set(first, ...)
  if select("#", ...) >= 2 then
    return write("State.set", first, ...)
  end
  return write("State.set", "global", check(1, "State.set", "string", first), (...))
end

function methods.save(scope, key, value, options)
  return write("State.save", scope, key, value, options)
end

local function is_scope(text)
  return text == "global" or text == "custom" or find(text, "^%a+:.") ~= nil
end

-- `get(key[, default])`; `get(scope, key)` where the first is a scope, and has the key.
function methods.get(key, default)
  check(1, "State.get", "string", key)
  if type(default) == "string" and is_scope(key) and default ~= "" then
    local ok, reply = try("state_request", { action = "get", scope = key, key = default })
    if ok and reply.entry ~= nil then
      return reply.entry.value
    end
  end
  local entry = read("State.get", "global", key)
  if entry == nil then
    return default
  end
  return entry.value
end

function methods.load(scope, key)
  return load("State.load", scope, key)
end

-- Scope and key of `name(key)` and `name(scope, key)`.
local function place(name, first, second)
  check(1, name, "string", first)
  if second == nil then
    return "global", first
  end
  return first, check(2, name, "string", second)
end

function methods.delete(first, second)
  local scope, key = place("State.delete", first, second)
  return state_request("delete", { scope = scope, key = key }).deleted
end

function methods.exists(first, second)
  local scope, key = place("State.exists", first, second)
  return read("State.exists", scope, key) ~= nil
end

-- ## Several at once

-- `set_many(values)`, or `set_many(scope, values[, options])`.
function methods.set_many(first, values, options)
  local scope = "global"
  if type(first) == "table" then
    values, options = first, values
  else
    scope = check(1, "State.set_many", "string", first)
  end
  check(2, "State.set_many", "table", values)
  for key in next, values do
    check(2, "State.set_many: key", "string", key)
  end
  local ttl = ttl_of(3, "State.set_many", options)
  return state_request("set_many", { scope = scope, values = values, ttl_s = ttl }).count
end

-- Calls `take(reply)` for each page of an answer.
local function each_page(action, content, take)
  repeat
    local reply = state_request(action, content)
    take(reply)
    content.after = reply.after
  until reply.after == nil
end

local function list(action, field, scope)
  local found = {}
  each_page(action, { scope = scope }, function(reply)
    for _, one in ipairs(reply[field]) do
      found[#found + 1] = one
    end
  end)
  return core.host.array(found)
end

function methods.keys(scope)
  return list("keys", "keys", check_optional(1, "State.keys", "string", scope))
end

function methods.list_keys(scope)
  return list("keys", "keys", check_optional(1, "State.list_keys", "string", scope))
end

function methods.list_scopes()
  return list("scopes", "scopes")
end

function methods.all(scope)
  local found = {}
  each_page("show", { scope = check_optional(1, "State.all", "string", scope) }, function(reply)
    for _, entry in ipairs(reply.entries) do
      found[entry.key] = entry.value
    end
  end)
  return found
end

function methods.clear(scope)
  return state_request("clear", { scope = check_optional(1, "State.clear", "string", scope) }).count
end

-- ## Changes that depend on what is there

local ATTEMPTS = 1000
local sleep = core.bind("sleep")
local random = math.random

-- `update(key, fn)`, or `update(scope, key, fn[, options])`: `fn` gets the value, and what it returns is written where
-- no other has written meanwhile; else it is called again.
function methods.update(scope, key, fn, options)
  check(1, "State.update", "string", scope)
  if type(key) ~= "string" then
    scope, key, fn, options = "global", scope, check(2, "State.update", "function", key), fn
  end
  check(3, "State.update", "function", fn)
  local ttl = ttl_of(4, "State.update", options)
  for attempt = 1, ATTEMPTS do
    local entry = read("State.update", scope, key)
    local value = fn(entry and entry.value)
    local content = { scope = scope, key = key, version = entry and entry.version or 0 }
    if value == nil then
      content.action = "delete"
    else
      content.action, content.value, content.ttl_s, content.keep_ttl = "set", value, ttl, ttl == nil
    end
    local ok, reply, _, code = try("state_request", content)
    if ok then
      return value
    end
    if code ~= "conflict" then
      error(reply, 0)
    end
    -- Those that failed together try again one after another.
    sleep(random() * 0.001 * (attempt < 20 and attempt or 20))
  end
  error("Storage error: state key '" .. key .. "' was changed by others " .. ATTEMPTS .. " times in a row", 0)
end

-- ## Scopes by kind

function methods.agent_set(id, key, value)
  write("State.agent_set", "agent:" .. check(1, "State.agent_set", "string", id), key, value)
end

function methods.agent_get(id, key)
  return load("State.agent_get", "agent:" .. check(1, "State.agent_get", "string", id), key)
end

function methods.tool_set(id, key, value)
  write("State.tool_set", "tool:" .. check(1, "State.tool_set", "string", id), key, value)
end

function methods.tool_get(id, key)
  return load("State.tool_get", "tool:" .. check(1, "State.tool_get", "string", id), key)
end

function methods.workflow_get(id, step)
  return load("State.workflow_get", "workflow:" .. check(1, "State.workflow_get", "string", id), step)
end

function methods.workflow_list(id)
  return list("keys", "keys", "workflow:" .. check(1, "State.workflow_list", "string", id))
end

core.add_state_copies(methods, state_request)

return core.methods({}, methods)
