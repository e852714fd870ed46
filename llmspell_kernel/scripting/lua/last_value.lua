-- Finds the last statement of a piece of code where that may be an expression, whose value a cell then shows. Reads
-- tokens only; whether what comes of it is Lua is for `load` to say. Gets `core`; adds `core.with_return` and
-- `core.KEEPS_CALL`.

local core = ...
local find, sub = string.find, string.sub

local function set(...)
  local result = {}
  for _, word in ipairs { ... } do
    result[word] = true
  end
  return result
end

local KEYWORDS = set("and", "break", "do", "else", "elseif", "end", "for", "function", "goto", "if", "in", "local", "not",
  "or", "repeat", "return", "then", "until", "while")
local OPENS = set("(", "{", "[", "function", "do", "if", "repeat")
local CLOSES = set(")", "}", "]", "end", "until")

-- Tokens that a statement can end with.
local ENDS = set("name", "constant", "string", ")", "]", "}", "end", ";", "::")
-- What stands here can't be called, indexed or put before an operator by what follows.
local CLOSED = set("constant", "end", ";", "::")
-- Tokens that begin an expression and go on with none.
local BEGINS = set("name", "constant", "not", "#", "function")
-- Tokens that begin an expression, and are arguments of a call behind what can be called.
local BEGINS_OR_GOES_ON = set("(", "{", "string")
-- Behind these a string is an argument.
local CALLABLE = set("name", ")", "]", "string")

-- The end of a long string or comment whose bracket begins at `at`; nil where there is no bracket.
local function long_end(source, at)
  local _, stop, level = find(source, "^%[(=*)%[", at)
  if stop == nil then
    return nil
  end
  local _, last = find(source, "]" .. level .. "]", stop + 1, true)
  return last or #source
end

local function quoted_end(source, at)
  local quote, from = sub(source, at, at), at + 1
  while true do
    local stop = find(source, "[\\" .. quote .. "]", from)
    if stop == nil then
      return #source
    elseif sub(source, stop, stop) == quote then
      return stop
    end
    from = stop + 2
  end
end

-- The kind of the token at `at`, and where it ends. A keyword or an operator is its own kind.
local function token(source, at)
  local _, stop = find(source, "^[%a_][%w_]*", at)
  if stop ~= nil then
    local word = sub(source, at, stop)
    if word == "nil" or word == "true" or word == "false" then
      return "constant", stop
    end
    return KEYWORDS[word] and word or "name", stop
  end
  if find(source, "^%.?%d", at) then
    local _, last = find(source, "^0[xX][%x%.]*", at)
    if last ~= nil then
      _, stop = find(source, "^[pP][+-]?%d+", last + 1)
    else
      _, last = find(source, "^[%d%.]+", at)
      _, stop = find(source, "^[eE][+-]?%d+", last + 1)
    end
    return "constant", stop or last
  end
  if find(source, "^[\"']", at) then
    return "string", quoted_end(source, at)
  end
  stop = long_end(source, at)
  if stop ~= nil then
    return "string", stop
  end
  if sub(source, at, at + 2) == "..." then
    return "constant", at + 2
  elseif sub(source, at, at + 1) == "::" then
    return "::", at + 1
  end
  return sub(source, at, at), at
end

-- Where the next token begins, behind spaces and comments; nil at the end.
local function next_token(source, at)
  while true do
    at = find(source, "%S", at)
    if at == nil or sub(source, at, at + 1) ~= "--" then
      return at
    end
    at = (long_end(source, at + 2) or (find(source, "\n", at, true) or #source)) + 1
  end
end

-- A local that is to be closed, though it is nil: a call behind `return` is no tail call then, of which a stack would show
-- nothing, and all of its values come back. Debuggers leave it out.
core.KEEPS_CALL = "llmspell_keeps_call"

-- The source with `return` before its last statement, twice: as it stands, and so that a call stays on the stack. Nil where
-- that statement can be no expression.
function core.with_return(source)
  local depth, before, begins, ends = 0, ";", nil, nil
  local at = next_token(source, 1)
  while at ~= nil do
    local kind, stop = token(source, at)
    if depth == 0 and ENDS[before]
      and (BEGINS[kind] or CLOSED[before] and BEGINS_OR_GOES_ON[kind] or (before == ";" or before == "::") and find(kind, "^[-~]$"))
    then
      begins = at
    end
    if OPENS[kind] then
      depth = depth + 1
    elseif CLOSES[kind] then
      depth = depth - 1
    end
    if kind ~= ";" then
      ends = stop
    end
    before = kind == "string" and not CALLABLE[before] and "constant" or kind
    at = next_token(source, stop + 1)
  end
  if begins == nil then
    return nil
  end
  -- What is behind the last token but semicolons is comments.
  local rest, last = sub(source, 1, begins - 1), sub(source, begins, ends)
  return rest .. "return " .. last, rest .. "local " .. core.KEEPS_CALL .. " <close> = nil return " .. last
end
