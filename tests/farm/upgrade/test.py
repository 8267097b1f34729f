#!/usr/bin/env python3
"""Every node of a farm is upgraded three times while clients of all kinds are at work: not one of them notices. Then new
processes are killed, or cannot start, and the old ones go on."""
import ctypes
import http.client
import os
import pathlib
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
import kinds
from client import UnixConnection
from farm import DNS, PUBLIC, SHOP, Farm, Process, check, dns_query, eventually, json, options, request, scenario

MEMCACHED = 11311
ROUNDS = 3
CROWD = 600
PR_SET_CHILD_SUBREAPER = 36
PIECE, PIECES = bytes(range(256)) * 64, 400


class Successors(Farm):
    """A node's process changes: its successors become this test's children when their elders end."""

    def __init__(self, *args):
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        super().__init__(*args)
        self.pids = set()
        for name in self.names:
            with open(self.conf(name), "a") as f:
                f.write(f'memcached {{ listen = "{self.ip(name)}:{MEMCACHED}" }}\n')
        kinds.configure(self)

    def start_shop(self, name):
        self.shops[name] = Process([sys.executable, HERE / "server.py", self.ip(name), SHOP, name],
                                   self.log(name, "shop"))

    def upgraded(self, name):
        """What its process says of it; remembers whom to end."""
        c = UnixConnection(self.run / name / "admin.sock")
        try:
            c.request("GET", "/v1/upgrade")
            told = json.loads(c.getresponse().read())
        finally:
            c.close()
        self.pids |= {p for p in (told["pid"], told["successor"]) if p}
        return told

    def upgrade(self, name, *args):
        done = self.cli("upgrade", "-c", self.conf(name), *args)
        self.upgraded(name)
        return done

    def stop(self):
        for name in self.nodes:
            try:
                self.upgraded(name)
            except (OSError, http.client.HTTPException, ValueError):
                pass
        for number in (signal.SIGTERM, signal.SIGKILL):
            for pid in self.pids:
                try:
                    os.kill(pid, number)
                except OSError:
                    pass
            self.gone(8)
        super().stop()

    def gone(self, wait_s):
        """Waits for successors to end; those that are this test's own children are reaped."""
        end = time.monotonic() + wait_s
        known = {p.pid for p in [*self.nodes.values(), *self.shops.values()]}
        while time.monotonic() < end and self.pids - known:
            for pid in list(self.pids - known):
                try:
                    if os.waitpid(pid, os.WNOHANG)[0]:
                        self.pids.discard(pid)
                except ChildProcessError:
                    if not pathlib.Path(f"/proc/{pid}").exists():
                        self.pids.discard(pid)
            time.sleep(0.05)


class Client(threading.Thread):
    """Does one thing again and again; the first thing that goes wrong ends it and is told."""

    def __init__(self, stop, what, do):
        super().__init__(daemon=True)
        self.stop, self.what, self.do = stop, what, do
        self.failed, self.count = None, 0
        self.start()

    def run(self):
        try:
            work = self.do()
            while not self.stop.is_set():
                next(work)
                self.count += 1
                time.sleep(0.004)
        except StopIteration:
            pass
        except Exception as error:
            self.failed = f"{self.what}, after {self.count}: {error!r}"


def good(reply, body):
    check(reply[0] == 200 and reply[1] == body, f"answered {reply}")


def kept_open(farm, name):
    def work():
        c = http.client.HTTPConnection(farm.ip(name), PUBLIC, timeout=15)
        c.connect()
        c.auto_open = 0  # a connection that is closed between two requests counts as a failure
        while True:
            c.request("GET", "/", headers={"Host": f"{name}.shop.test"})
            r = c.getresponse()
            good((r.status, r.read()), name.encode())
            yield
    return work


def newly_opened(farm, name):
    def work():
        while True:
            r = request(farm.ip(name), PUBLIC, "/", host=f"{name}.shop.test:{PUBLIC}")
            good((r.status, r.body), name.encode())
            yield
    return work


def directed(farm, name):
    def work():
        while True:
            r = request(farm.ip(name), PUBLIC, "/", host=f"www.shop.test:{PUBLIC}")
            check(r.status == 307, f"answered {r.status} {r.text}")
            yield
    return work


def sessions(farm, name, kept):
    """By one connection; every acknowledged value is remembered."""
    def work():
        c = UnixConnection(farm.run / f"{name}.sock")
        c.connect()
        c.auto_open = 0

        def ask(method, path, body=None):
            c.request(method, path, json.dumps(body) if body else None)
            r = c.getresponse()
            told = r.read()
            check(r.status in (200, 201), f"{method} {path}: {r.status} {told}")
            return json.loads(told)

        while True:
            one = ask("POST", "/v1/sessions/purchase", {"fields": {"n": "0"}})["id"]
            kept[one] = "0"
            for n in range(1, 8):
                ask("PATCH", f"/v1/sessions/purchase/{one}", {"set": {"n": str(n)}})
                kept[one] = str(n)
                yield
            check(ask("GET", f"/v1/sessions/purchase/{one}")["fields"]["n"] == "7", "an old value")
    return work


def asking(farm, name):
    def work():
        while True:
            rcode, found = dns_query(farm.ip(name), DNS, "www.shop.test")
            check(rcode == 0 and found, f"DNS answered {rcode} {found}")
            yield
    return work


def caching(farm, name):
    def work():
        s = socket.create_connection((farm.ip(name), MEMCACHED), timeout=15)
        f = s.makefile("rwb")
        n = 0

        def ask(line):
            f.write(line)
            f.flush()
            return f.readline()

        while True:
            n += 1
            value = f"{name}-{n}".encode()
            key = b"k-%s-%d" % (name.encode(), n % 50)
            line = kinds.patiently(lambda: ask(b"set %s 0 0 %d\r\n%s\r\n" % (key, len(value), value)))
            check(line == b"STORED\r\n", f"set: {line}")
            line = kinds.patiently(lambda: ask(b"get %s\r\n" % key))
            check(line.startswith(b"VALUE"), f"get: {line}")
            check(f.readline().strip() == value and f.readline() == b"END\r\n", "another value")
            yield
    return work


def tunnelling(farm, name, total):
    """Both ways through a tunnel, every byte looked at."""
    def work():
        s = socket.create_connection((farm.ip(name), PUBLIC), timeout=20)
        s.sendall(f"GET /tunnel HTTP/1.1\r\nHost: {name}.shop.test\r\nConnection: Upgrade\r\n"
                  "Upgrade: echo\r\n\r\n".encode())
        f = s.makefile("rb")
        check(b" 101 " in f.readline(), "no tunnel")
        while f.readline().strip():
            pass
        n = 0
        while True:
            n += 1
            s.sendall(struct.pack(">Q", n) * 100)
            check(f.read(800) == struct.pack(">Q", n) * 100, "the tunnel gives other bytes")
            total[name] = n
            yield
    return work


def download(farm, stop, name, result):
    """One behind the other on a connection, so that at any moment an answer is under way."""
    c, whole = http.client.HTTPConnection(farm.ip(name), PUBLIC, timeout=60), True
    while whole and not stop.is_set():
        c.request("GET", "/long", headers={"Host": f"{name}.shop.test"})
        c.auto_open = 0
        r = c.getresponse()
        whole = r.status == 200 and r.read() == PIECE * PIECES
    result[name] = whole


def everybody(farm, stop, kept, total):
    clients = []
    for name in farm.names:
        for what, do in (("kept open", kept_open(farm, name)), ("newly opened", newly_opened(farm, name)),
                         ("directed", directed(farm, name)), ("sessions", sessions(farm, name, kept)),
                         ("DNS", asking(farm, name)), ("memcached", caching(farm, name)),
                         ("tunnel", tunnelling(farm, name, total)), ("https", kinds.https(farm, name)),
                         ("HTTP/2", kinds.http2(farm, name)), ("Redis", kinds.redis(farm, name)),
                         ("TCP service", kinds.echoing(farm, name)), ("stunnel", kinds.resuming(farm, name))):
            clients.append(Client(stop, f"{what} at {name}", do))
    return clients


def all_kept(farm, kept):
    for name in farm.names:
        c = UnixConnection(farm.run / f"{name}.sock")
        for one, value in kept.items():
            c.request("GET", f"/v1/sessions/purchase/{one}")
            r = c.getresponse()
            told = r.read()
            check(r.status == 200 and json.loads(told)["fields"]["n"] == value, f"{one} at {name}: {r.status} {told}")
        c.close()


def runs(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def crowd(farm, name):
    """More than are on their way between the two processes at once, who say nothing while that happens."""
    many = [socket.create_connection((farm.ip(name), kinds.ECHO), timeout=20) for _ in range(CROWD)]
    for s in many:
        s.sendall(b"here")
        check(s.recv(4, socket.MSG_WAITALL) == b"here", "an echo")
    return many


def still_there(many):
    for i, s in enumerate(many):
        s.sendall(struct.pack("!I", i))
        check(s.recv(4, socket.MSG_WAITALL) == struct.pack("!I", i), f"connection {i} of the crowd")
        s.close()


def old_ones_end(farm, old):
    """Though every client is still there, with what runs through it."""
    eventually(lambda: not any(runs(pid) for pid in old), f"the {len(old)} old processes have ended")
    for name in farm.names:
        def counted(name=name):
            return {s["service"]: s["users"] for s in farm.roster(name)["servers"] if s["name"] == name}["echo"] == 1
        eventually(counted, f"the one user of {name}'s echo is counted once")


def three_rounds(farm):
    stop, kept, total, whole = threading.Event(), {}, {}, {}
    clients, old = everybody(farm, stop, kept, total), []
    downloads = [threading.Thread(target=download, args=(farm, stop, n, whole), daemon=True) for n in farm.names]
    for d in downloads:
        d.start()
    many = crowd(farm, "s1")
    for _ in range(ROUNDS):
        for name in farm.names:
            before = farm.status(name)
            old.append(before["pid"])
            done = farm.upgrade(name)
            check(done.returncode == 0, f"upgrade of {name}: {done.stderr}")
            after = farm.status(name)
            check(after["pid"] != before["pid"] and after["incarnation"] != before["incarnation"], "the same process")
            check(after["id"] == before["id"] and after["ready"], f"another node: {after}")
    still_there(many)
    old_ones_end(farm, old)
    time.sleep(0.5)
    stop.set()
    for c in [*clients, *downloads]:
        c.join(30)
    failed = [c.failed for c in clients if c.failed]
    check(not failed, f"{len(failed)} clients noticed: {failed}")
    check(all(c.count > 20 for c in clients), f"a client did nothing: {[(c.what, c.count) for c in clients]}")
    check(whole == {n: True for n in farm.names}, f"downloads: {whole}")
    all_kept(farm, kept)


def killed_midway(farm, name, state):
    """The new process dies when the old one has got so far."""
    pid = farm.status(name)["pid"]
    c = UnixConnection(farm.run / name / "admin.sock")
    c.request("POST", "/v1/upgrade")
    c.getresponse().read()
    c.close()
    told = eventually(lambda: (t := farm.upgraded(name))["successor"] and t, "a new process")
    if state == "late":
        time.sleep(0.05)
    os.kill(told["successor"], signal.SIGKILL)

    def goes_on():
        told = farm.upgraded(name)
        return told["pid"] == pid and told["state"] == "failed"
    eventually(goes_on, "the old process goes on")
    check(farm.status(name)["ready"], "and is ready")


def killed_while_handing(farm, name):
    """The new process serves, and the old one has not left the farm: what ran through that one runs on. True: it was
    so; False: the old one was faster, and the upgrade is done."""
    admin = UnixConnection(farm.run / name / "admin.sock")  # it stays the old one's

    def asked(method="GET"):
        admin.request(method, "/v1/upgrade")
        told = json.loads(admin.getresponse().read())
        farm.pids |= {p for p in (told.get("pid"), told.get("successor")) if p}
        return told
    asked("POST")
    end = time.monotonic() + 60
    while (told := asked())["state"] in ("idle", "joining", "taking") and time.monotonic() < end:
        time.sleep(0.001)
    if told["state"] != "handing":
        check(told["state"] in ("parted", "done"), f"the upgrade: {told}")
        admin.close()
        return False
    os.kill(told["successor"], signal.SIGSTOP)
    if asked()["state"] != "handing":
        os.kill(told["successor"], signal.SIGCONT)
        admin.close()
        return False
    os.kill(told["successor"], signal.SIGKILL)
    eventually(lambda: asked()["state"] == "failed", "the old process goes on")
    admin.close()
    check(farm.status(name)["pid"] == told["pid"], "at every door")
    eventually(lambda: farm.status(name)["ready"], "and is ready")
    return True


def takes_all_back(farm, name, kept):
    stop = threading.Event()
    clients = [Client(stop, "tunnel", tunnelling(farm, name, {})), Client(stop, "TCP service", kinds.echoing(farm, name))]
    eventually(lambda: all(c.count > 3 or c.failed for c in clients), "they are at work")
    check(any(killed_while_handing(farm, name) for _ in range(5)), "five new processes were too fast to be killed")
    counts = [c.count for c in clients]
    eventually(lambda: all(c.failed or c.count > n + 20 for c, n in zip(clients, counts)), "they go on")
    stop.set()
    for c in clients:
        c.join(30)
    check(not any(c.failed for c in clients), f"noticed: {[c.failed for c in clients]}")
    all_kept(farm, kept)


def refuses(farm, name):
    """A configuration that is none, a program that is none: said, and nothing else."""
    pid = farm.status(name)["pid"]
    bad = farm.dir / "bad.conf"
    bad.write_text("farm = \n")
    for args in (("--config", bad), ("--binary", "/bin/false"), ("--binary", "/etc/hostname")):
        done = farm.upgrade(name, *args)
        check(done.returncode == 1 and "the old process goes on" in done.stderr, f"{args}: {done.stderr}")
        check(farm.status(name)["pid"] == pid and farm.status(name)["ready"], f"after {args}")


def main():
    args = options()
    with scenario(args.build, 21, make=Successors) as farm:
        farm.started()
        three_rounds(farm)
        stop, kept = threading.Event(), {}
        clients = everybody(farm, stop, kept, {})
        refuses(farm, "s1")
        killed_midway(farm, "s2", "early")
        stop.set()
        for c in clients:
            c.join(30)
        failed = [c.failed for c in clients if c.failed]
        check(not failed, f"a failed upgrade was noticed: {failed}")
        takes_all_back(farm, "s3", kept)
        for name in ("s2", "s3"):
            check(farm.upgrade(name).returncode == 0, "an upgrade after one that failed")
        all_kept(farm, kept)


main()
