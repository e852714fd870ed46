-- The standard streams as scripts see them: what they write and read. Gets `core`; adds to it.

local core = ...
local write, read_line = core.host.write, core.bind("read_line")

local error, type, tostring, tonumber, next = error, type, tostring, tonumber, next
local concat, pack, unpack = table.concat, table.pack, table.unpack
local find, gsub, match, sub, setmetatable = string.find, string.gsub, string.match, string.sub, setmetatable

-- The files that are no files of Lua's: true, or "closed".
core.streams = setmetatable({}, { __mode = "k" })

-- A stream of the output as scripts use files.
function core.stream_writer(stream)
  local file = setmetatable({}, { __name = "FILE*", __tostring = function() return "file (" .. stream .. ")" end })
  local methods = {}
  function methods.write(self, ...)
    local parts = pack(...)
    for i = 1, parts.n do
      local kind = type(parts[i])
      if kind ~= "string" and kind ~= "number" then
        core.bad_argument(i, "write", "string", parts[i])
      end
      parts[i] = tostring(parts[i])
    end
    write(stream, concat(parts, "", 1, parts.n))
    return file
  end
  function methods.flush() return file end
  function methods.setvbuf() return true end
  function methods.close() return nil, "standard streams stay open", 1 end
  for name, method in next, methods do
    file[name] = method
  end
  core.streams[file] = true
  return file
end

-- What `io.read` is for lines that `next_line` gives, at first the client's; what a format leaves of a line waits here.
function core.stream_reader(next_line, begun)
  local rest = begun
  next_line = next_line or read_line

  local function more()
    local line = next_line()
    if line ~= nil then
      rest = (rest or "") .. line .. "\n"
    end
    return line ~= nil
  end

  local function take(count)
    local taken = sub(rest, 1, count)
    rest = sub(rest, count + 1)
    if rest == "" then
      rest = nil
    end
    return taken
  end

  -- As Lua's own: spaces and ends of lines are passed over, and the longest beginning that can be of a number is taken,
  -- whether it is one or not.
  local function number()
    while rest == nil or find(rest, "^%s*$") do
      rest = nil
      if not more() then
        return nil
      end
    end
    take(find(rest, "%S") - 1)
    local text = match(rest, "^[+-]?0[xX]%x*%.?%x*[pP]?[+-]?%d*") or match(rest, "^[+-]?%d*%.?%d*[eE][+-]?%d*")
      or match(rest, "^[+-]?%d*%.?%d*")
    return tonumber(take(#text))
  end

  local function one(wanted)
    if type(wanted) == "number" then
      while #(rest or "") < wanted and more() do end
      return rest ~= nil and take(wanted) or wanted == 0 and "" or nil
    end
    core.check(1, "read", "string", wanted)
    local kind = sub(gsub(wanted, "^%*", ""), 1, 1)
    if kind == "a" then
      while more() do end
      return rest ~= nil and take(#rest) or ""
    end
    if kind == "n" then
      return number()
    elseif kind ~= "l" and kind ~= "L" then
      error("bad argument #1 to 'read' (invalid format)", 0)
    end
    if rest == nil and not more() then
      return nil
    end
    local stop = find(rest, "\n", 1, true) or #rest
    return kind == "L" and take(stop) or (gsub(take(stop), "\n$", ""))
  end

  return function(...)
    local formats = pack(...)
    if formats.n == 0 then
      return one("l")
    end
    local results = {}
    for i = 1, formats.n do
      results[i] = one(formats[i])
      if results[i] == nil then
        return unpack(results, 1, i)
      end
    end
    return unpack(results, 1, formats.n)
  end
end

local function prompted(name, hidden)
  return function(prompt)
    if type(prompt) == "number" then
      prompt = tostring(prompt)
    end
    return (read_line(core.check_optional(1, name, "string", prompt) or "", hidden))
  end
end

-- A line that a person types behind a prompt; nil at the end of input. What of a line `io.read` has left is its own.
core.input = prompted("input", false)
-- The same without showing what is typed.
core.getpass = prompted("getpass", true)
