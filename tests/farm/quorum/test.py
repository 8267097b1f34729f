#!/usr/bin/env python3
"""Locks that a majority decides about: three hosts, of which each is a voter, and Redis clients on both sides of a cut who
all want the same keys. One wins at most; who is alone is refused, and so he is told. What the majority acknowledged is there
afterwards, on all sides.

usage: test.py --build DIR
Needs root, network namespaces and iptables-legacy; without them it is skipped (exit status 77).
"""
import contextlib
import pathlib
import sys
import threading
import time

import redis
from redis.lock import Lock

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from farm import check, eventually, options, scenario
from hosts import HostsFarm
from net import Network, enter

NAMES = ["n1", "n2", "n3"]
KEYS = 20
CONF = """farm     = "quorum"
key-file = "run/farm.key"
state    = "run/{name}"
node "{name}" {{
    address = "{ip}"
    join    = {{{join}}}
    voters  = {{"n1", "n2", "n3"}}
}}
sessions {{
    listen = "unix:run/{name}.sock"
    memory = "32m"
    kind "app" {{ atomic = "quorum" }}
}}
redis {{ listen = "unix:run/{name}.redis" }}
"""


class QuorumFarm(HostsFarm):
    def redis(self, name):
        return redis.Redis(unix_socket_path=str(self.run / f"{name}.redis"), socket_timeout=10)

    def votes(self, name):
        return self.metric(name, "stead_session_voting_shards") > 0


def take(farm, name, key, told):
    """SET NX at that node: True, None (another has it), or the error's text."""
    try:
        told[name, key] = farm.redis(name).set(key, name, nx=True, px=600000)
    except redis.RedisError as error:
        told[name, key] = str(error) or type(error).__name__


def race(farm, keys):
    """All nodes at once want each of the keys."""
    told = {}
    for key in keys:
        racers = [threading.Thread(target=take, args=(farm, name, key, told)) for name in NAMES]
        for racer in racers:
            racer.start()
        for racer in racers:
            racer.join()
    for key in keys:
        winners = [name for name in NAMES if told[name, key] is True]
        check(len(winners) <= 1, f"{key} has one owner: {[(n, told[n, key]) for n in NAMES]}")
    return told


def value_of(farm, name, key):
    with contextlib.suppress(redis.RedisError):
        return farm.redis(name).get(key)
    return b"(error)"


def whole(farm):
    print("with all three", flush=True)
    eventually(lambda: all(farm.votes(name) for name in NAMES), "all vote", 20)
    told = race(farm, [f"calm{i}" for i in range(KEYS)])
    for i in range(KEYS):
        check(any(told[name, f"calm{i}"] is True for name in NAMES), f"somebody gets calm{i}")
    lock = Lock(farm.redis("n1"), "mutex", timeout=600)
    check(lock.acquire(blocking=False), "a client's lock is taken")
    check(not Lock(farm.redis("n3"), "mutex", timeout=600).acquire(blocking=False), "and taken once")
    return lock


def cut(farm, lock):
    print("n1 is cut off; its clients and the others' go on", flush=True)
    farm.net.split(["n1"], ["n2", "n3"])
    told = race(farm, [f"early{i}" for i in range(3)])  # nobody is counted out yet
    eventually(lambda: farm.redis("n2").set("settled", "n2", px=600000) is True, "the majority goes on", 20)

    def refused():
        with contextlib.suppress(redis.TimeoutError):
            try:
                farm.redis("n1").set("alone", "n1", nx=True)
            except redis.ResponseError as error:
                return "CLUSTERDOWN" in str(error) or "majority" in str(error)
        return False
    eventually(refused, "who is alone is refused, and told why", 20)
    told |= race(farm, [f"cut{i}" for i in range(KEYS)])
    for i in range(KEYS):
        check(told["n1", f"cut{i}"] is not True, f"nobody gets cut{i} on the small side")
        check(True in (told["n2", f"cut{i}"], told["n3", f"cut{i}"]), f"somebody gets cut{i} on the large one")
    check(farm.metric("n1", "stead_session_no_quorum_total") > 0, "it is counted")
    check(not Lock(farm.redis("n2"), "mutex", timeout=600).acquire(blocking=False), "the lock outlives the cut")
    check(value_of(farm, "n1", "mutex") == b"(error)", "no value is read where nobody can know it")
    print("the cut is over", flush=True)
    farm.net.heal()
    for key in [f"{what}{i}" for what, n in (("early", 3), ("cut", KEYS)) for i in range(n)]:
        winner = next((name for name in NAMES if told[name, key] is True), None)
        if winner:
            eventually(lambda key=key, winner=winner: all(value_of(farm, n, key) == winner.encode() for n in NAMES),
                       f"{key} is {winner}'s everywhere", 30)
    eventually(lambda: all(value_of(farm, n, "settled") == b"n2" for n in NAMES), "what was written meanwhile, too", 30)
    lock.release()
    check(Lock(farm.redis("n3"), "mutex", timeout=600).acquire(blocking=False), "a lock that was released is taken again")


def killed(farm):
    print("a voter dies and comes back", flush=True)
    told = {}
    take(farm, "n1", "kept", told)
    check(told["n1", "kept"] is True, "a lock")
    farm.kill("n2")
    time.sleep(0.5)
    farm.start("n2")
    farm.wait_ready("n2")
    eventually(lambda: farm.votes("n2"), "it votes again when the others have told it all", 20)
    farm.net.split(["n1"], ["n2", "n3"])
    eventually(lambda: value_of(farm, "n2", "kept") == b"n1", "it knows the lock without the first owner", 20)
    told = race(farm, ["kept"])
    check(all(told[name, "kept"] is not True for name in NAMES), "nobody gets it a second time")
    farm.net.heal()


def main():
    args = options()
    enter()
    with Network(NAMES) as net:
        with scenario(args.build, 35, make=lambda *where: QuorumFarm(where, net, NAMES, CONF)) as farm:
            farm.started()
            lock = whole(farm)
            cut(farm, lock)
            killed(farm)


main()
