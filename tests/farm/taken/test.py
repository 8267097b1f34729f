#!/usr/bin/env python3
"""Without a repository: a third server comes to two, the first one dies, and the third resumes all of its sessions, which it
takes from the second. It says where it found them.

usage: test.py --build DIR
"""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from farm import check, eventually, options, scenario
from kept import ask, configure, fields, make, ready


def main():
    args = options()
    with scenario(args.build, 44) as farm:
        configure(farm, ["s1", "s2", "s3"], {})
        farm.start("s1", "s2")
        ready(farm, "s1", "s2")
        live = {make(farm, "s1", {"cart": f"{i}"}): {"cart": f"{i}"} for i in range(20)}
        farm.start("s3")
        ready(farm, "s1", "s2", "s3")
        check(farm.status("s3")["sessions"]["records"] == 0, "the third holds nothing")
        farm.kill("s1")

        def good():
            for number, want in live.items():
                got = fields(farm, "s3", number)
                check(got == want, f"{number}: {got}, not {want}")
            return True
        eventually(good, "the third resumes all")
        check(farm.metric("s3", 'stead_session_found_total{at="node"}') > 0, "it found them at the second")
        check(farm.metric("s3", 'stead_session_found_total{at="repository"}') == 0, "and at no repository")
        number = next(iter(live))
        check(ask(farm, "s3", "PATCH", f"/{number}", {"set": {"cart": "goes on"}})[0] == 200, "and goes on with them")


main()
