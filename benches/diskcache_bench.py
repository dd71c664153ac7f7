"""One round of one work on python-diskcache; prints its seconds as JSON.

Run by `cargo bench --bench compare`, with: folder, work, size, population, count, batch,
round, and `cpu` or `clock`. Keys are the SHA-256 of the content, computed on the clock,
as in every other store. `synchronous` is FULL where the work must survive power loss;
note that values of 32 KiB and more go to files of their own, which diskcache never syncs.
"""

import hashlib
import json
import os
import random
import sys
import threading
import time

import diskcache

THREADS = 8
NORMAL = {"put-normal", "mixed", "get", "space"}


def open_cache(folder, durable):
    return diskcache.Cache(
        folder,
        sqlite_synchronous=2 if durable else 1,
        eviction_policy="none",
        size_limit=1 << 50,
        timeout=600,
    )


def contents(seed, size, count):
    rng = random.Random(seed)
    return [rng.randbytes(size) for _ in range(count)]


def put(cache, content):
    key = hashlib.sha256(content).hexdigest()
    cache.add(key, content)
    return key


def chunks(items, batch):
    return (items[start : start + batch] for start in range(0, len(items), batch))


def put_batches(cache, items, batch):
    keys = []
    for chunk in chunks(items, batch):
        with cache.transact():
            keys.extend(put(cache, content) for content in chunk)
    return keys


def put_each(cache, items):
    for content in items:
        put(cache, content)


def get_each(cache, keys):
    for key in keys:
        if cache.get(key) is None:
            raise KeyError(key)


def free_batches(cache, keys, batch):
    for chunk in chunks(keys, batch):
        with cache.transact():
            for key in chunk:
                cache.delete(key)


def mixed(cache, keys, fresh, rng, count):
    for _ in range(count):
        victim = rng.randrange(len(keys))
        dice = rng.randrange(10)
        if dice < 7:
            cache.get(keys[victim])
        elif dice < 9:
            keys.append(put(cache, fresh.pop()))
        else:
            keys[victim], keys[-1] = keys[-1], keys[victim]
            cache.delete(keys.pop())


def from_threads(cache, items):
    share = -(-len(items) // THREADS)
    threads = [
        threading.Thread(target=put_each, args=(cache, part)) for part in chunks(items, share)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def prepare(cache, work, size, keys, count, batch, seed):
    """The work as a function without arguments, and how many operations it is."""
    rng = random.Random(seed)
    fresh = contents(seed + 1, size, count)
    if work == "get":
        wanted = rng.choices(keys, k=count)
        return lambda: get_each(cache, wanted)
    if work == "free":
        doomed = rng.sample(keys, count)
        return lambda: free_batches(cache, doomed, batch)
    if work == "mixed":
        return lambda: mixed(cache, keys, fresh, rng, count)
    if work == "dedup":
        few = fresh[: -(-count // 10)]
        repeated = [few[index % len(few)] for index in range(count)]
        rng.shuffle(repeated)
        return lambda: put_batches(cache, repeated, batch)
    if work == "threads":
        return lambda: from_threads(cache, fresh)
    if work in ("batch-put", "space"):
        return lambda: put_batches(cache, fresh, batch)
    return lambda: put_each(cache, fresh)


def main():
    folder, work = sys.argv[1:3]
    size, population, count, batch, seed = map(int, sys.argv[3:8])
    with open_cache(folder, durable=False) as cache:
        keys = put_batches(cache, contents(0, size, population), batch)
    with open_cache(folder, durable=work not in NORMAL) as cache:
        run = prepare(cache, work, size, keys, count, batch, seed)
        os.sync()
        now = time.thread_time if sys.argv[8] == "cpu" else time.perf_counter
        start = now()
        run()
        seconds = now() - start
    print(json.dumps({"seconds": seconds, "operations": count}))


if __name__ == "__main__":
    main()
