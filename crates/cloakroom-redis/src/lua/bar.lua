-- Makes every login of a principal fail that has begun and is not confirmed.
--
-- KEYS: the principal's seats. ARGV: an id that no other bar has.
redis.call('HSET', KEYS[1], '', ARGV[1])
if redis.call('HLEN', KEYS[1]) == 1 then redis.call('PEXPIRE', KEYS[1], 86400000) end
return 1
