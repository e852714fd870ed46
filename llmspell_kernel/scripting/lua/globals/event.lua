-- Event: events of scripts, clients and the kernel, as `event_request`s. Gets `core`; returns the global.

local core = ...
local check, check_optional, check_keys, key_set = core.check, core.check_optional, core.check_keys, core.key_set
local request, type = core.request, type

local PUBLISHING = key_set { "language", "correlation_id", "ttl_seconds", "target_language", "metadata" }

local function ask(action, content)
  content.action = action
  return request("event_request", content)
end

local methods = {}

function methods.publish(event_type, data, options)
  check(1, "Event.publish", "string", event_type)
  options = check_optional(3, "Event.publish", "table", options) or {}
  check_keys("Event.publish", options, PUBLISHING)
  ask("publish", {
    event_type = event_type,
    data = data,
    language = options.language,
    correlation_id = options.correlation_id,
    ttl_s = options.ttl_seconds,
    target_language = options.target_language,
    metadata = options.metadata,
  })
  return true
end
methods.emit = methods.publish

function methods.subscribe(pattern, handler)
  check(1, "Event.subscribe", "string", pattern)
  local execute
  if type(handler) == "function" then
    execute = core.offer(handler)
  else
    check_optional(2, "Event.subscribe", "table", handler)
  end
  return ask("listen", { pattern = pattern, execute = execute }).subscription
end

function methods.receive(id, timeout_ms)
  check(1, "Event.receive", "string", id)
  check_optional(2, "Event.receive", "number", timeout_ms)
  return ask("receive", { subscription = id, timeout_ms = timeout_ms }).event
end

function methods.unsubscribe(id)
  return ask("unsubscribe", { subscription = check(1, "Event.unsubscribe", "string", id) }).removed
end

function methods.list_subscriptions()
  return ask("subscriptions", {}).subscriptions
end

local BRIDGE = key_set { "active_subscriptions", "subscriptions_by_language" }

function methods.get_stats()
  local bus, bridge = {}, {}
  for name, value in next, ask("stats", {}) do
    (BRIDGE[name] and bridge or bus)[name] = value
  end
  return { event_bus_stats = bus, bridge_stats = bridge }
end

return core.methods({}, methods)
