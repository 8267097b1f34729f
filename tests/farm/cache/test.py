#!/usr/bin/env python3
"""Software that knows only memcached or Redis: its sessions go on at another node, and after the death of one."""
import multiprocessing
import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from farm import check, eventually, options, scenario

import pymemcache
import redis
from redis.lock import Lock

HERE = pathlib.Path(__file__).resolve().parent
MEMCACHED, REDIS = 11211, 6379


def add_doors(farm):
    for name in farm.names:
        conf = farm.conf(name)
        conf.write_text(conf.read_text() + f"""
memcached {{ listen = "{farm.ip(name)}:{MEMCACHED}" }}
redis {{ listen = "{farm.ip(name)}:{REDIS}" prefixes = {{"mod_ssl-sess:=tls"}} }}
""")


def php(farm, name, handler, session, *more):
    """One request to a PHP whose session handler talks to the node `name`."""
    path = f"{farm.ip(name)}:{MEMCACHED}" if handler == "memcached" else f"tcp://{farm.ip(name)}:{REDIS}?timeout=5"
    done = subprocess.run(["php", "-d", f"session.save_handler={handler}", "-d", f"session.save_path=\"{path}\"", "-d",
                           "redis.session.locking_enabled=1", "-d", "session.use_strict_mode=0", "-d",
                           "session.use_cookies=0", "-d", "session.cache_limiter=",
                           HERE / "session.php", session, *more],
                          capture_output=True, text=True, timeout=60, check=False)
    check(done.returncode == 0 and not done.stderr.strip(), f"php with {handler} at {name}: {done.stdout}{done.stderr}")
    return int(done.stdout.split()[-1])


def php_sessions(farm, before, after):
    for handler in ("memcached", "redis"):
        session = f"{handler}{'a' * 20}"
        visits = 0
        for _ in range(2):
            for name in before:
                visits += 1
                check(php(farm, name, handler, session) == visits, f"visit {visits} with {handler} at {name}")
        after(handler, session, visits)


def pymemcache_client(farm, name):
    return pymemcache.Client((farm.ip(name), MEMCACHED), timeout=5, connect_timeout=5)


def memcache_calls(farm):
    one, other = pymemcache_client(farm, "s1"), pymemcache_client(farm, "s3")
    one.set("k", b"v", expire=60)  # noreply, as this library does
    check(eventually(lambda: other.get("k"), "the value is at the other node") == b"v", "get at another node")
    check(other.add("k", b"w", noreply=False) is False, "add of what is there")
    value, cas = other.gets("k")
    check(one.cas("k", b"x", cas, noreply=False) is True, "cas with the number of another node")
    check(other.cas("k", b"y", cas, noreply=False) is False, "cas with an old number")
    check(one.get_many(["k", "none"]) == {"k": b"x"}, "get_many")
    check(one.set("n", b"5", noreply=False) and other.incr("n", 3) == 8, "incr")
    check(other.delete("k", noreply=False) is True and one.get("k") is None, "a delete reaches every node")


def redis_client(farm, name, **more):
    return redis.Redis(farm.ip(name), REDIS, socket_timeout=5, **more)


def redis_calls(farm):
    one, other = redis_client(farm, "s1"), redis_client(farm, "s2")
    check(one.set("r", "v", ex=60) and other.get("r") == b"v", "set and get")
    check(0 < other.ttl("r") <= 60 and other.expire("r", 30) and one.ttl("r") <= 30, "expire and ttl")
    check(other.set("r", "w", nx=True) is None and one.getdel("r") == b"v" and other.get("r") is None, "nx, getdel")
    pipe = one.pipeline(transaction=False)
    for i in range(200):
        pipe.setex(f"p{i}", 60, f"v{i}")
    check(all(pipe.execute()), "a pipeline of 200 writes")
    check(other.mget([f"p{i}" for i in range(200)]) == [f"v{i}".encode() for i in range(200)], "mget of all of them")
    pipe = one.pipeline()  # as this library does it by default: MULTI ... EXEC
    pipe.set("m", 1).incr("m").get("m").get("nothing")
    check(pipe.execute() == [True, 2, b"2", None], "a transaction")
    try:
        one.pipeline().set("m", 7).lpush("m", "x").execute()
        check(False, "a transaction with a command that is not there is refused")
    except redis.ResponseError:
        check(other.get("m") == b"2", "and nothing of it is done")
    lock, rival = Lock(one, "lock", timeout=30), Lock(other, "lock", timeout=30)
    check(lock.acquire(blocking=False) and not rival.acquire(blocking=False), "a lock is had once")
    lock.release()
    check(rival.acquire(blocking=False), "and again when it is free")
    rival.release()
    said = subprocess.run(["redis-cli", "-h", farm.ip("s3"), "-p", str(REDIS), "-3", "SET", "c", "hello"],
                          capture_output=True, text=True, timeout=30, check=True)
    check(said.stdout.strip() == "OK", f"redis-cli: {said.stdout}{said.stderr}")
    done = subprocess.run(["redis-benchmark", "-h", farm.ip("s1"), "-p", str(REDIS), "-t", "set,get,incr", "-n", "2000",
                           "-c", "10", "-P", "8", "-q"], capture_output=True, text=True, timeout=120, check=True)
    check("GET" in done.stdout and "rror" not in done.stdout, f"redis-benchmark: {done.stdout}")


def racer(job):
    ips, rounds = job
    clients = [redis.Redis(ip, REDIS, socket_timeout=10) for ip in ips]
    won = []
    for i in range(rounds):
        client = clients[(os.getpid() + i) % len(clients)]
        client.incr("race:count")
        if client.set(f"race:{i}", os.getpid(), nx=True, px=60000):
            won.append(i)
    return won


def races(farm):
    """From many processes over two nodes: every increment counts, every lock has one winner."""
    rounds, processes = 100, 6
    ips = [farm.ip("s1"), farm.ip("s2")]
    with multiprocessing.Pool(processes) as pool:
        won = pool.map(racer, [(ips, rounds)] * processes)
    winners = sorted(i for one in won for i in one)
    check(winners == list(range(rounds)), f"each lock has one winner: {len(winners)} of {rounds}, {len(set(winners))} different")
    total = int(redis_client(farm, "s3").get("race:count"))
    check(total == rounds * processes, f"{total} of {rounds * processes} increments count")


def large_and_odd(farm):
    one, other = redis_client(farm, "s1"), redis_client(farm, "s2")
    big = os.urandom(900_000)
    check(one.set("big", big) and other.get("big") == big, "a large value in parts")
    try:
        one.set("big", b"x" * (1 << 20) + b"x")
        check(False, "a value over 1 MiB is refused")
    except (redis.ResponseError, redis.ConnectionError):
        pass
    check(other.get("big") == big, "and the old one is kept")
    check(one.set(b"\x00\xff key", b"") and other.get(b"\x00\xff key") == b"", "binary keys, empty values")


def main():
    args = options()
    with scenario(args.build, 27) as farm:
        add_doors(farm)
        farm.started()
        memcache_calls(farm)
        redis_calls(farm)
        large_and_odd(farm)
        races(farm)
        sessions = []
        php_sessions(farm, ("s1", "s2", "s3"), lambda *one: sessions.append(one))
        farm.kill("s2")
        farm.wait_up("s1", "s3")
        for handler, session, visits in sessions:
            for name in ("s3", "s1"):
                visits += 1
                count = php(farm, name, handler, session)
                check(count == visits, f"visit {visits} with {handler} at {name}, after s2 died: {count}")
            php(farm, "s1", handler, session, "destroy")
            check(php(farm, "s3", handler, session) == 1, f"destroyed at s1, gone at s3, with {handler}")
        check(farm.metric("s1", "stead_cache_requests_total") > 0, "requests are counted")


main()
