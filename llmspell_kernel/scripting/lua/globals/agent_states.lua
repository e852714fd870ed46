-- An agent's states and what is counted of it. Gets `core`; adds `agent_states`, which adds them to its methods.

local core = ...
local check_optional = core.check_optional
local ipairs = ipairs
local timestamp = core.bind("timestamp")

local STEPS = { "initialize", "start", "pause", "resume", "stop", "terminate", "recover" }

local function history_of(reply)
  local history = {}
  for position, step in ipairs(reply.history) do
    history[position] = {
      from = step.before,
      to = step.after,
      timestamp = step.timestamp,
      elapsed = step.elapsed_s,
      reason = step.reason,
    }
  end
  return core.host.array(history)
end

local function measures(agent, methods)
  function methods.get_metrics()
    return agent.ask("metrics")
  end

  function methods.get_health()
    local state = agent.ask("state")
    return {
      status = state.healthy and "Healthy" or "Unhealthy",
      message = not state.healthy and state.last_error or nil,
      timestamp = timestamp(),
    }
  end

  function methods.get_performance()
    local counted = agent.ask("metrics")
    return {
      total_executions = counted.requests_total,
      avg_execution_time_ms = counted.avg_execution_time_ms,
      success_rate = counted.success_rate,
      error_rate = counted.error_rate,
    }
  end
end

function core.agent_states(agent, methods)
  for _, step in ipairs(STEPS) do
    methods[step] = function()
      agent.ask("state", { operation = step })
    end
  end

  function methods.set_error(message)
    check_optional(1, "agent.set_error", "string", message)
    agent.ask("state", { operation = "fail", reason = message })
  end

  function methods.get_agent_state()
    return agent.ask("state").state
  end
  methods.get_state = methods.get_agent_state

  function methods.get_state_history()
    return history_of(agent.ask("state"))
  end

  function methods.get_state_metrics()
    local state = agent.ask("state")
    local last = state.history[#state.history]
    return {
      current_state = state.state,
      total_transitions = state.total_transitions,
      error_count = state.error_count,
      recovery_attempts = state.recovery_attempts,
      uptime = state.uptime_s,
      last_transition = last and last.timestamp,
      state_time_distribution = state.seconds_in_state,
    }
  end

  function methods.is_healthy()
    return agent.ask("state").healthy
  end

  function methods.get_last_error()
    return agent.ask("state").last_error
  end

  function methods.get_recovery_attempts()
    return agent.ask("state").recovery_attempts
  end

  measures(agent, methods)
end
