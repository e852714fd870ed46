-- Lua's library as scripts see it, by level: None, Basic, Standard, All. What a level doesn't have is nil.
-- Gets `core`; returns a function that fills an environment.

local core = ...
local host, native, bind = core.host, core.native, core.bind
local check, check_optional = core.check, core.check_optional

local error, type, tostring, load, pcall, next = error, type, tostring, load, pcall, next
local concat, pack, unpack = table.concat, table.pack, table.unpack
local find, gsub, format = string.find, string.gsub, string.format
local select, setmetatable, getmetatable, collectgarbage = select, setmetatable, getmetatable, collectgarbage
local open, lines, io_type, io_close = io.open, io.lines, io.type, io.close
local getinfo, traceback = debug.getinfo, debug.traceback

local RANKS = { None = 0, Basic = 1, Standard = 2, All = 3 }

local function copy(source)
  local result = {}
  for key, value in next, source do
    result[key] = value
  end
  return result
end

-- ## Always there

local write = host.write

-- Bytes go out as they are; what is not UTF-8 shows as a replacement character.
local function print_to_output(...)
  if select("#", ...) == 1 then -- most are
    write("stdout", tostring((...)) .. "\n")
    return
  end
  local parts = pack(...)
  for i = 1, parts.n do
    parts[i] = tostring(parts[i])
  end
  write("stdout", concat(parts, "\t", 1, parts.n) .. "\n")
end

local LANGUAGE = {
  "type", "tostring", "tonumber", "pairs", "ipairs", "next", "select", "error", "assert", "pcall", "xpcall",
  "setmetatable", "getmetatable", "rawget", "rawset", "rawlen", "rawequal", "_VERSION",
}

local function add_language(env)
  for _, name in next, LANGUAGE do
    env[name] = _G[name]
  end
  env._G = env
  env.print = print_to_output
end

-- ## Basic

-- `table.concat` that takes objects of ours which are a text where one is needed, such as those of `Tool.list()`.
local function concat_texts(list, separator, first, last)
  local ok, text = pcall(concat, list, separator, first, last)
  if ok then
    return text
  end
  if type(list) == "table" and find(text, "^invalid value") then
    local texts = {}
    for at = first or 1, last or #list do
      local item = list[at]
      texts[at] = core.text_kinds[getmetatable(item) or false] and tostring(item) or item
    end
    ok, text = pcall(concat, texts, separator, first or 1, last or #list)
    if ok then
      return text
    end
  end
  error((gsub(text, "'table%.concat'", "'concat'", 1)), 2)
end

local function add_basic(env)
  for _, name in next, { "string", "table", "math", "utf8", "coroutine" } do
    env[name] = copy(native[name])
  end
  env.table.concat = concat_texts
  env.math.pow = function(x, y) return x ^ y end -- gone in 5.4, still used
  env.coroutine.create, env.coroutine.wrap = core.create, core.wrap
  env.os = { time = native.os.time, clock = native.os.clock, date = native.os.date, difftime = native.os.difftime }
  local stdout = core.stream_writer("stdout")
  env.io = {
    write = function(...) return stdout:write(...) end,
    flush = function() return stdout end,
  }
  return stdout
end

-- ## Standard

local function load_for(env)
  return function(chunk, name, mode, ...)
    if mode ~= nil and not find(mode, "t", 1, true) then
      return nil, "attempt to load a text chunk (mode is '" .. tostring(mode) .. "')"
    end
    local scope = env
    if select("#", ...) > 0 then
      scope = ...
    end
    if name == nil and type(chunk) == "string" then
      name = chunk
    end
    return load(chunk, name, "t", scope)
  end
end

local read_module = bind("read_module")

local function loadfile_for(env)
  return function(path, mode, ...)
    check(1, "loadfile", "string", path)
    local read, source, name = pcall(read_module, path)
    if not read then
      return nil, source
    end
    local scope = env
    if select("#", ...) > 0 then
      scope = ...
    end
    return load(source, name, "t", scope)
  end
end

local function dofile_for(loadfile)
  return function(path)
    check(1, "dofile", "string", path)
    local chunk, problem = loadfile(path)
    if chunk == nil then
      error(problem, 0)
    end
    return chunk()
  end
end

local find_module = bind("find_module")

local function require_for(env, package)
  return function(name)
    check(1, "require", "string", name)
    local loaded = package.loaded[name]
    if loaded ~= nil then
      return loaded
    end
    local loader, origin = package.preload[name], ":preload:"
    if loader == nil then
      local source, problem, chunk_name, path = find_module(name, tostring(package.path))
      if source == nil then
        error(format("module '%s' not found:\n\tno field package.preload['%s']%s", name, name, problem), 0)
      end
      loader, problem = load(source, chunk_name, "t", env)
      if loader == nil then
        error(format("error loading module '%s':\n\t%s", name, problem), 0)
      end
      origin = path
    end
    local value = loader(name, origin)
    if value ~= nil then
      package.loaded[name] = value
    elseif package.loaded[name] == nil then
      package.loaded[name] = true
    end
    return package.loaded[name], origin
  end
end

local COLLECT = { collect = true, count = true, step = true, isrunning = true }

local function limited_collectgarbage(option, argument)
  option = option or "collect"
  if COLLECT[option] then
    return collectgarbage(option, argument)
  end
  return 0
end

local function filtered_traceback(thread, message, level)
  if type(thread) ~= "thread" then
    thread, message, level = nil, thread, message
  end
  if message ~= nil and type(message) ~= "string" and type(message) ~= "number" then
    return message
  end
  local text = thread and traceback(thread, "", level or 0) or traceback("", (level or 1) + 1)
  local trace = core.clean_trace(text)
  return message ~= nil and message .. "\n" .. trace or trace
end

local open_file, release_file = bind("open_file"), bind("release_file")
local remove, rename = bind("remove"), bind("rename")
local handles = setmetatable({}, { __mode = "k" })

-- Lua's own function for a file that was found by its descriptor, and so cannot be exchanged for another meanwhile.
local function opened(asker, path, mode, how, ...)
  local found, problem, code = open_file(path, mode, asker)
  if found == nil then
    return nil, problem, code
  end
  local results = pack(pcall(how, found, ...))
  release_file()
  if not results[1] then
    error(results[2], 0)
  end
  if results[2] == nil then
    return nil, (gsub(results[3], "^.-: ", function() return path .. ": " end, 1)), results[4]
  end
  return unpack(results, 2, results.n)
end

local function safe_open(path, mode)
  check(1, "open", "string", path)
  mode = check_optional(2, "open", "string", mode) or "r"
  if not find(mode, "^[rwa]%+?b*$") then
    error("bad argument #2 to 'open' (invalid mode)", 0)
  end
  local file, problem, code = opened("io.open", path, mode, open, mode)
  if file ~= nil then
    handles[file] = true
  end
  return file, problem, code
end

-- `io.open` as scripts have it, for our own globals.
core.open_file = safe_open

local function add_files(env)
  local io_read = env.io.read
  env.io.open = safe_open
  env.io.type = function(value)
    if core.streams[value] then
      return core.streams[value] == "closed" and "closed file" or "file"
    end
    return io_type(value)
  end
  env.io.close = function(file)
    if core.streams[file] then
      return file:close()
    end
    if io_type(file) == nil then
      core.bad_argument(1, "close", "FILE*", file)
    end
    return io_close(file)
  end
  env.io.lines = function(path, ...)
    if path == nil then
      local formats = pack(...)
      return function() return io_read(unpack(formats, 1, formats.n)) end
    end
    local next_line, problem, third, fourth = opened("io.lines", check(1, "lines", "string", path), "r", lines, ...)
    if next_line == nil then
      error(problem, 0)
    end
    return next_line, problem, third, fourth
  end
  env.os.remove = function(path) return remove(check(1, "remove", "string", path)) end
  env.os.rename = function(old, new)
    return rename(check(1, "rename", "string", old), check(2, "rename", "string", new))
  end
end

local exit, getenv, temporary_name = bind("exit"), bind("getenv"), bind("temporary_name")

local function add_standard(env, stdout)
  env.load = load_for(env)
  env.loadfile = loadfile_for(env)
  env.dofile = dofile_for(env.loadfile)
  env.package = { path = "", loaded = {}, preload = {}, config = "/\n;\n?\n!\n-\n" }
  env.require = require_for(env, env.package)
  for _, name in next, { "string", "table", "math", "utf8", "coroutine", "os", "io", "package" } do
    env.package.loaded[name] = env[name]
  end
  env.package.loaded._G = env
  env.collectgarbage = limited_collectgarbage
  env.debug = { traceback = filtered_traceback }
  env.os.exit = function(status) exit(status) end
  env.os.getenv = function(name)
    local value, refused = getenv(check(1, "getenv", "string", name))
    if refused ~= nil then
      return nil, refused
    end
    return value
  end
  env.os.tmpname = function() return (temporary_name()) end
  env.io.read = core.stream_reader()
  env.input, env.getpass = core.input, core.getpass
  env.io.stdout, env.io.stderr = stdout, core.stream_writer("stderr")
  env.io.stdin = {
    read = function(_, ...) return env.io.read(...) end,
    lines = function(_, ...) return env.io.lines(nil, ...) end,
    close = function() return nil, "standard streams stay open", 1 end,
  }
  core.streams[env.io.stdin] = true
  add_files(env)
  core.add_programs(env)
end

-- ## All

local FIELDS = { source = true, short_src = true, currentline = true, linedefined = true, lastlinedefined = true,
  what = true, name = true, namewhat = true }

local function limited_getinfo(thread, target, what)
  if type(thread) ~= "thread" then
    thread, target = nil, thread
  end
  if type(target) == "number" then
    target = target + (thread == nil and 1 or 0)
  end
  local info
  if thread ~= nil then
    info = getinfo(thread, target, "Sln")
  else
    info = getinfo(target, "Sln")
  end
  if info == nil then
    return nil
  end
  local result = {}
  for name in next, FIELDS do
    result[name] = info[name]
  end
  return result
end

local function add_all(env)
  env.debug.getinfo = limited_getinfo
end

-- What a script wrote reaches the disk when the script ends, however its process ends afterwards.
function core.flush_files()
  for file in next, handles do
    if io_type(file) == "file" then
      file:flush()
    end
  end
end

return function(env, level)
  local rank = RANKS[level]
  add_language(env)
  if rank >= 1 then
    local stdout = add_basic(env)
    if rank >= 2 then
      add_standard(env, stdout)
      if rank >= 3 then
        add_all(env)
      end
    end
  end
  return env
end
