#!/usr/bin/env python3
"""examples/session/visits, a server's program with libstead: a session goes on at every node, also after the one where
it was begun is dead, until it is ended; and what goes wrong is said."""
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from client import UnixConnection
from farm import check, eventually, json, options, scenario

NAMES = set("state local remote options snd_una snd_nxt rcv_nxt snd_wnd snd_wl1 max_wnd rcv_wnd rcv_wup snd_wscale rcv_wscale mss "
            "ts_val ts_recent unacked unsent unread".split())


def visits(farm, name, *args):
    done = subprocess.run([farm.build / "visits", f"unix:{farm.run / name}.sock", *args], capture_output=True, text=True,
                          timeout=30, check=False)
    check(done.returncode in (0, 1) and "Sanitizer" not in done.stderr, f"visits: {done.returncode} {done.stderr}")
    return done.stdout.split() if done.returncode == 0 else done.stderr.split(":")[0]


def connections(farm):
    """examples/session/connection: a socket's state, kept at one node, is the same at another, and the session API names it."""
    where = [f"unix:{farm.run / name}.sock" for name in ("s1", "s3")]
    done = subprocess.run([farm.build / "connection", *where], capture_output=True, text=True, timeout=30, check=False)
    if done.stderr.startswith("DENIED"):
        print("no CAP_NET_ADMIN: connections are not looked at")
        return
    check(done.returncode == 0, f"connection: {done.returncode} {done.stderr}")
    key, same, count = done.stdout.split()[:3]
    check(same == "same" and count == "4999", f"the state at another node: {done.stdout}")
    client = UnixConnection(farm.run / "s2.sock")
    client.request("GET", f"/v1/sessions/tcp/{key}")
    shown = json.loads(client.getresponse().read())["fields"]
    client.close()
    check(shown["state"] == "established" and shown["local"].startswith("127.0.0.1:") and shown["unread"] == "", f"it is shown: {shown}")
    check(set(shown) == NAMES and 0 < int(shown["mss"]) < 65536, f"by its names: {sorted(shown)}")


def main():
    args = options()
    with scenario(args.build, 39) as farm:
        farm.started()
        sid, count = visits(farm, "s1")
        check(count == "1", f"the first visit: {count}")
        for number, name in enumerate(("s1", "s2", "s3"), 2):
            check(visits(farm, name, sid) == [sid, str(number)], f"visit {number} at {name}")
        connections(farm)
        farm.kill("s1")
        last = eventually(lambda: isinstance(got := visits(farm, "s2", sid), list) and got, "a visit while s1 is dead")
        check(int(last[1]) >= 5, f"no visit is lost: {last}")
        check(visits(farm, "s3", sid, "end") == [sid, str(int(last[1]) + 1)], "the last visit")
        check(visits(farm, "s2", sid) in ("ABSENT", "ENDED"), "it is no more")
        check(visits(farm, "s2", "a/b") == "INVAL", "an id that is none")
        check(visits(farm, "s1", sid) == "UNREACHABLE", "no node here")


main()
