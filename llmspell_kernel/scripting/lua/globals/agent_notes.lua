-- What a script notes about an agent: values, lines in the log, alerts. Gets `core`; adds `agent_notes`, which adds them
-- to an agent's methods.

local core = ...
local check, check_optional = core.check, core.check_optional
local error, next, type = error, next, type
local log, keep = core.bind("log"), core.bind("request_kept")

local ALERT = core.key_set { "name", "severity", "condition", "cooldown_seconds", "enabled" }
local SEVERITIES = core.key_set { "info", "warning", "error", "critical" }

-- The alerts of each agent, by its id: another object of the same agent has them, too.
local alerts = {}

local function alert_of(given)
  local name = "agent.configure_alerts"
  core.check_keys(name, check(1, name, "table", given), ALERT)
  local alert = {
    name = check(1, name .. ": name", "string", given.name),
    severity = check_optional(1, name .. ": severity", "string", given.severity) or "warning",
    condition = check_optional(1, name .. ": condition", "table", given.condition),
    cooldown_seconds = check_optional(1, name .. ": cooldown_seconds", "number", given.cooldown_seconds) or 300,
    enabled = given.enabled ~= false,
  }
  if not SEVERITIES[alert.severity] then
    error("Validation error: severity must be info, warning, error or critical, not '" .. alert.severity .. "'", 0)
  end
  return alert
end

function core.agent_notes(agent, methods)
  -- Into State, where `State.agent_get(name, key)` finds them: beyond the script's end, as `save_state`.
  function methods.set_state(values)
    agent.require_alive()
    check(1, "agent.set_state", "table", values)
    for key in next, values do
      check(1, "agent.set_state: key", "string", key)
    end
    local content = { action = "set_many", scope = "agent:" .. agent.name, values = values }
    local ok, reply = keep("state_request", content)
    if not ok then
      error(reply, 0)
    end
  end

  function methods.logEvent(kind, message)
    agent.require_alive()
    check(1, "agent.logEvent", "string", kind)
    log("INFO", check(2, "agent.logEvent", "string", message), "agent." .. agent.name, { event = kind })
  end

  -- An alert of the same name takes the place of the one before.
  function methods.configure_alerts(given)
    agent.require_alive()
    local alert, own = alert_of(given), alerts[agent.id] or {}
    local position = #own + 1
    for at = 1, #own do
      if own[at].name == alert.name then
        position = at
      end
    end
    own[position] = alert
    alerts[agent.id] = own
  end

  function methods.get_alerts()
    agent.require_alive()
    local own, copy = alerts[agent.id] or {}, {}
    for at = 1, #own do
      copy[at] = {}
      for key, value in next, own[at] do
        copy[at][key] = value
      end
    end
    return core.host.array(copy)
  end

  methods.get_bridge_metrics = methods.get_metrics
end

function core.forget_agent_notes(id)
  alerts[id] = nil
end
