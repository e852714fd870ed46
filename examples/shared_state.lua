-- Several scripts that change one value, an entry that expires, and a backup that is restored.
--   llmspell run examples/shared_state.lua
-- `update` is one step: run this in several terminals at once, and no visit is lost.
local visits = State.update("visits", function(count)
  return (count or 0) + 1
end)
print("visits: " .. visits)

-- A scope of its own, and a value that is gone after an hour.
State.save("user:ada", "token", "s3cret", { ttl_s = 3600 })
print("token: " .. tostring(State.load("user:ada", "token")))

-- Many values in one step: all of them, or none.
local prices = {}
for number = 1, 100 do
  prices["item_" .. number] = number * 1.5
end
print("prices: " .. State.set_many("prices", prices))

local backup = State.create_backup("before")
State.clear("prices")
print("cleared: " .. #State.keys("prices"))
assert(State.validate_backup(backup.backup_id).is_valid)
State.restore_backup(backup.backup_id)
print("restored: " .. #State.keys("prices"))
