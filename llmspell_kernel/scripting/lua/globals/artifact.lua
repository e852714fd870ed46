-- Artifact: contents that belong to a session, as `artifact_request`s. Read when it is first used. Gets `core`; returns
-- the functions.

local core = ...
local check, check_optional, check_keys, key_set = core.check, core.check_optional, core.check_keys, core.key_set
local error, ipairs, type = error, ipairs, type
local char, len, match, unpack = string.char, utf8.len, string.match, table.unpack
local base64, unbase64 = core.bind("to_base64"), core.bind("from_base64")
local try = core.try

core.part("session.lua")
local id_of = core.session_id

local SAID = { invalid_request = true, not_found = true, session_not_found = true }

local function ask(action, content)
  content.action = action
  local ok, reply, message, code = try("artifact_request", content)
  if ok then
    return reply
  end
  if SAID[code] then
    core.fail("Session error: " .. message)
  end
  error(reply, 0)
end

-- The session that is meant: the one that is named, or the script's current one.
local function session_of(name, value)
  if value ~= nil and value ~= "" then
    return id_of(name, value)
  end
  local current = core.current_session()
  if current == nil then
    error("No current session set", 0)
  end
  return current
end

-- The bytes of a content: a string, or a list of numbers.
local function bytes_of(content)
  if type(content) == "string" then
    return content
  end
  if type(content) ~= "table" or (next(content) ~= nil and content[1] == nil) then
    error("Content must be string or byte array", 0)
  end
  local parts = {}
  for at, byte in ipairs(content) do
    if math.type(byte) ~= "integer" or byte < 0 or byte > 255 then
      error("Content must be string or byte array", 0)
    end
    parts[at] = char(byte)
  end
  return table.concat(parts)
end

local function store(name, session, kind, title, content, metadata)
  if not match(check(2, name, "string", kind), "%S") then
    error("Artifact type cannot be empty", 0)
  end
  local wanted = { session = session_of(name, session), type = kind, name = title, metadata = metadata }
  if len(content) then
    wanted.content = content
  else
    wanted.content_base64 = base64(content)
  end
  return ask("store", wanted).id
end

local methods = {}

function methods.store(session, kind, title, content, metadata)
  check(3, "Artifact.store", "string", title)
  return store(
    "Artifact.store", session, kind, title, bytes_of(content), check_optional(5, "Artifact.store", "table", metadata))
end

function methods.store_file(session, path, kind, metadata)
  check(2, "Artifact.store_file", "string", path)
  check_optional(4, "Artifact.store_file", "table", metadata)
  local file, problem = core.open_file(path, "rb")
  if file == nil then
    error("Storage error: " .. problem, 0)
  end
  local content, why = file:read("a")
  file:close()
  if content == nil then
    error("Storage error: " .. path .. ": " .. why, 0)
  end
  return store("Artifact.store_file", session, kind, match(path, "([^/]+)/*$") or path, content, metadata)
end

-- What names an artifact: what `store` gave, its number, or its content's hash.
local function named(name, session, ref)
  if type(ref) == "table" then
    return {
      session = session_of(name, session or ref.session_id), sequence = ref.sequence, content_hash = ref.content_hash,
    }
  end
  if type(ref) == "number" then
    return { session = session_of(name, session), sequence = ref }
  end
  return { session = session_of(name, session), content_hash = check(2, name, "string", ref) }
end

function methods.get(session, ref)
  local reply = ask("get", named("Artifact.get", session, ref))
  return { metadata = reply.metadata, content = reply.content or unbase64(reply.content_base64) }
end

function methods.delete(session, ref)
  ask("delete", named("Artifact.delete", session, ref))
end

-- All artifacts that a query means, or `limit`: replies have some of them.
local function queried(content)
  local left = content.limit
  local found
  repeat
    local reply = ask("query", content)
    if found == nil then
      found = reply.artifacts
    else
      for _, one in ipairs(reply.artifacts) do
        found[#found + 1] = one
      end
    end
    content.after = reply.next
    if left ~= nil then
      left = left - reply.count
      content.limit = left
    end
  until content.after == nil or (left ~= nil and left <= 0)
  return found
end

function methods.list(session)
  return queried { session = session_of("Artifact.list", session) }
end

local QUERY = key_set {
  "session_id", "type", "name_pattern", "tags", "created_after", "created_before", "min_size", "max_size", "limit",
}

function methods.query(filter)
  filter = check_optional(1, "Artifact.query", "table", filter) or {}
  check_keys("Artifact.query", filter, QUERY)
  local content = {}
  for name in next, QUERY do
    content[name] = filter[name]
  end
  content.session_id = nil
  content.session = filter.session_id and session_of("Artifact.query: session_id", filter.session_id)
  return queried(content)
end

return methods
