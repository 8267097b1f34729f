#!/usr/bin/env python3
"""Three nodes, none of which is told of any other: they find each other by a multicast group on loopback. Then nothing
comes by the group any more, which is said once, and all goes on; then it is back.

usage: test.py --build DIR
Needs root, network namespaces and iptables-legacy; without them it is skipped (exit status 77).
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from farm import check, eventually, options, scenario

GROUP = "239.1.2.3"
INSIDE = "--inside"
COMMANDS = [["ip", "link", "set", "lo", "up"], ["ip", "link", "set", "lo", "multicast", "on"]]


def enter_namespace():
    """Runs this test anew in a network of its own, which goes with it."""
    if INSIDE in sys.argv:
        sys.argv.remove(INSIDE)
        for command in COMMANDS:
            subprocess.run(command, check=True)
        return
    missing = [tool for tool in ("unshare", "ip", "iptables-legacy") if not shutil.which(tool)]
    if os.geteuid() != 0 or missing or subprocess.run(["unshare", "-n", "true"], check=False).returncode:
        print("skipped: it needs root, network namespaces and iptables-legacy")
        sys.exit(77)
    os.execvp("unshare", ["unshare", "-n", sys.executable, __file__, INSIDE, *sys.argv[1:]])


def filter_group(verb):
    subprocess.run(["iptables-legacy", verb, "INPUT", "-d", GROUP, "-j", "DROP"], check=True)


def said(farm, name, state):
    return farm.log(name).read_text().count(f"state={state}")


def configure(farm):
    for name in farm.names:
        text, count = re.subn(r"join .*\}", f'multicast = "{GROUP}:7301"', farm.conf(name).read_text())
        check(count == 1, f"{name} is configured without join")
        farm.conf(name).write_text(text)


def without_group(farm):
    filter_group("-A")
    for name in farm.names:
        eventually(lambda name=name: farm.metric(name, "stead_mesh_group_silent") == 1, f"{name} misses the group")
    check(all(said(farm, n, "silent") == 1 for n in farm.names), "each said so once")
    farm.wait_up(*farm.servers)
    farm.kill("s3")
    farm.wait_up("s1", "s2")
    farm.start("s3")  # it knows from last time where the others were
    farm.wait_ready("s3")
    farm.wait_up(*farm.servers)
    check(all(said(farm, n, "silent") == 1 for n in ("s1", "s2")), "still once")
    filter_group("-D")
    for name in farm.names:
        eventually(lambda name=name: farm.metric(name, "stead_mesh_group_silent") == 0, f"{name} hears the group again")
    check(all(said(farm, n, "heard") == 1 for n in ("s1", "s2")), "which is said once, too")


def main():
    args = options()
    with scenario(args.build, 29) as farm:
        configure(farm)
        farm.started()
        for name in farm.names:
            check("alone" not in farm.log(name).read_text(), f"{name} found the others")
            eventually(lambda name=name: farm.metric(name, 'stead_mesh_beacons_total{direction="in"}') >= 4,
                       f"{name} hears the others' beacons")
            check(farm.metric(name, "stead_mesh_group_silent") == 0, f"the group of {name} is well")
            check(farm.metric(name, 'stead_mesh_dropped_total{reason="malformed"}') == 0, "no beacon is malformed")
            check(farm.metric(name, 'stead_mesh_dropped_total{reason="replay"}') == 0, "none comes twice")
        farm.term("s2")
        farm.wait_up("s1", "s3")
        farm.start("s2")
        farm.wait_ready("s2")
        farm.wait_up(*farm.servers)
        without_group(farm)
        farm.wait_up(*farm.servers)


enter_namespace()
main()
