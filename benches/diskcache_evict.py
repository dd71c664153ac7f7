"""The steady state of a full python-diskcache, or of its successor diskcache-community; prints the seconds of the timed puts.

Run by `cargo bench --bench evict`, with: folder, bytes of a value, count, `synchronous` of
SQLite. Eviction policy and `cull_limit` are the defaults. As in the other caches, keys are
the SHA-256 of the value, computed on the clock.
"""

import hashlib
import random
import sys
import time

try:
    import diskcache_community as diskcache
except ImportError:
    import diskcache

folder, size, count, synchronous = sys.argv[1], *map(int, sys.argv[2:5])
limit = 4 * count * size
cache = diskcache.Cache(folder, size_limit=limit, sqlite_synchronous=synchronous, timeout=600)
rng = random.Random(1)


def put(value):
    cache.set(hashlib.sha256(value).hexdigest(), value)


# More than fits, because the limit counts pages and keys, too.
for _ in range(0, 4 * count, 100):
    with cache.transact():
        for _ in range(100):
            put(rng.randbytes(size))

values = [rng.randbytes(size) for _ in range(count)]
started = time.perf_counter()
for value in values:
    put(value)
print(time.perf_counter() - started)
