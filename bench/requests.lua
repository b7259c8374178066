-- Sends what the file REQUESTS holds: whole HTTP requests, made before the run, each behind a line with its length.
-- One request alone is sent again and again, which costs wrk nothing; several are sent in turn, by each thread from
-- a place of its own.

local function read(path)
  local file, found = assert(io.open(path, "rb")), {}
  for length in function() return file:read("*n", "*l") end do
    found[#found + 1] = file:read(length)
  end
  file:close()
  return found
end

local requests = read(os.getenv("REQUESTS"))
local threads = 0

function setup(thread)
  thread:set("place", threads * 1009)
  threads = threads + 1
end

if #requests == 1 then
  wrk.format = function() return requests[1] end
else
  function request()
    place = place % #requests + 1
    return requests[place]
  end
end

-- The figures as one line, for a program to read.
function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    'FIGURES {"requests": %d, "seconds": %f, "mean_us": %f, "p50_us": %d, "p99_us": %d, "refused": %d, "broken": %d}\n',
    summary.requests, summary.duration / 1e6, latency.mean, latency:percentile(50), latency:percentile(99), errors.status,
    errors.connect + errors.read + errors.write + errors.timeout))
end
