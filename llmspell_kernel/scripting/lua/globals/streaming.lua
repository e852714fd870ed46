-- Streaming: values one at a time, made by a coroutine. Gets `core`; returns the global and adds `core.stream`.

local core = ...
local resume, status, yield, isyieldable = coroutine.resume, coroutine.status, coroutine.yield, coroutine.isyieldable
local setmetatable, error = setmetatable, error

-- A stream over what `fn` yields; its own return value, if not nil, is the last item.
function core.stream(fn)
  local thread = core.create(fn)
  local stream, methods = {}, {}

  function methods.next()
    if status(thread) == "dead" then
      return nil
    end
    local ok, value = resume(thread)
    if not ok then
      core.raise_from(thread, value)
    end
    return value
  end

  function methods.isDone()
    return status(thread) == "dead"
  end

  function methods.collect()
    local items = {}
    while true do
      local value = methods.next()
      if value ~= nil then
        items[#items + 1] = value
      end
      if status(thread) == "dead" then
        return items
      end
    end
  end

  function methods.each(visit)
    core.check(1, "stream.each", "function", visit)
    while true do
      local value = methods.next()
      if value ~= nil and visit(value) == false then
        return
      end
      if status(thread) == "dead" then
        return
      end
    end
  end

  core.methods(stream, methods, "stream")
  return setmetatable(stream, { __call = function() return methods.next() end, __name = "stream" })
end

return core.methods({}, {
  create = function(fn)
    return core.stream(core.check(1, "Streaming.create", "function", fn))
  end,
  yield = function(value)
    if not isyieldable() then
      error("Streaming.yield was called outside of a stream", 0)
    end
    return yield(value)
  end,
})
