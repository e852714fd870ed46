-- `os.execute` and `io.popen`: programs that a script may run by permission. Gets `core`; adds `core.add_programs`.

local core = ...
local check, check_optional = core.check, core.check_optional
local demand, run = core.bind("admit_program"), core.bind("run_program")
local concat, error, find, setmetatable, tostring, type = table.concat, error, string.find, setmetatable, tostring, type
local next, pcall = next, pcall

local function no_more()
  return nil
end

-- A file whose `close` gives how the program ended; what it prints is there when it has ended.
local function pipe(how, code, printed, on_close, pieces)
  local file = setmetatable({}, { __name = "FILE*", __tostring = function() return "file (program)" end })
  local read = core.stream_reader(no_more, printed ~= "" and printed or nil)
  local methods = {}

  local function alive()
    if core.streams[file] == "closed" then
      error("attempt to use a closed file", 0)
    end
  end

  function methods.read(_, ...)
    alive()
    return read(...)
  end

  function methods.lines(_, ...)
    alive()
    local formats = table.pack(...)
    return function() return read(table.unpack(formats, 1, formats.n)) end
  end

  function methods.write(self, ...)
    alive()
    if pieces == nil then
      return nil, "Bad file descriptor", 9
    end
    for _, piece in next, { ... } do
      if type(piece) ~= "string" and type(piece) ~= "number" then
        core.bad_argument(1, "write", "string", piece)
      end
      pieces[#pieces + 1] = tostring(piece)
    end
    return self
  end

  function methods.flush(self) return self end
  function methods.setvbuf() return true end

  function methods.close()
    alive()
    core.streams[file] = "closed"
    if on_close ~= nil then
      how, code = on_close()
    end
    if how == nil then
      return nil, code
    end
    return how == "exit" and code == 0 or nil, how, code
  end

  for name, method in next, methods do
    file[name] = method
  end
  core.streams[file] = true
  return file
end

function core.add_programs(env)
  function env.os.execute(command)
    check_optional(1, "execute", "string", command)
    if command == nil then
      return (demand(nil, "os.execute"))
    end
    local how, code = run(command, "os.execute", "", false)
    if how == nil then
      return nil, "exit", 127 -- As a shell says that there is no such program.
    end
    return how == "exit" and code == 0 or nil, how, code
  end

  function env.io.popen(command, mode)
    check(1, "popen", "string", command)
    mode = check_optional(2, "popen", "string", mode) or "r"
    if not find(mode, "^[rw]$") then
      error("bad argument #2 to 'popen' (invalid mode)", 0)
    end
    local allowed, refused = pcall(demand, command, "io.popen")
    if not allowed then
      return nil, refused, 13
    end
    if mode == "w" then
      local pieces = {}
      return pipe(nil, nil, "", function() return run(command, "io.popen", concat(pieces), false) end, pieces)
    end
    local how, code, printed = run(command, "io.popen", "", true)
    if how == nil then
      return nil, code, printed
    end
    return pipe(how, code, printed)
  end
end
