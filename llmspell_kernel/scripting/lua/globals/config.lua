-- Config: the kernel's settings as a script may know them, and what it may change of them for itself. Read when it is
-- first used. Gets `core`; returns the functions.

local core = ...
local check, error, next, type, tostring = core.check, error, next, type, tostring
local find, sub, sort, remove = string.find, string.sub, table.sort, table.remove
local copy, array = core.deep_copy, core.host.array
local now_ms = core.bind("now_ms")

-- Asked for once an execution: a setting doesn't change in the middle of a script.
local settings, execution
-- What the script has set for providers, by name; it ends with the script's context.
local changes = {}
local MOST_SNAPSHOTS = 10
local snapshots = {}

function core.provider_changes()
  return changes
end

local function apply(providers)
  for name, changed in next, changes do
    for key, value in next, changed do
      if type(providers[name]) == "table" then
        providers[name][key] = copy(value)
      end
    end
  end
end

local function current()
  if execution ~= core.executions then
    settings = core.request("kernel_request", { action = "settings" }).settings
    apply(settings.providers)
    execution = core.executions
  end
  return settings
end

-- The value at a dotted path; names may have dots themselves, so the longest that fits is taken.
local function at(path)
  local here, rest = current(), path
  while rest ~= nil do
    if type(here) ~= "table" then
      return nil
    end
    local name = rest
    while here[name] == nil do
      local dot = find(name, "%.[^.]*$")
      if dot == nil then
        return nil
      end
      name = sub(name, 1, dot - 1)
    end
    rest = #name < #rest and sub(rest, #name + 2) or nil
    here = here[name]
  end
  return here
end

local function refuse(what)
  error("Security violation: " .. what, 0)
end

local methods = {}

function methods.get(path)
  if path == nil then
    return copy(current())
  end
  return copy(at(check(1, "Config.get", "string", path)))
end

function methods.getSection(name)
  local section = at(check(1, "Config.getSection", "string", name))
  return type(section) == "table" and copy(section) or nil
end

function methods.getTools()
  return copy(current().tools)
end

function methods.getDefaultEngine()
  return current().default_engine
end

function methods.listProviders()
  local names = array {}
  for name, table in next, current().providers do
    if type(table) == "table" then
      names[#names + 1] = name
    end
  end
  sort(names)
  return names
end

function methods.getProvider(name)
  local provider = current().providers[check(1, "Config.getProvider", "string", name)]
  return type(provider) == "table" and copy(provider) or nil
end

-- ## What scripts may do

function methods.getSecurity()
  local security = current().runtime.security
  return {
    allow_file_access = security.allow_file_access,
    allow_network_access = security.allow_network_access,
    allow_process_spawn = security.allow_process_spawn,
    max_memory_bytes = security.max_memory_bytes,
    max_execution_time_ms = security.max_execution_time_ms,
  }
end

function methods.isFileAccessAllowed()
  return current().runtime.security.allow_file_access
end

function methods.isNetworkAccessAllowed()
  return current().runtime.security.allow_network_access
end

function methods.isProcessSpawnAllowed()
  return current().runtime.security.allow_process_spawn
end

function methods.getPermissions()
  return {
    read = true, modify_providers = false, modify_tools = false, modify_runtime = false, modify_security = false,
    access_secrets = false,
  }
end

function methods.addAllowedPath(path)
  check(1, "Config.addAllowedPath", "string", path)
  refuse("a script can't widen what it may touch; run it with --allow-read=" .. path .. " or --allow-write=" .. path)
end

function methods.setSecurity()
  refuse("a script can't change what scripts may do; it is [runtime.security] of the configuration")
end

-- ## What it sets for itself

local OWN = core.key_set(core.sampling_options, { "default_model" })

function methods.setProvider(name, table)
  check(1, "Config.setProvider", "string", name)
  check(2, "Config.setProvider", "table", table)
  if type(current().providers[name]) ~= "table" then
    refuse("a script can't add providers, and '" .. name .. "' is not configured")
  end
  for key in next, table do
    if not OWN[key] then
      refuse("a script can't set '" .. tostring(key) .. "' of a provider; it can set default_model and sampling options")
    end
  end
  local changed = copy(changes[name] or {})
  for key, value in next, table do
    changed[key] = copy(value)
  end
  changes[name] = changed
  execution = nil
end

function methods.snapshot()
  local taken = now_ms()
  local last = snapshots[#snapshots]
  if last ~= nil and taken <= last.taken then
    taken = last.taken + 1
  end
  snapshots[#snapshots + 1] = { taken = taken, changes = copy(changes) }
  if #snapshots > MOST_SNAPSHOTS then
    remove(snapshots, 1)
  end
  return taken
end

function methods.restoreSnapshot(taken)
  check(1, "Config.restoreSnapshot", "number", taken)
  for _, one in next, snapshots do
    if one.taken == taken then
      changes, execution = copy(one.changes), nil
      return
    end
  end
  error("Snapshot not found: " .. tostring(taken), 0)
end

function methods.toJson()
  return core.json(current())
end

return methods
