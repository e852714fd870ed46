-- The builder of workflows: settings step by step, one definition at the end. Gets `core`; returns what makes one.

local core = ...
local check, check_optional, bad_argument = core.check, core.check_optional, core.bad_argument
local error, next, type = error, next, type
local objects = core.module("workflows/objects.lua")

-- What the steps that were added are, by the workflow's type.
local STEPS = { sequential = "steps", parallel = "steps", conditional = "pre_steps", loop = "body" }

local function definition_of(settings)
  local kind = settings.type
  if kind == nil then
    error("Workflow type not specified", 0)
  end
  local config = {}
  for key, value in next, settings.plain do
    config[key] = value
  end
  config.name = settings.plain.name or kind .. "_workflow"
  local steps = settings.steps
  if settings.pre[1] ~= nil or settings.post[1] ~= nil then
    steps = {}
    for _, list in next, { settings.pre, settings.steps, kind ~= "parallel" and settings.post or {} } do
      for _, step in next, list do
        steps[#steps + 1] = step
      end
    end
  end
  if kind == "parallel" then
    config.post_steps = settings.post[1] ~= nil and settings.post or nil
  end
  config[STEPS[kind]] = steps
  if kind == "conditional" then
    if settings.condition ~= nil or settings.then_steps[1] ~= nil then
      config.condition = settings.condition
      config.then_branch = settings.then_steps
      config.else_branch = settings.else_steps[1] ~= nil and settings.else_steps or nil
    elseif settings.else_steps[1] ~= nil then
      config.default_branch = settings.else_steps
    end
  elseif kind == "loop" then
    config.condition = settings.condition
  end
  if settings.branches[1] ~= nil then
    config.branches = settings.branches
  end
  return kind, config
end

return function()
  local settings = {
    plain = {}, steps = {}, then_steps = {}, else_steps = {}, pre = {}, post = {}, branches = {}, condition = nil, type = nil,
  }
  local builder, methods = {}, {}

  local function setter(name, key, expected)
    methods[name] = function(value)
      settings.plain[key] = check(1, "builder." .. name, expected, value)
      return builder
    end
  end
  setter("name", "name", "string")
  setter("description", "description", "string")
  setter("timeout_ms", "timeout_ms", "number")
  setter("max_concurrency", "max_concurrency", "number")
  setter("max_iterations", "max_iterations", "number")
  setter("initial_state", "initial_state", "table")
  setter("checkpoint", "checkpoint", "boolean")
  setter("fail_fast", "fail_fast", "boolean")
  for _, name in next, { "on_start", "on_complete", "on_error", "on_timeout", "on_step_start", "on_step_complete", "on_iteration_complete" } do
    setter(name, name, "function")
  end

  for _, kind in next, { "sequential", "parallel", "conditional", "loop" } do
    methods[kind] = function()
      settings.type = kind
      return builder
    end
  end
  methods.loop_workflow = methods.loop

  local function adder(name, list)
    methods[name] = function(step)
      list[#list + 1] = check(1, "builder." .. name, "table", step)
      return builder
    end
  end
  adder("add_step", settings.steps)
  adder("add_then_step", settings.then_steps)
  adder("add_else_step", settings.else_steps)
  adder("pre_step", settings.pre)
  adder("post_step", settings.post)

  function methods.condition(condition)
    if condition == nil then
      bad_argument(1, "builder.condition", "table, function or string", condition)
    end
    settings.condition = condition
    return builder
  end

  -- `(name, steps)`, `(condition, steps)`, or `(name, condition, steps)`.
  function methods.add_branch(first, second, third)
    local name, condition, steps = first, nil, second
    if type(first) ~= "string" then
      name, condition = nil, first
    elseif third ~= nil then
      condition, steps = second, third
    end
    settings.branches[#settings.branches + 1] = {
      name = name, condition = condition, steps = check(2, "builder.add_branch", "table", steps),
    }
    return builder
  end

  -- The end is not one of the values here; in tables it is.
  function methods.with_range(start, stop, step)
    if type(start) == "table" then
      start, stop, step = start.start or start[1], start["end"] or start.stop or start[2], start.step or start[3]
    end
    settings.plain.range = {
      start = check(1, "builder.with_range", "number", start),
      ["end"] = check(2, "builder.with_range", "number", stop),
      step = check_optional(3, "builder.with_range", "number", step) or 1,
      exclusive = true,
    }
    return builder
  end

  function methods.with_collection(items)
    if type(items) ~= "function" then
      check(1, "builder.with_collection", "table", items)
    end
    settings.plain.collection = items
    return builder
  end

  function methods.with_while(condition)
    if condition == nil then
      bad_argument(1, "builder.with_while", "function or string", condition)
    end
    settings.plain.iterator = { while_condition = condition }
    return builder
  end
  methods.loop_condition = methods.with_while

  function methods.state_update(update)
    settings.plain.state_update = update
    return builder
  end

  function methods.error_strategy(strategy)
    if type(strategy) ~= "string" then
      check(1, "builder.error_strategy", "table", strategy)
    end
    settings.plain.error_strategy = strategy
    return builder
  end

  function methods.set_shared_data(key, value)
    check(1, "builder.set_shared_data", "string", key)
    settings.plain.shared_data = settings.plain.shared_data or {}
    settings.plain.shared_data[key] = value
    return builder
  end

  function methods.build()
    local kind, config = definition_of(settings)
    return objects.made(kind, config, "builder")
  end

  return core.methods(builder, methods, "workflow_builder")
end
