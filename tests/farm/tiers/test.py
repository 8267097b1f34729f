#!/usr/bin/env python3
"""Portions in four tiers: the first and the second server hold what is theirs, the third holds both, the fourth holds the
third's. One after the other is killed and never comes back; what is left resumes every session. Another server, of which
nobody is a repository, holds nothing of it.

usage: test.py --build DIR
"""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from farm import check, eventually, options, scenario
from kept import ask, configure, fields, make, ready, wait_kept

OF = {"s3": 'of = {"s1", "pair"}', "s4": 'of = {"s3"}'}  # s2 is of the group


def begin(farm):
    live = {}
    for i in range(24):
        at = ("s1", "s2")[i % 2]
        number = make(farm, at, {"cart": f"{i}"})
        live[number] = {"cart": f"{i}"}
    return live


def held(farm, name):
    return farm.status(name)["sessions"]["records"]


def all_there(farm, live, *names):
    def good():
        for i, (number, want) in enumerate(live.items()):
            got = fields(farm, names[i % len(names)], number)
            check(got == want, f"{number} at {names[i % len(names)]}: {got}, not {want}")
        return True
    eventually(good, f"all sessions are as they were, at {names}")


def change(farm, live, name):
    """And can be changed, so they are owned by somebody who lives."""
    for number in list(live)[::3]:
        text = f"{live[number]['cart']} {name}"
        eventually(lambda: ask(farm, name, "PATCH", f"/{number}", {"set": {"cart": text}})[0] == 200, f"a change at {name}")
        live[number]["cart"] = text


def main():
    args = options()
    with scenario(args.build, 42) as farm:
        configure(farm, ["s1", "s2", "s3", "s4"], {n: "repository { %s }" % text for n, text in OF.items()},
                  node={"s2": 'groups = {"pair"}'})
        farm.start()
        ready(farm, *farm.names)
        live = begin(farm)
        for name in ("s3", "s4"):
            eventually(lambda name=name: held(farm, name) == len(live), f"{name} holds all")
        for name in ("s1", "s2"):
            check(held(farm, name) == len(live) // 2, f"{name} holds its portion: {held(farm, name)} of {len(live)}")
        left = list(farm.names)
        for gone in ("s1", "s3", "s2"):
            farm.kill(gone)
            left.remove(gone)
            all_there(farm, live, *left)
            change(farm, live, left[0])
            eventually(lambda: held(farm, "s4") == len(live), "the fourth holds all")
        wait_kept(farm, "s4")
        farm.kill("s4")
        farm.start("s4")  # alone, and of what it had kept
        eventually(lambda: farm.ready("s4"), "the fourth is ready")
        all_there(farm, live, "s4")


main()
