-- Which modules' messages `Debug` writes. Read when it is first used. Gets `core`; returns the functions.

local core = ...
local check, error, find, gsub, sub, remove = core.check, error, string.find, string.gsub, string.sub, table.remove
local matches = core.bind("matches")
local journal, array = core.journal, core.host.array

local rules = {}
local default = true

-- What each kind of pattern means.
local KINDS = {}

function KINDS.exact(pattern)
  return function(module) return module == pattern end
end

-- `*` is any run of characters, `?` one.
function KINDS.wildcard(pattern)
  local escaped = gsub(pattern, "[%^%$%(%)%%%.%[%]%+%-]", "%%%0")
  local lua = "^" .. gsub(gsub(escaped, "%*", ".*"), "%?", ".") .. "$"
  return function(module) return find(module, lua) ~= nil end
end

function KINDS.regex(pattern)
  if matches(pattern, "") == nil then
    return nil
  end
  return function(module) return (matches(pattern, module)) end
end

-- A module and all that is below it: `app` is `app.db` too.
function KINDS.hierarchical(pattern)
  return function(module)
    return module == pattern or sub(module, 1, #pattern + 1) == pattern .. "."
  end
end

-- A message without a module is nobody's to filter; of the rules that fit, the one that was added last decides.
local function admits(module)
  if module == nil then
    return true
  end
  for at = #rules, 1, -1 do
    if rules[at].fits(module) then
      return rules[at].enabled
    end
  end
  return default
end

local function set()
  journal.admits = (#rules > 0 or not default) and admits or nil
end

local function removed(pattern)
  local found = false
  for at = #rules, 1, -1 do
    if rules[at].pattern == pattern then
      remove(rules, at)
      found = true
    end
  end
  return found
end

local function add(pattern, kind, enabled)
  local make = KINDS[kind]
  local fits = make and make(pattern)
  if fits == nil then
    return false
  end
  removed(pattern)
  rules[#rules + 1] = { pattern = pattern, kind = kind, enabled = enabled, fits = fits }
  set()
  return true
end

local methods = {}

function methods.addModuleFilter(pattern, enabled)
  check(1, "Debug.addModuleFilter", "string", pattern)
  add(pattern, find(pattern, "[%*%?]") and "wildcard" or "hierarchical", check(2, "Debug.addModuleFilter", "boolean", enabled))
end

function methods.addAdvancedFilter(pattern, kind, enabled)
  check(1, "Debug.addAdvancedFilter", "string", pattern)
  check(2, "Debug.addAdvancedFilter", "string", kind)
  return add(pattern, kind, check(3, "Debug.addAdvancedFilter", "boolean", enabled))
end

function methods.removeModuleFilter(pattern)
  local found = removed(check(1, "Debug.removeModuleFilter", "string", pattern))
  set()
  return found
end

function methods.clearModuleFilters()
  rules, default = {}, true
  set()
end

function methods.setDefaultFilterEnabled(on)
  default = check(1, "Debug.setDefaultFilterEnabled", "boolean", on)
  set()
end

function methods.getFilterSummary()
  local list = array {}
  for at, rule in ipairs(rules) do
    list[at] = { pattern = rule.pattern, pattern_type = rule.kind, enabled = rule.enabled }
  end
  return { default_enabled = default, total_rules = #rules, rules = list }
end

return methods
