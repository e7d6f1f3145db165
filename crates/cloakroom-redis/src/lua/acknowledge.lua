-- Forgets an ending.
--
-- KEYS: the bucket's leases, its endings. ARGV: the key's bytes.
redis.call('ZREM', KEYS[1], ARGV[1])
return redis.call('HDEL', KEYS[2], ARGV[1])
