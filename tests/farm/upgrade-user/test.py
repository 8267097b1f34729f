#!/usr/bin/env python3
"""A node that gave root up is upgraded by what it has left: it goes on at its port below 1024, with a tunnel through it and
no right more than before; what it has no right to any more it says, and the old process goes on."""
import ctypes
import os
import pathlib
import pwd
import re
import signal
import socket
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent)]
from client import UnixConnection
from farm import PUBLIC, SHOP, Farm, Process, check, json, options, request, scenario

USER, PORT = pwd.getpwnam("nobody"), 81
PR_SET_CHILD_SUBREAPER = 36


class Dropped(Farm):
    def __init__(self, *args):
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        super().__init__(*args)
        self.pids = set()
        os.chmod(self.dir, 0o755)
        os.chmod(self.run, 0o777)
        conf = self.conf("s1")
        text = conf.read_text().replace('farm     = "shop"', 'farm     = "shop"\nuser = "nobody"')
        conf.write_text(text.replace(f'listen = "{self.ip("s1")}:{PUBLIC}"', f'listen = "{self.ip("s1")}:{PORT}"'))
        os.chown(self.run / "farm.key", USER.pw_uid, USER.pw_gid)

    def start_shop(self, name):
        self.shops[name] = Process([sys.executable, HERE.parent / "upgrade" / "server.py", self.ip(name), SHOP, name],
                                   self.log(name, "shop"))

    def told(self):
        c = UnixConnection(self.run / "s1" / "admin.sock")
        try:
            c.request("GET", "/v1/upgrade")
            return json.loads(c.getresponse().read())
        finally:
            c.close()

    def upgrade(self, *args):
        done = self.cli("upgrade", "-c", self.conf("s1"), *args)
        told = self.told()
        self.pids |= {p for p in (told["pid"], told["successor"]) if p}
        return done

    def stop(self):
        for pid in self.pids - {self.nodes["s1"].pid}:
            for number in (signal.SIGTERM, signal.SIGKILL):
                if self.runs(pid):
                    os.kill(pid, number)
                end = time.monotonic() + 8
                while time.monotonic() < end and self.runs(pid):
                    time.sleep(0.05)
        super().stop()

    def runs(self, pid):
        """Those that began as its successors are this test's children by now."""
        try:
            return os.waitpid(pid, os.WNOHANG)[0] == 0
        except ChildProcessError:
            return pathlib.Path(f"/proc/{pid}").exists()


def rights(pid):
    """Of every thread."""
    found = set()
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        text = (task / "status").read_text()
        found.add((re.search(r"^Uid:\t(\d+)\t(\d+)\t(\d+)", text, re.M).groups(),
                   *re.findall(r"^Cap(?:Inh|Prm|Eff|Amb):\t(\w+)", text, re.M)))
    return found


def tunnel(farm):
    s = socket.create_connection((farm.ip("s1"), PORT), timeout=20)
    s.sendall(b"GET /tunnel HTTP/1.1\r\nHost: s1.shop.test\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
    f = s.makefile("rb")
    check(b" 101 " in f.readline(), "no tunnel")
    while f.readline().strip():
        pass
    return s, f


def says(tunnelled, text):
    s, f = tunnelled
    s.sendall(text)
    check(f.read(len(text)) == text, "the tunnel gives other bytes")


def main():
    args = options()
    if os.geteuid() != 0:
        print("this is for root")
        sys.exit(77)
    with scenario(args.build, 15, make=Dropped) as farm:
        farm.started()
        through = tunnel(farm)
        says(through, b"before")
        nothing, ids = "0" * 16, (str(USER.pw_uid),) * 3
        for n in range(3):
            before = farm.told()["pid"]
            done = farm.upgrade()
            check(done.returncode == 0, f"upgrade {n}: {done.stderr}")
            after = farm.told()["pid"]
            check(after != before, "the same process")
            check(rights(after) == {(ids, nothing, nothing, nothing, nothing)}, f"its rights: {rights(after)}")
            says(through, b"after %d" % n)
            reply = request(farm.ip("s1"), PORT, "/", host=f"s1.shop.test:{PORT}")
            check(reply.status == 200, f"its port: {reply.status}")
        last = farm.told()["pid"]
        conf = farm.conf("s1")
        good = conf.read_text()
        conf.write_text(good.replace(f":{PORT}\"", ":82\""))
        done = farm.upgrade()
        check(done.returncode == 1 and "the old process goes on" in done.stderr, f"a new port below 1024: {done.stderr}")
        check("82: " in farm.log("s1").read_text(), "and why is in the log")
        conf.write_text(good)
        os.chown(farm.run / "farm.key", 0, 0)
        done = farm.upgrade()
        check(done.returncode == 1, "a key that only root may read")
        check("this user may not read it" in farm.log("s1").read_text(), "and why is in the log")
        os.chown(farm.run / "farm.key", USER.pw_uid, USER.pw_gid)
        check(farm.told()["pid"] == last, "the old process went on")
        check(farm.upgrade().returncode == 0, "and can be upgraded again")
        says(through, b"still")


main()
