-- Workflow: steps in order, side by side, by condition or in rounds, as `workflow_request`s. Gets `core`; returns the
-- global. What stands behind its functions is long, and read when the first of them is called (`workflows/`).

local core = ...

local methods = {}

for _, name in ipairs {
  "builder", "sequential", "parallel", "conditional", "loop", "execute", "resume", "cancel", "list", "types",
  "discover_types", "register", "get", "remove", "clear", "to_json", "from_json",
} do
  methods[name] = function(...)
    return core.module("workflows/workflow.lua")[name](...)
  end
end

return core.methods({}, methods)
