-- The keys that tables of options may have, and what a misspelt one may have meant. Gets `core`; adds `check_keys` and
-- the names of the sampling options.

local core = ...
local nearest = core.bind("nearest")
local error, ipairs, next, pairs, tostring, type = error, ipairs, next, pairs, tostring, type
local concat, sort = table.concat, table.sort

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
  local said, unclear = {}, false
  for at, key in ipairs(wrong) do
    local meant = nearest(key, names)
    said[at] = "'" .. key .. "'" .. (meant and "; did you mean '" .. meant .. "'?" or "")
    unclear = unclear or not meant
  end
  local list = unclear and "; it has " .. concat(names, ", ") or ""
  error("Validation error: " .. name .. " has no option " .. concat(said, " and no ") .. list, 0)
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
