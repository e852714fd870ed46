-- Events: one part of a script tells what has happened, others that want to know hear of it.
--   llmspell run examples/order_events.lua
-- While it runs, `llmspell events --follow 'order.*'` shows the same events wherever this user's kernel is reached.

-- A function is called with each event that fits, between the script's own calls.
local total = 0
Event.subscribe("order.paid", function(event)
  total = total + event.data.amount
end)

-- Without one, events wait until they are asked for: 1,000 at most, the newest.
local log = Event.subscribe("order.*")
-- The kernel tells what it does, too.
local work = Event.subscribe("tool.completed")

for number, price in ipairs { 12.5, 30, 7.25 } do
  local order = { number = number, amount = Tool.execute("calculator", { input = price .. " * 2" }).output }
  Event.publish("order.placed", order)
  Event.publish("order.paid", order, { ttl_seconds = 60 })
end

while true do
  local event = Event.receive(log, 0)
  if event == nil then
    break
  end
  print(("%s  order %d  %.2f"):format(event.event_type, event.data.number, event.data.amount))
end

local calls = 0
while Event.receive(work, 0) do
  calls = calls + 1
end
print(("%.2f paid; the calculator was called %d times"):format(total, calls))

Event.unsubscribe(log)
