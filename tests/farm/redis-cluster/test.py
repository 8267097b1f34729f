#!/usr/bin/env python3
"""A repository in a Redis Cluster of six. A primary is killed while sessions are made and changed, a replica takes its place, and
slots are moved; then all nodes lose their memory at once. What was acknowledged is there, from the repository alone.

usage: test.py --build DIR
"""
import pathlib
import subprocess
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from farm import check, eventually, options, scenario
from kept import ask, configure, fields, make, ready, wait_kept
from redis_servers import PORT, available, cluster, role, whole

REPOSITORY = """repository {{
    engine  = "redis"
    address = "{addresses}"
}}
"""
NAMES = ["s5", "s1", "s2"]


class Writer(threading.Thread):
    """Makes sessions and changes them, until it is told to end; `live` has what was acknowledged."""

    def __init__(self, farm, name):
        super().__init__(daemon=True)
        self.farm, self.name, self.live = farm, name, {}
        self.ends, self.failed = threading.Event(), None

    def run(self):
        try:
            for i in range(100000):
                if self.ends.is_set():
                    return
                number = make(self.farm, self.name, {"cart": f"{i}"})
                self.live[number] = {"cart": f"{i}"}
                changed = list(self.live)[i // 2]
                status, record = ask(self.farm, self.name, "PATCH", f"/{changed}", {"set": {"cart": f"then {i}"}})
                check(status == 200, f"a change: {status} {record}")
                self.live[changed] = {"cart": f"then {i}"}
        except Exception as error:  # told by the test's own thread
            self.failed = repr(error)

    def made(self, count):
        """Until so many more were made."""
        wanted = len(self.live) + count
        eventually(lambda: self.failed or len(self.live) >= wanted, f"{self.name} goes on")
        check(not self.failed, f"{self.name}: {self.failed}")

    def end(self):
        self.ends.set()
        self.join(30)
        check(not self.failed, f"{self.name}: {self.failed}")


def lose_primary(farm, servers, writers):
    victim = next(s for s in servers if role(s) == "master")
    rest = [s for s in servers if s is not victim]
    victim.kill()
    for writer in writers:
        writer.made(40)
    eventually(lambda: all(whole(s) for s in rest) and sum(role(s) == "master" for s in rest) == 3, "a replica took over", 30)
    for writer in writers:
        writer.made(40)
    wait_kept(farm, "s5")
    check(farm.metric("s5", "stead_repository_failures_total") > 0, "the loss was seen")
    return rest


def move_slots(farm, servers, writers):
    primaries = [s for s in servers if role(s) == "master"]
    giver, taker = (s.client().execute_command("CLUSTER MYID").decode() for s in primaries[:2])
    moved = subprocess.run(["redis-cli", "--cluster", "reshard", f"{primaries[0].ip}:{PORT}", "--cluster-from", giver,
                            "--cluster-to", taker, "--cluster-slots", "400", "--cluster-yes"],
                           capture_output=True, text=True, timeout=60, check=False)
    check(moved.returncode == 0, f"slots are moved: {moved.stdout[-300:]} {moved.stderr[-300:]}")
    for writer in writers:
        writer.made(40)
    wait_kept(farm, "s5")


def begin_anew(farm):
    """Only the repository's servers know what there was."""
    for process in farm.nodes.values():
        process.send(9)
    for process in farm.nodes.values():
        process.end(9)
    farm.start()
    ready(farm, *NAMES)


def all_there(farm, live):
    def good():
        for i, (number, want) in enumerate(live.items()):
            got = fields(farm, ("s1", "s2")[i % 2], number)
            check(got == want, f"{number}: {got}, not {want}")
        return True
    eventually(good, "all that was acknowledged is there")


def main():
    available()
    args = options()
    with scenario(args.build, 44) as farm:
        servers = cluster(farm, [f"127.0.{farm.block}.{50 + i}" for i in range(6)], "appendonly yes")
        addresses = ", ".join(f"{s.ip}:{PORT}" for s in servers[:3])
        configure(farm, NAMES, {"s5": REPOSITORY.format(addresses=addresses)})
        farm.start()
        ready(farm, *NAMES)
        writers = [Writer(farm, "s1"), Writer(farm, "s2")]
        for writer in writers:
            writer.start()
            writer.made(40)
        print("a primary is lost", flush=True)
        rest = lose_primary(farm, servers, writers)
        print("slots are moved", flush=True)
        move_slots(farm, rest, writers)
        for writer in writers:
            writer.end()
        wait_kept(farm, "s5")
        live = writers[0].live | writers[1].live
        print(f"{len(live)} sessions; a power cut", flush=True)
        begin_anew(farm)
        all_there(farm, live)
        check(farm.metric("s5", "stead_repository_loaded_total") >= len(live), "they came from the servers")


main()
