-- The health of a HorizontalPodAutoscaler. It may lack metrics for five minutes, as after a rollout, before it is degraded.
local patience = 300

local function seconds_since(timestamp)
  local year, month, day, hour, minute, second = string.match(timestamp, "(%d+)-(%d+)-(%d+)T(%d+):(%d+):(%d+)")
  local time = {
    year = tonumber(year), month = tonumber(month), day = tonumber(day),
    hour = tonumber(hour), min = tonumber(minute), sec = tonumber(second),
  }
  -- Both times are read as local ones, so their difference is right in every time zone.
  return os.time(os.date("!*t")) - os.time(time)
end

if obj.status == nil or obj.status.conditions == nil then
  return { status = "Progressing", message = "Waiting for the autoscaler" }
end
for _, condition in ipairs(obj.status.conditions) do
  if condition.status == "False" then
    if condition.type == "AbleToScale" then
      return { status = "Degraded", message = condition.message }
    end
    if condition.type == "ScalingActive" and condition.reason ~= "ScalingDisabled" then
      if seconds_since(condition.lastTransitionTime) > patience then
        return { status = "Degraded", message = condition.message }
      end
      return { status = "Healthy", message = "Waiting for metrics: " .. condition.message }
    end
  end
end
return { status = "Healthy", message = "The autoscaler works" }
