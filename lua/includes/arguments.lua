-- arguments: parses arguments (nil if malformed), and builds the answer to a call with malformed ones.
local function number_at(index)
  local number = tonumber(ARGV[index])
  if number and number >= 0 and number < 2 ^ 53 and number % 1 == 0 then return number end
end

-- The last part of a key: 1 to 128 bytes without control characters.
local function is_id(text) return text and text ~= "" and #text <= 128 and not string.find(text, "%c") end

local function id_at(index) return is_id(ARGV[index]) and ARGV[index] end

-- The start of a page of ids: '-', or '(' and the id before the first one.
local function page_from(text) return text == "-" or string.find(text, "^[%(%[]") ~= nil end

local function bad_arguments(what) return {-5, what} end

-- True when ARGV holds `head` arguments followed by 1 to 10,000 whole groups of `stride`: the most tasks of a worker.
local function grouped(head, stride)
  local rest = #ARGV - head
  return rest > 0 and rest % stride == 0 and rest <= 10000 * stride
end
