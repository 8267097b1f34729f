#!/usr/bin/env python3
"""A snapshot is saved and loaded while the farm runs. A new farm with the same key goes on from it; in the farm that it was
taken of, what has changed or ended since stays as it is. What is no whole snapshot of this farm is refused, and says why.

usage: test.py --build DIR
"""
import os
import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from farm import ADMIN, check, eventually, options, request, scenario
from kept import ask, configure, fields, make, ready

NODES = ["s1", "s2", "s3"]
SECRET = "of-nobody-else-4711"


def snapshot(farm, what, path, name="s3"):
    return farm.cli("snapshot", what, path, "-c", farm.conf(name))


def begin(farm):
    live = {}
    for i in range(60):
        number = make(farm, NODES[i % 3], {"cart": f"{i}", "secret": SECRET})
        live[number] = {"cart": f"{i}", "secret": SECRET}
    return live


def all_there(farm, live, *names):
    def good():
        for i, (number, want) in enumerate(live.items()):
            got = fields(farm, names[i % len(names)], number)
            check(got == want, f"{number} at {names[i % len(names)]}: {got}, not {want}")
        return True
    eventually(good, "all sessions are as they were")


def in_the_same_farm(farm, live, path):
    """What is newer stays; what was forgotten by nobody is not touched."""
    changed, ended = list(live)[:2]
    check(ask(farm, "s1", "PATCH", f"/{changed}", {"set": {"cart": "newer"}})[0] == 200, "a change")
    check(ask(farm, "s2", "DELETE", f"/{ended}")[0] == 204, "an end")
    done = snapshot(farm, "load", path)
    check(done.returncode == 0 and "60 not: the node has them" in done.stdout, f"beside what is there: {done.stdout} {done.stderr}")
    all_there(farm, {**{n: f for n, f in live.items() if n != ended}, changed: {"cart": "newer", "secret": SECRET}}, *NODES)
    check(fields(farm, "s1", ended) in (404, 410), "what was ended stays so")


def refused(farm, path):
    other = pathlib.Path(f"{path}.other")
    text = pathlib.Path(path).read_bytes()
    for made, why in ((text[:-10], "damaged or cut"), (text[:3000] + b"x" + text[3001:], "damaged or cut"), (b"no such thing", "no snapshot")):
        other.write_bytes(made)
        done = snapshot(farm, "load", other)
        check(done.returncode == 1 and why in done.stderr, f"refused: {done.stdout} {done.stderr}")
    other.write_bytes(b"a letter")
    done = snapshot(farm, "save", other)
    check(done.returncode == 1 and "no snapshot" in done.stderr and other.read_bytes() == b"a letter", f"not replaced: {done.stderr}")
    done = snapshot(farm, "save", farm.run / "no" / "folder")
    check(done.returncode == 1 and "no such" in done.stderr, f"no folder: {done.stderr}")
    reply = request(farm.ip("s3"), ADMIN, f"/v1/snapshot?what=save&file={path}", method="POST")
    check(reply.status in (403, 405), f"by TCP: {reply.status}")


def in_a_new_farm(farm, live, path):
    for name in NODES:
        farm.term(name)
        shutil.rmtree(farm.run / name)
    farm.start()
    ready(farm, *NODES)
    check(fields(farm, "s1", list(live)[5]) == 404, "the new farm knows nothing")
    done = snapshot(farm, "load", path, "s1")
    check(done.returncode == 0 and "60 records loaded" in done.stdout, f"loaded: {done.stdout} {done.stderr}")
    all_there(farm, live, *NODES)
    eventually(lambda: farm.metric("s1", "stead_session_shelved") == 0, "nothing waits any more")
    farm.kill("s1")
    all_there(farm, live, "s2", "s3")
    farm.start("s1")
    ready(farm, *NODES)


def another_key(farm, path):
    for name in NODES:
        farm.term(name)
    os.unlink(farm.run / "farm.key")
    check(farm.cli("keygen", farm.run / "farm.key").returncode == 0, "a key")
    farm.start()
    ready(farm, *NODES)
    done = snapshot(farm, "load", path)
    check(done.returncode == 1 and "another farm's key" in done.stderr, f"another key: {done.stdout} {done.stderr}")


def main():
    args = options()
    with scenario(args.build, 43) as farm:
        configure(farm, NODES, {"s3": "repository { }"})
        farm.start()
        ready(farm, *NODES)
        live = begin(farm)
        path = farm.dir / "taken"
        done = snapshot(farm, "save", path)
        check(done.returncode == 0 and "60 records saved" in done.stdout, f"saved: {done.stdout} {done.stderr}")
        check(SECRET.encode() not in path.read_bytes() and path.stat().st_mode & 0o077 == 0, "sealed, and its owner's only")
        for step in (in_the_same_farm, in_a_new_farm):
            print(step.__name__, flush=True)
            step(farm, live, path)
        refused(farm, path)
        another_key(farm, path)


main()
