#!/usr/bin/env python3
"""A rolling restart under clients with libstead: nobody notices anything, the servers end level, and no more clients are
asked to move than must. STEAD_ROLLING_CLIENTS sets how many clients (300)."""
import json
import math
import os
import pathlib
import re
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from farm import DNS, PUBLIC, SHOP, Process, check, eventually, options, scenario

CLIENTS = int(os.environ.get("STEAD_ROLLING_CLIENTS", "300"))
LEVEL = 0.05
PATIENCE_S = 120 + CLIENTS // 5


class Crowd:
    def __init__(self, farm):
        self.out = farm.run / "clients.out"
        with open(self.out, "wb") as out, open(farm.run / "clients.log", "wb") as err:
            self.process = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", farm.build / "rolling_clients", str(CLIENTS),
                 f"http://www.shop.test:{PUBLIC}/", f"{farm.ip('front')}:{DNS}"], stdin=subprocess.PIPE, stdout=out,
                stderr=err)

    def told(self):
        check(self.process.poll() is None, f"the clients have ended with {self.process.returncode}")
        lines = self.out.read_text().splitlines()
        return json.loads(lines[-1]) if lines else {"up": 0}

    def end(self):
        self.process.stdin.close()
        status = self.process.wait(60)
        check(status == 0, f"the clients ended with {status}")


def counted(farm):
    """Each node's own word, now: the real servers see connections that requests of many clients share."""
    return {name: sum(s["users"] for s in farm.status(name)["servers"]) for name in farm.servers}


def is_level(farm):
    now = counted(farm)
    fair = CLIENTS / len(farm.servers)
    good = sum(now.values()) == CLIENTS and all(abs(n - fair) <= max(2, fair * LEVEL) for n in now.values())
    check(good, f"{now} is not level")
    return now


def asked(farm):
    """To move for the level's sake: what the nodes' logs say."""
    return sum(int(n) for name in farm.servers
               for n in re.findall(r" rebalance .*?asked=(\d+)", farm.log(name).read_text()))


def restart(farm, name):
    """The surplus that must move for the level's sake, and how many had to leave for the restart's."""
    had = counted(farm)[name]
    done = farm.cli("drain", name, "--wait", "-t", "50", "--admin", f"unix:{farm.run}/front/admin.sock")
    check(done.returncode == 0, f"drain {name}: {done.stdout}{done.stderr}")
    left = counted(farm)
    check(left[name] == 0 and sum(left.values()) == CLIENTS, f"safe to stop {name}: {left}")
    farm.term(name, ("node",))
    farm.start_node(name)
    eventually(lambda: farm.status_of(name, "front") == "up", f"{name} is up again")
    before, fair = counted(farm), math.ceil(CLIENTS / len(farm.servers))
    surplus = sum(max(0, n - fair) for n in before.values())
    print(f"{name} is back: {before}, {eventually(lambda: is_level(farm), 'level again', PATIENCE_S)}")
    return surplus, had


def roll(farm, crowd):
    eventually(lambda: crowd.told()["up"] == CLIENTS, "all are connected", PATIENCE_S)
    eventually(lambda: is_level(farm), "level at the start", PATIENCE_S)
    before, surplus, drained = crowd.told()["moved"], 0, 0
    for name in farm.servers:
        more, had = restart(farm, name)
        surplus, drained = surplus + more, drained + had
    time.sleep(2)  # until the clients have told of it
    told = eventually(lambda: crowd.told() if crowd.told()["up"] == CLIENTS else None, "all are connected")
    moved = told["moved"] - before - drained
    print(f"a surplus of {surplus}, {asked(farm)} asked to move, {moved} moved; {told}")
    for trouble in ("trouble", "lost", "wrong", "ended"):
        check(told[trouble] == 0, f"{trouble}: {told}")
    check(told["connected"] == CLIENTS and told["answers"] > 2 * CLIENTS, f"each was connected once: {told}")
    check(moved <= surplus * 1.05, f"{moved} moved for a surplus of {surplus}")


def main():
    args = options()
    with scenario(args.build, 14, "front") as farm:
        servers = Process([sys.executable, pathlib.Path(__file__).parent / "servers.py", SHOP,
                           *[f"{name}={farm.ip(name)}" for name in farm.servers]], farm.run / "servers.log")
        try:
            for name in farm.names:
                farm.start_node(name)
            farm.wait_ready()
            farm.wait_up(*farm.servers)
            crowd = Crowd(farm)
            roll(farm, crowd)
            crowd.end()
        finally:
            servers.end()


main()
