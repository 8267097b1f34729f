#!/usr/bin/env python3
"""A node with another key gets nowhere: nobody lists it, nothing of the farm reaches it, and its frames are counted."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from farm import check, eventually, options, request, scenario


def main():
    args = options()
    with scenario(args.build, 25) as farm:
        farm.start("s1", "s2")
        farm.wait_ready("s1", "s2")
        stranger = farm.conf("s3")
        stranger.write_text(stranger.read_text().replace("run/farm.key", "run/other.key"))
        check(farm.cli("keygen", farm.run / "other.key").returncode == 0, "another key")
        check(farm.metric("s1", 'stead_mesh_dropped_total{reason="auth"}') == 0, "no frame was refused so far")
        farm.start("s3")
        eventually(lambda: farm.metric("s1", 'stead_mesh_dropped_total{reason="auth"}') >= 3, "its frames are counted at s1")
        eventually(lambda: farm.metric("s2", 'stead_mesh_dropped_total{reason="auth"}') >= 3, "and at s2")
        eventually(lambda: request(farm.ip("s3"), 7380, "/livez").status == 200, "the stranger runs")
        for name in ("s1", "s2"):
            check({s["name"] for s in farm.roster(name)["servers"]} == {"s1", "s2"}, f"the roster of {name} has no s3")
            check(farm.dns("s3.shop.test", name)[0] == 3, f"{name} knows no such name")
            check(farm.ready(name), f"{name} is well")
        check({s["name"] for s in farm.roster("s3")["servers"]} <= {"s3"}, "the stranger learns of nobody")
        eventually(lambda: "foreign-key" in farm.log("s3").read_text(), "it says that the others have another key")
        check(not farm.ready("s3"), "of no farm, it does not call itself ready")
        check(farm.cli("keygen", farm.run / "farm.key").returncode == 1, "a key is not overwritten")


main()
