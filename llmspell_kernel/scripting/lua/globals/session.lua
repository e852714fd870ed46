-- Session: what is recorded, as `session_request`s. Read when it is first used. Gets `core`; returns the functions.

local core = ...
local check, check_optional, check_keys, key_set = core.check, core.check_optional, core.check_keys, core.key_set
local error, ipairs, tostring, type = error, ipairs, tostring, type
local match, try = string.match, core.try

local UUID = "^%x%x%x%x%x%x%x%x%-%x%x%x%x%-%x%x%x%x%-%x%x%x%x%-%x%x%x%x%x%x%x%x%x%x%x%x$"
local ABOUT = { session_not_found = true, invalid_request = true }

-- The reply's content; what is wrong with a session raises `Session error: …`.
local function ask(action, content)
  content.action = action
  local ok, reply, message, code = try("session_request", content)
  if ok then
    return reply
  end
  if ABOUT[code] then
    local text = "Session error: " .. message
    core.fail(text)
  end
  error(reply, 0)
end

local function id_of(name, value, position)
  check(position or 1, name, "string", value)
  if not match(value, UUID) then
    error("Invalid session ID: " .. value, 0)
  end
  return value
end
core.session_id = id_of

-- The session that the script has chosen, or nil.
function core.current_session()
  return ask("current", {}).session
end

-- A session as scripts see it.
local function metadata(session)
  return {
    id = session.id,
    name = session.name,
    description = session.description,
    tags = session.tags,
    status = session.status,
    kind = session.kind,
    created_at = session.created_at,
    updated_at = session.last_activity,
    parent_session_id = session.parent_session_id,
    custom_metadata = session.metadata,
    steps = session.steps,
    artifacts = session.artifacts,
  }
end

local methods = {}

local CREATE = key_set { "name", "description", "tags", "metadata", "parent_session_id" }

local function create(where, settings)
  settings = check_optional(1, where, "table", settings) or {}
  check_keys(where, settings, CREATE)
  return ask("create", {
    name = check_optional(1, where .. ": name", "string", settings.name),
    description = check_optional(1, where .. ": description", "string", settings.description),
    tags = check_optional(1, where .. ": tags", "table", settings.tags),
    metadata = check_optional(1, where .. ": metadata", "table", settings.metadata),
    parent = settings.parent_session_id and id_of(where .. ": parent_session_id", settings.parent_session_id),
  }).session.id
end

function methods.create(settings)
  return create("Session.create", settings)
end

function methods.get(id)
  local ok, reply, _, code = try("session_request", { action = "show", session = id_of("Session.get", id), steps = false })
  if ok then
    return metadata(reply.session)
  end
  if code == "session_not_found" then
    return nil
  end
  error(reply, 0)
end

local LIST = key_set { "status", "tags", "limit" }

function methods.list(filter)
  filter = check_optional(1, "Session.list", "table", filter) or {}
  check_keys("Session.list", filter, LIST)
  local found = ask("list", {
    status = check_optional(1, "Session.list: status", "string", filter.status),
    tags = check_optional(1, "Session.list: tags", "table", filter.tags),
    limit = check_optional(1, "Session.list: limit", "number", filter.limit),
  }).sessions
  for at, session in ipairs(found) do
    found[at] = metadata(session)
  end
  return found
end

for _, name in ipairs { "save", "complete", "suspend", "resume" } do
  methods[name] = function(id)
    ask(name, { session = id_of("Session." .. name, id) })
  end
end

function methods.delete(id)
  ask("delete", { session = id_of("Session.delete", id) })
end

-- A session that rests goes on; its id.
function methods.load(id)
  local session = ask("show", { session = id_of("Session.load", id), steps = false }).session
  if session.status == "suspended" then
    ask("resume", { session = id })
  end
  return session.id
end

function methods.get_current()
  return core.current_session()
end

function methods.set_current(id)
  ask("use", { session = id and id_of("Session.set_current", id) })
end
methods.setCurrent = methods.set_current

-- ## Replays

function methods.can_replay(id)
  return ask("replayable", { session = id_of("Session.can_replay", id) }).can_replay
end

function methods.list_replayable()
  local found = core.host.array {}
  for _, session in ipairs(ask("list", {}).sessions) do
    if ask("replayable", { session = session.id }).can_replay then
      found[#found + 1] = session.id
    end
  end
  return found
end

local REPLAY = key_set {
  "mode", "compare_results", "timeout_seconds", "stop_on_error", "metadata", "modifications", "from_step", "to_step",
}

function methods.replay(id, options)
  id_of("Session.replay", id)
  options = check_optional(2, "Session.replay", "table", options) or {}
  core.part("replay_parts.lua")
  options = core.replay_options(options) or options
  check_keys("Session.replay", options, REPLAY)
  local content = { session = id, mode = options.mode and tostring(options.mode), compare_results = false }
  for name in next, REPLAY do
    if name ~= "mode" and options[name] ~= nil then
      content[name] = options[name]
    end
  end
  local reply = ask("replay", content)
  local page, left = reply, content.timeout_seconds or 300
  while page.next ~= nil do
    left = left - page.total_duration_ms / 1000
    content.from_step, content.timeout_seconds = page.next, left > 0.001 and left or 0.001
    page = ask("replay", content)
    for _, step in ipairs(page.steps) do
      reply.steps[#reply.steps + 1] = step
    end
    for _, name in ipairs { "total_duration_ms", "successful_replays", "failed_replays" } do
      reply[name] = reply[name] + page[name]
    end
  end
  return {
    session_id = reply.session_id,
    correlation_id = reply.correlation_id,
    mode = reply.replay_mode,
    start_time = reply.start_time,
    total_duration = reply.total_duration_ms,
    hooks_replayed = #reply.steps,
    successful_replays = reply.successful_replays,
    failed_replays = reply.failed_replays,
    metadata = reply.metadata,
    steps = reply.steps,
  }
end

function methods.get_replay_metadata(id)
  local reply = ask("replayable", { session = id_of("Session.get_replay_metadata", id) })
  return {
    session_id = reply.session_id,
    can_replay = reply.can_replay,
    total_hooks = reply.total_steps,
    first_hook_timestamp = reply.first_timestamp,
    last_hook_timestamp = reply.last_timestamp,
    total_duration = reply.total_duration_ms,
  }
end

-- ## The builder

function methods.builder()
  local settings = {}
  local builder = {}
  local function sets(key, kind)
    return function(value)
      settings[key] = check(1, "builder." .. key, kind, value)
      return builder
    end
  end
  return core.methods(builder, {
    name = sets("name", "string"),
    description = sets("description", "string"),
    tags = sets("tags", "table"),
    tag = function(tag)
      local tags = settings.tags or {}
      tags[#tags + 1] = check(1, "builder.tag", "string", tag)
      settings.tags = tags
      return builder
    end,
    metadata = function(key, value)
      if type(key) == "table" then
        settings.metadata = key
      else
        settings.metadata = settings.metadata or {}
        settings.metadata[check(1, "builder.metadata", "string", key)] = value
      end
      return builder
    end,
    build = function()
      return create("Session.builder", settings)
    end,
  }, "session_builder")
end

return methods
