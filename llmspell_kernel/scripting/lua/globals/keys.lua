-- The keys that tables of options may have, and what a misspelt one may have meant. Gets `core`; adds `check_keys` and
-- the names of the sampling options.

local core = ...
local nearest = core.bind("nearest")
local error, ipairs, next, pairs, tostring, type = error, ipairs, next, pairs, tostring, type
local sort = table.sort

-- The sampling options: numbers, and `stop`.
core.sampling_numbers = {
  "temperature", "top_p", "top_k", "min_p", "repeat_penalty", "repeat_last_n", "seed", "max_tokens", "num_ctx",
  "num_beams",
}
core.sampling_options = { "stop" }
for _, name in ipairs(core.sampling_numbers) do
  core.sampling_options[#core.sampling_options + 1] = name
end

-- A set of names, from lists of them.
function core.key_set(...)
  local set = {}
  for _, names in ipairs { ... } do
    for _, name in ipairs(names) do
      set[name] = true
    end
  end
  return set
end

-- Raises for a key of `options` that isn't in the set `known`; `name` is the function's.
function core.check_keys(name, options, known)
  local wrong = {}
  for key in next, options do
    if not known[key] then
      wrong[#wrong + 1] = tostring(key)
    end
  end
  if wrong[1] == nil then
    return
  end
  sort(wrong)
  local names = {}
  for key in pairs(known) do
    names[#names + 1] = key
  end
  sort(names)
  local meant = nearest(wrong[1], names)
  local hint = meant and "; did you mean '" .. meant .. "'?" or "; it has " .. table.concat(names, ", ")
  error("Validation error: " .. name .. " has no option '" .. wrong[1] .. "'" .. hint, 0)
end

local SAMPLING = core.key_set(core.sampling_options)

-- The sampling options among the keys of a table; `stop` may be one text.
function core.sampling_of(options)
  local found = {}
  for name in next, SAMPLING do
    found[name] = options[name]
  end
  if type(found.stop) == "string" then
    found.stop = { found.stop }
  end
  return found
end
