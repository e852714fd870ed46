-- Comm: messages to and from frontends, as Jupyter's comms. Gets `core`; returns the functions of the global.

local core = ...
local check, check_optional, check_keys, key_set = core.check, core.check_optional, core.check_keys, core.key_set
local show, uuid, has_frontend = core.bind("show"), core.bind("uuid"), core.bind("has_frontend")
local error, next, type, setmetatable, getmetatable, sort = error, next, type, setmetatable, getmetatable, table.sort
local format = string.format

-- As many as the kernel keeps of one script, those that frontends have opened for it among them.
local MOST_OPEN = 10000

local open, targets = {}, {}
local opened = 0
local dispatcher

local comm = { __name = "comm", __index = {} }

function comm.__tostring(one)
  return "comm " .. one.target .. " " .. one.id
end

local function made(id, target)
  local one = setmetatable({ id = id, target = target, open = true }, comm)
  core.kinds[one] = "comm"
  open[id] = one
  opened = opened + 1
  return one
end

local function ended(one)
  one.open, open[one.id] = false, nil
  opened = opened - 1
end

local callbacks = setmetatable({}, { __mode = "k" })

-- What the kernel calls with everything that frontends say.
local function take(event, id, target, data, buffers)
  if event == "open" then
    local one = made(id, target)
    local heard = targets[target]
    if heard ~= nil then
      heard(one, data, buffers)
    end
    return
  end
  local one = open[id]
  if one == nil then
    return
  end
  local its = callbacks[one] or {}
  if event == "close" then
    ended(one)
    if its.close ~= nil then
      its.close(data, buffers)
    end
  elseif its.message ~= nil then
    its.message(data, buffers)
  end
end

local function tell(kind, content, buffers)
  if not has_frontend() then
    error("Comm: comms need a frontend; a script that is run by a command has none", 0)
  end
  if dispatcher == nil then
    dispatcher = core.offer(take)
    content.fn = dispatcher
  end
  show(kind, content, buffers)
end

local OPTIONS = key_set { "buffers", "metadata" }

local function optional(name, position, options)
  options = check_optional(position, name, "table", options) or {}
  check_keys(name, options, OPTIONS)
  check_optional(position, name, "table", options.buffers)
  check_optional(position, name, "table", options.metadata)
  return options
end

local function self_of(name, one)
  if type(one) ~= "table" or getmetatable(one) ~= comm then
    error("call it with a colon: comm:" .. name .. "(…)", 0)
  end
  return one
end

function comm.__index.send(one, data, options)
  self_of("send", one)
  options = optional("comm:send", 2, options)
  if not one.open then
    error("comm:send: the comm is closed", 0)
  end
  tell("comm_msg", { comm_id = one.id, data = data, metadata = options.metadata }, options.buffers)
  return one
end

function comm.__index.close(one, data)
  self_of("close", one)
  if one.open then
    ended(one)
    tell("comm_close", { comm_id = one.id, data = data })
  end
end

local function hear(name, event)
  comm.__index[name] = function(one, fn)
    self_of(name, one)
    callbacks[one] = callbacks[one] or {}
    callbacks[one][event] = check_optional(1, "comm:" .. name, "function", fn)
    return one
  end
end

hear("on_msg", "message")
hear("on_close", "close")

local Comm = {}

function Comm.new(target, data, options)
  check(1, "Comm.new", "string", target)
  options = optional("Comm.new", 3, options)
  if opened >= MOST_OPEN then
    error(format("Validation error: %d comms are open already; close those that are not needed", MOST_OPEN), 0)
  end
  local id = uuid()
  tell("comm_open", { comm_id = id, target_name = target, data = data, metadata = options.metadata }, options.buffers)
  return made(id, target)
end

function Comm.register_target(name, fn)
  check(1, "Comm.register_target", "string", name)
  check(2, "Comm.register_target", "function", fn)
  tell("comm_target", { target_name = name, registered = true })
  targets[name] = fn
end

function Comm.unregister_target(name)
  check(1, "Comm.unregister_target", "string", name)
  targets[name] = nil
  tell("comm_target", { target_name = name, registered = false })
end

function Comm.list()
  local found = {}
  for _, one in next, open do
    found[#found + 1] = one
  end
  sort(found, function(a, b) return a.id < b.id end)
  return found
end

return Comm
