"""The steady state of a full python-diskcache, or of its successor diskcache-community; prints the seconds of the timed puts.

Run by `cargo bench --bench evict`, with: folder, bytes of a value, count, threads, puts of a
transaction, `synchronous` of SQLite, and the ways in which they come: one, threads or batches.
Eviction policy and `cull_limit` are the defaults. As in the other caches, keys are the SHA-256 of
the value, computed on the clock.
"""

import hashlib
import random
import sys
import time
from concurrent.futures import ThreadPoolExecutor

try:
    import diskcache_community as diskcache
except ImportError:
    import diskcache

folder, ways = sys.argv[1], sys.argv[7:]
size, count, threads, together, synchronous = map(int, sys.argv[2:7])
limit = 4 * count * size
cache = diskcache.Cache(folder, size_limit=limit, sqlite_synchronous=synchronous, timeout=600)
rng = random.Random(1)


def put(values):
    for value in values:
        cache.set(hashlib.sha256(value).hexdigest(), value)


def put_batches(values):
    for start in range(0, len(values), together):
        with cache.transact():
            put(values[start : start + together])


def put_by_threads(values):
    parts = [values[start::threads] for start in range(threads)]
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(put, parts))


# More than fits, because the limit counts pages and keys, too.
put_batches([rng.randbytes(size) for _ in range(4 * count)])

for way in ways:
    values = [rng.randbytes(size) for _ in range(count)]
    started = time.perf_counter()
    {"one": put, "threads": put_by_threads, "batches": put_batches}[way](values)
    print(time.perf_counter() - started)
