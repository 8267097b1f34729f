#!/usr/bin/env python3
"""What is full: the disk of one repository, the file of another, and then the memory of the nodes, all under load. What is
acknowledged is kept, what is not is refused aloud, nobody dies, and what was full works on when there is room again.

usage: test.py --build DIR
The disk is a small tmpfs in a mount namespace of the test's own: root only, otherwise it is a file with a limit, too.
"""
import os
import pathlib
import re
import subprocess
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from farm import Failed, check, eventually, options, scenario
from kept import ask, configure, fields, make, ready, wait_kept

INSIDE = "STEAD_FULL_INSIDE"
SERVERS = ["s1", "s2"]
DISK, FILE = "s3", "s4"  # the repositories: one on a small disk, one with a small file
WRITERS = 4


def enter():
    """Goes on in a mount namespace of its own. False: it may not."""
    if os.environ.get(INSIDE) == str(os.getpid()):
        return True
    new = ["unshare", "--mount", "--propagation", "private"]
    if os.geteuid() != 0 or subprocess.run([*new, "true"], check=False, capture_output=True).returncode != 0:
        return False
    os.environ[INSIDE] = str(os.getpid())  # exec keeps it
    os.execvp(new[0], [*new, sys.executable, *sys.argv])


def mount(farm, size, *more):
    subprocess.run(["mount", "-t", "tmpfs", "-o", ",".join([*more, f"size={size}"]), "tmpfs", farm.run / "disk"], check=True)


def at_once(work, items):
    """Calls work(item) for all of them, from several threads."""
    failed = []

    def run(part):
        try:
            for item in part:
                work(item)
        except Exception as error:
            failed.append(repr(error))
    threads = [threading.Thread(target=run, args=(items[i::WRITERS],)) for i in range(WRITERS)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    check(not failed, f"{failed}")


def all_there(farm, live, ended, *names):
    def look(i_number):
        i, number = i_number
        name = names[i % len(names)]
        got = fields(farm, name, number)
        check(got == live.get(number, 404) or number in ended and got in (404, 410), f"{number} at {name}: {str(got)[:80]}")

    def good():
        at_once(look, list(enumerate([*live, *ended])))
        return True
    eventually(good, "what was acknowledged is as it was")


def status(farm, name):
    done = farm.cli("status", "-c", farm.conf(name))
    check(done.returncode == 0, f"{done}")
    return done.stdout


def too_much(farm, live):
    """More than either has room for. The farm serves on."""
    def write(i):
        value = {"cart": f"{i}", "much": f"{i:01000d}"}
        live[make(farm, SERVERS[i % 2], value)] = value
    at_once(write, list(range(4000)))
    for name in (DISK, FILE):
        eventually(lambda name=name: farm.metric(name, "stead_repository_up") == 0, f"the repository of {name} is full")
        check(farm.ready(name), f"{name} is ready all the same")
        said = re.findall("repository-fails.*", farm.log(name).read_text())
        check(len(said) == 1 and "the disk or the file's limit is full" in said[0], f"it is said, once: {said}")
        check("! the repository takes nothing" in status(farm, name), status(farm, name))
    check("repository " not in status(farm, "s1"), "a node without one says nothing of it")
    all_there(farm, live, [], *SERVERS, DISK, FILE)


def room_again(farm, live, real_disk):
    """The disk grows; at the other, most of it ends. Then all is there, and it is enough for a new start of all."""
    numbers = [n for i, n in enumerate(live) if i % 10 != 1]

    def end(number):
        check(ask(farm, "s1", "DELETE", f"/{number}")[0] == 204, "an end")
    at_once(end, numbers)
    for number in numbers:
        del live[number]
    if real_disk:
        mount(farm, "64m", "remount")
    for name in (DISK, FILE):
        wait_kept(farm, name)
        check("repository-works" in farm.log(name).read_text(), f"{name} says that it works again")
        check("takes nothing" not in status(farm, name) and re.search(r"^repository \d+ records", status(farm, name), re.M), status(farm, name))
    for process in farm.nodes.values():
        process.send(9)
    for process in farm.nodes.values():
        process.end(9)
    farm.start()
    ready(farm, *farm.names)
    all_there(farm, live, numbers, *SERVERS)
    check(farm.metric(DISK, "stead_session_shelf_total") + farm.metric(FILE, "stead_session_shelf_total") > 0, "from the files")


def memory(farm, live):
    """Records of 100 KB until no node has room: refused aloud; what was taken is whole; an end makes room."""
    refused, taken, lock = [], {}, threading.Lock()

    def write(i):
        value = {"cart": f"{i}", "much": f"{i:07d}" * 15000}
        status, record = ask(farm, SERVERS[i % 2], "POST", "", {"ttl": 3600, "fields": value})
        with lock:
            if status == 201:
                taken[record["id"]] = value
            else:
                refused.append((status, record.get("error")))
    at_once(write, list(range(1400)))
    check(taken and refused, f"some are taken, some are not: {len(taken)}, {len(refused)}")
    check(all(r in ((507, "FULL"), (503, "FULL"), (503, "BUSY")) for r in refused), f"each is told why: {set(refused)}")
    check(sum(farm.metric(n, "stead_session_full_total") for n in farm.names) > 0, "it is counted")
    check(any("refused for lack of memory" in status(farm, n) for n in farm.names), "and shown")
    for name in farm.names:
        used = farm.status(name)["sessions"]["memory_bytes"]
        check(used <= 32 << 20, f"{name} keeps to its limit: {used}")
        check(farm.ready(name), f"{name} is ready")
    all_there(farm, {**live, **taken}, [], *SERVERS)
    numbers = list(taken)
    for number in numbers[: len(numbers) // 2]:
        check(ask(farm, "s2", "DELETE", f"/{number}")[0] == 204, "an end at the limit")
        del taken[number]
    eventually(lambda: make(farm, "s1", {"much": "x" * 100000}), "there is room again")
    all_there(farm, {**live, **taken}, numbers[: len(numbers) - len(taken)], *SERVERS)


def main():
    args = options()
    real_disk = enter()
    with scenario(args.build, 63) as farm:
        (farm.run / "disk").mkdir()
        if real_disk:
            mount(farm, "3m")
        else:
            print("not root: no disk is full, two files are")
        size = "64m" if real_disk else "3m"
        configure(farm, [DISK, FILE, *SERVERS], {DISK: f'repository {{ path = "run/disk/repository" size-max = "{size}" }}',
                                                 FILE: 'repository { size-max = "3m" }'}, (DISK, *SERVERS))
        farm.start()
        ready(farm, *farm.names)
        live = {}
        for step in (too_much, lambda f, l: room_again(f, l, real_disk), memory):
            step(farm, live)


if __name__ == "__main__":
    main()
