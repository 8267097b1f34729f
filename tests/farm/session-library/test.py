#!/usr/bin/env python3
"""examples/session/visits, a server's program with libstead: a session goes on at every node, also after the one where
it was begun is dead, until it is ended; and what goes wrong is said."""
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from farm import check, eventually, options, scenario


def visits(farm, name, *args):
    done = subprocess.run([farm.build / "visits", f"unix:{farm.run / name}.sock", *args], capture_output=True, text=True,
                          timeout=30, check=False)
    check(done.returncode in (0, 1) and "Sanitizer" not in done.stderr, f"visits: {done.returncode} {done.stderr}")
    return done.stdout.split() if done.returncode == 0 else done.stderr.split(":")[0]


def main():
    args = options()
    with scenario(args.build, 39) as farm:
        farm.started()
        sid, count = visits(farm, "s1")
        check(count == "1", f"the first visit: {count}")
        for number, name in enumerate(("s1", "s2", "s3"), 2):
            check(visits(farm, name, sid) == [sid, str(number)], f"visit {number} at {name}")
        farm.kill("s1")
        last = eventually(lambda: isinstance(got := visits(farm, "s2", sid), list) and got, "a visit while s1 is dead")
        check(int(last[1]) >= 5, f"no visit is lost: {last}")
        check(visits(farm, "s3", sid, "end") == [sid, str(int(last[1]) + 1)], "the last visit")
        check(visits(farm, "s2", sid) in ("ABSENT", "ENDED"), "it is no more")
        check(visits(farm, "s2", "a/b") == "INVAL", "an id that is none")
        check(visits(farm, "s1", sid) == "UNREACHABLE", "no node here")


main()
