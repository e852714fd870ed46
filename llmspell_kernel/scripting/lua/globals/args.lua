-- ARGS and arg: the words that a script was started with. Gets `core`; adds `core.set_arguments`.

local core = ...
local find, match, gsub, sub = string.find, string.match, string.gsub, string.sub
local setmetatable, type, tostring, math_tointeger, tonumber = setmetatable, type, tostring, math.tointeger, tonumber

local function starts_option(word)
  return sub(word, 1, 2) == "--" and #word > 2
end

-- Sets both globals: `words` as they were given, `name` the script's.
function core.set_arguments(env, name, words)
  local positional, named = {}, {}
  local at, only_words = 1, false
  while at <= #words do
    local word = words[at]
    local key, value = match(word, "^%-%-([^=]+)=(.*)$")
    if only_words or not starts_option(word) then
      if word == "--" and not only_words then
        only_words = true
      else
        positional[#positional + 1] = word
      end
    elseif key ~= nil then
      named[key] = value
    elseif words[at + 1] ~= nil and sub(words[at + 1], 1, 2) ~= "--" then
      named[sub(word, 3)] = words[at + 1]
      at = at + 1
    else
      named[sub(word, 3)] = "true"
    end
    at = at + 1
  end

  local ARGS = {}
  for index, word in ipairs(positional) do
    ARGS[index] = word
  end
  for key, value in pairs(named) do
    ARGS[key] = value
  end
  -- Other spellings are found, but `pairs` shows each value once.
  env.ARGS = setmetatable(ARGS, {
    __index = function(_, key)
      if key == 0 or key == "0" then
        return name
      end
      if type(key) == "string" then
        local index = find(key, "^%d+$") and math_tointeger(tonumber(key))
        if index then
          return positional[index]
        end
        return named[(gsub(key, "_", "-"))]
      end
      return nil
    end,
  })

  local arg = { [0] = name }
  for index, word in ipairs(words) do
    arg[index] = word
  end
  env.arg = arg
end
