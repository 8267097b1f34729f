#!/usr/bin/env python3
"""A repository under load is killed at any moment, again and again, and starts again. In the end every other node is killed
at once: each write that was acknowledged is there, by count. Then it is killed itself, and starts alone from its file.

usage: test.py --build DIR
"""
import pathlib
import random
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from farm import check, eventually, options, scenario
from kept import ask, configure, fields, make, ready, wait_kept

SERVERS = ["s1", "s2"]
KILLS = 4


class Writer(threading.Thread):
    """Counts up in records of its own. What is acknowledged is there later, or what was tried after it."""

    def __init__(self, farm, name):
        super().__init__(daemon=True)
        self.farm, self.name_of_node, self.stops = farm, name, False
        self.acknowledged, self.tried, self.writes = {}, {}, 0

    def step(self, turn):
        if turn % 3 == 0 or not self.acknowledged:
            number = make(self.farm, self.name_of_node, {"count": "1"})
            self.acknowledged[number] = self.tried[number] = 1
        else:
            number = random.choice(list(self.acknowledged))
            self.tried[number] += 1
            count = self.tried[number]
            if ask(self.farm, self.name_of_node, "PATCH", f"/{number}", {"set": {"count": str(count)}})[0] != 200:
                return
            self.acknowledged[number] = count
        self.writes += 1

    def run(self):
        turn = 0
        while not self.stops:
            turn += 1
            try:
                self.step(turn)
            except Exception:  # a refusal while nodes are counted out is no success
                time.sleep(0.05)
            time.sleep(0.005)


def count_all(farm, writers):
    """How many acknowledged writes are there at the repository; all of them, or it fails."""
    there = 0
    for w in writers:
        for number, least in w.acknowledged.items():
            got = fields(farm, "s5", number)
            check(isinstance(got, dict), f"{number}: {got}")
            count = int(got["count"])
            check(least <= count <= w.tried[number], f"{number}: {count}, acknowledged {least}, tried {w.tried[number]}")
            there += least
    return there


def main():
    args = options()
    with scenario(args.build, 52) as farm:
        configure(farm, ["s5", *SERVERS], {"s5": "repository { }"}, ("s5", *SERVERS))
        farm.start()
        ready(farm, *farm.names)
        writers = [Writer(farm, name) for name in SERVERS]
        for w in writers:
            w.start()
        for _ in range(KILLS):
            time.sleep(random.uniform(0.2, 1.0))
            farm.kill("s5")
            time.sleep(random.uniform(0.0, 0.5))
            farm.start("s5")
            ready(farm, *farm.names)
        for w in writers:
            w.stops = True
            w.join()
        records = sum(len(w.acknowledged) for w in writers)
        counted = sum(sum(w.acknowledged.values()) for w in writers)
        check(records > 50, f"only {records} records were made")
        eventually(lambda: farm.status("s5")["sessions"]["records"] >= records, "the repository holds all")
        eventually(lambda: all(farm.status(n)["sessions"]["below_copies"] == 0 for n in farm.names), "nothing is short of copies")
        wait_kept(farm, "s5")
        for name in SERVERS:
            farm.nodes[name].send(9)
        for name in SERVERS:
            farm.nodes[name].end(9)
        eventually(lambda: count_all(farm, writers) == counted, "every acknowledged write is in the repository's memory")
        wait_kept(farm, "s5")
        farm.kill("s5")
        farm.start("s5")
        eventually(lambda: farm.ready("s5"), "the repository is ready alone")
        eventually(lambda: count_all(farm, writers) == counted, "every acknowledged write is in its file")
        print(f"{sum(w.writes for w in writers)} acknowledged writes of {records} records, {counted} counted, {KILLS} kills")


main()
