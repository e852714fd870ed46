-- Results and contexts as scripts see them: errors that can be used as texts, branches by number and by name.
-- Gets `core`; returns `decorated`, `context`.

local core = ...
local ipairs, next, rawequal, setmetatable, type = ipairs, next, rawequal, setmetatable, type

-- A list whose items are found by name too. `pairs` and JSON see the names, `ipairs` and `#` the list.
local function by_both(list)
  local named = {}
  for _, item in ipairs(list) do
    named[item.name] = item
  end
  return setmetatable(named, {
    __len = function()
      return #list
    end,
    __index = function(_, key)
      return list[key]
    end,
  })
end

local function problems_in(value)
  if type(value) == "table" and type(value.error) == "table" and type(value.error.message) == "string" then
    value.error = core.problem(value.error.message, value.error.code)
  end
end

local results = {}

-- The branches of a parallel workflow.
local function branches_of(list)
  for _, branch in ipairs(list) do
    problems_in(branch)
    for _, step in ipairs(branch.steps or {}) do
      problems_in(step)
    end
    if type(branch.steps) == "table" then
      branch.steps = by_both(branch.steps)
    end
  end
  return by_both(list)
end

-- A result, of a workflow or of a step, as the kernel gives it; also a list of branches.
function results.decorated(result)
  if result[1] ~= nil and type(result[1]) == "table" and result[1].steps ~= nil then
    return branches_of(result)
  end
  problems_in(result)
  for _, one in next, type(result.step_results) == "table" and result.step_results or {} do
    problems_in(one)
  end
  for _, one in next, type(result.steps) == "table" and result.steps or {} do
    problems_in(one)
  end
  if type(result.branches) == "table" then
    result.branches = branches_of(result.branches)
  end
  if type(result.result) == "table" and not rawequal(result.result, result) then
    results.decorated(result.result)
  end
  if result.metadata ~= nil then
    result._metadata = result.metadata
  end
  return result
end

-- What a function gets as `ctx`.
function results.context(context)
  for _, step in next, context.steps or {} do
    results.decorated(step)
  end
  if type(context.branch_results) == "table" then
    context.branch_results = branches_of(context.branch_results)
  end
  return context
end

return results
