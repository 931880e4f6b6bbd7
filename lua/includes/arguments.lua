-- arguments: reads the arguments of a script, and refuses malformed ones.
--- @include "access"
--- @include "formats"
--- @include "begin"

-- The whole number in an argument; nil if it is malformed.
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

-- When a pushed task may start, in ms on the queue's clock (nil: now), given the sign and the number of its
-- line; and the moment on the server's clock, if it is one.
local function due_time(kind, number)
  if kind == "+" then return number > 0 and now_ms + number or nil end
  if kind == "@" and number > wall_ms then return number + shift_ms, number end
end

-- Whether the lines of parents in an argument are well-formed.
local function parents_at(index)
  local lines = "\n" .. ARGV[index] .. "\n"
  if ARGV[index] == "" then return true end
  if string.find(lines, "\n[^cr]") or string.find(lines, "\n[cr]\n") then return false end
  for line in string.gmatch(lines, "[^\n]+") do
    if #line > 129 then return false end
  end
  return true
end

-- Reads the two arguments of a task, from `first` on, as push.lua lists them; nil if they are malformed.
local DIGEST_SIZE = 8

-- Adds what the lines after the id say; false if one is malformed.
local function read_lines(t, lines)
  for line in string.gmatch(lines, "\n([^\n]*)") do
    local kind, text = string.sub(line, 1, 1), string.sub(line, 2)
    if kind == "c" or kind == "r" then
      if text == "" or #text > 128 then return false end
      t.parents[#t.parents + 1] = line
    elseif kind == "d" then
      local hash, ttl = string.match(string.find(text, " ") and text or text .. " 0", "^(%x+) (%d+)$")
      if t.dedup or not hash or #hash > 64 or #ttl > 15 then return false end
      t.dedup, t.dedup_ttl_ms = hash, tonumber(ttl)
    elseif kind == "+" or kind == "@" then
      if t.due or not string.find(text, "^%d+$") or #text > 15 then return false end
      t.due, t.due_number = kind, tonumber(text)
    else
      return false
    end
  end
  return true
end

local function task_at(first)
  local id, lines = string.match(ARGV[first], "^([^\n]*)(.*)$")
  local content = ARGV[first + 1]
  local t = {id = id, content = content, parents = {}}
  if not is_id(id) or not read_lines(t, lines) or #content < CONTENT_SIZE then return nil end
  local digest, owner
  t.prio, t.timeout, t.cost, digest, owner = struct.unpack(CONTENT, content)
  t.start = CONTENT_SIZE + digest + owner + 1 -- of the message
  t.size = #content - t.start + 1
  t.digest = string.sub(content, CONTENT_SIZE + 1, CONTENT_SIZE + digest)
  t.user = string.sub(content, CONTENT_SIZE + digest + 1, t.start - 1)
  local depends = t.parents[1] ~= nil
  t.heir = t.prio == 0 or t.user == ""
  if digest ~= DIGEST_SIZE or t.size < 0 or t.prio > 6 or (t.heir and not depends)
    or not (t.user == "" or is_id(t.user)) or not whole(t.timeout) or not (t.cost == -1 or whole(t.cost)) then
    return nil
  end
  return t
end
