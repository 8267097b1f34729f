#!/usr/bin/env python3
"""examples/tls-server, a program with libstead-tls, in two copies each beside its own node: what began at one is resumed at the
other, by openssl s_client, in every way; who logged in at one is known at the other until the login is ended; single use is
single; without its node a server serves, and uses it again when it is back.

usage: test.py --build DIR
"""
import concurrent.futures
import re
import subprocess
import sys
import pathlib
import signal

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from farm import Process, check, eventually, options, scenario, socket

PORTS = {"shared": 8451, "single-use": 8452}
# name, mode of the server, what the client says, who opens it
WAYS = (("ids of TLS 1.2", "shared", ("-tls1_2", "-no_ticket")),
        ("tickets of TLS 1.2", "shared", ("-tls1_2",)),
        ("tickets of TLS 1.3", "shared", ("-tls1_3",)),
        ("ids of TLS 1.2, the server has no tickets", "single-use", ("-tls1_2",)),
        ("TLS 1.3, single use", "single-use", ("-tls1_3",)))


class Answer:
    def __init__(self, text):
        found = re.search(r"^(TLSv1\.[23]) (resumed|full) user=(\S*) cert=(.*) (\w*)$", text, re.M)
        check(found, f"no answer: {text[-600:]}")
        self.resumed, self.user, self.cert, self.error = found[2] == "resumed", found[3], found[4], found[5]


class Servers:
    def __init__(self, farm):
        self.farm, self.processes = farm, {}
        self.dir = farm.dir
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
                        "2", "-subj", "/CN=shop.test", "-keyout", self.dir / "tls.key", "-out", self.dir / "tls.pem"],
                       check=True, capture_output=True)

    def start(self, name, mode):
        at = f"{self.farm.ip(name)}:{PORTS[mode]}"
        argv = [self.farm.build / "tls-server", at, self.dir / "tls.pem", self.dir / "tls.key", f"unix:{self.farm.run / name}.sock"]
        self.processes[name, mode] = Process([*argv, *([mode] if mode == "single-use" else [])], self.farm.log(name, mode))
        eventually(lambda: socket.create_connection((self.farm.ip(name), PORTS[mode]), 5).close() is None, f"{at} listens")

    def visit(self, name, mode, flags, path="/", use=None, keep=None):
        """One connection of openssl s_client."""
        argv = ["openssl", "s_client", "-connect", f"{self.farm.ip(name)}:{PORTS[mode]}", "-ign_eof", *flags]
        argv += ["-sess_in", use] if use else []
        argv += ["-sess_out", keep] if keep else []
        done = subprocess.run(argv, input=f"GET {path} HTTP/1.0\r\n\r\n", capture_output=True, text=True, timeout=60, check=False)
        return Answer(done.stdout + done.stderr)


def resumed_elsewhere(s, name, mode, flags):
    """What the first connection left is there a moment later, not at once: it is sent without waiting."""
    file, used = s.dir / "session", s.dir / "used"
    check(not s.visit("s1", mode, flags, keep=file).resumed, f"{name}: the first is a full handshake")
    eventually(lambda: s.visit("s2", mode, flags, use=file, keep=used).resumed, f"{name}: resumed elsewhere")
    again = s.visit("s1", mode, flags, use=file).resumed
    once = mode == "single-use" and "-tls1_3" in flags
    check(again != once, f"{name}: used a second time at the first: {again}")
    if once:
        check(not s.visit("s2", mode, flags, use=file).resumed, f"{name}: used a third time")
        return
    if used.exists():  # a client that has only an id gets no other
        used.replace(file)
    check(s.visit("s1", mode, flags, use=file).resumed, f"{name}: and back")


def resumes(s, at, mode, flags, file):
    """Resumes, and keeps what the next one needs."""
    fresh = s.dir / "fresh"
    answer = s.visit(at, mode, flags, use=file, keep=fresh)
    if fresh.exists():
        fresh.replace(file)
    return answer


def logged_in_elsewhere(s, name, mode, flags):
    file = s.dir / "login"
    first = s.visit("s1", mode, (*flags, "-cert", s.dir / "tls.pem", "-key", s.dir / "tls.key"), "/login/ann", keep=file)
    check(first.user == "ann" and not first.error, f"{name}: logged in: {vars(first)}")
    there = eventually(lambda: (a := resumes(s, "s2", mode, flags, file)).resumed and a, f"{name}: the login comes along")
    check(there.user == "ann" and "CN = shop.test" in there.cert.replace("CN=", "CN = "), f"{name}: who it is: {vars(there)}")
    eventually(lambda: (a := resumes(s, "s1", mode, flags, file)).resumed and a.user == "ann", f"{name}: and back")
    other = s.visit("s2", mode, flags)
    check(other.user == "", f"{name}: nobody else is ann: {vars(other)}")
    # Its end is its end everywhere, though the TLS session goes on.
    done = s.farm.cli("session", "end", "--user", "ann", "-c", s.farm.conf("s1"))
    check(done.returncode == 0, f"session end: {done.stderr}")

    def nobody():
        answer = resumes(s, "s2", mode, flags, file)
        check(answer.user in ("", "ann"), vars(answer))
        return answer.resumed and answer.user == ""
    eventually(nobody, f"{name}: the login is ended everywhere")


def used_by_one(s):
    """Many show one ticket at both servers at the same time."""
    file, flags = s.dir / "raced", ("-tls1_3",)
    for _ in range(3):
        s.visit("s1", "single-use", flags, keep=file)
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            visits = [pool.submit(s.visit, ("s1", "s2")[i % 2], "single-use", flags, "/", file) for i in range(8)]
        resumed = sum(v.result().resumed for v in visits)
        check(resumed <= 1, f"one ticket was taken {resumed} times")


def another_key(s):
    """The farm's key is changed: what was sealed before opens still, and so does at one what the other seals with the new one."""
    old, new, flags = s.dir / "old", s.dir / "new", ("-tls1_3",)
    s.visit("s1", "shared", flags, keep=old)
    for order in (("add",), ("activate", "2")):
        def done(order=order):
            cli = s.farm.cli("key", *order, "-c", s.farm.conf("s1"))
            check(cli.returncode == 0, f"key {order}: {cli.stdout}{cli.stderr}")
            return True
        eventually(done, f"stead key {order}")
    check(s.visit("s2", "shared", flags, use=old).resumed, "sealed with the older key")

    def both_ways():
        s.visit("s1", "shared", flags, keep=new)
        there = s.visit("s2", "shared", flags, use=new).resumed
        s.visit("s2", "shared", flags, keep=new)
        return there and s.visit("s1", "shared", flags, use=new).resumed
    eventually(both_ways, "with the newer one")


def without_a_node(s):
    """Its server serves: with the keys that it has, and by full handshakes."""
    ticket, sid = s.dir / "ticket", s.dir / "sid"
    s.visit("s2", "shared", ("-tls1_3",), keep=ticket)
    s.visit("s2", "shared", ("-tls1_2", "-no_ticket"), keep=sid)
    s.farm.kill("s1", ("node",))
    check(s.visit("s1", "shared", ("-tls1_3",), use=ticket).resumed, "tickets go on without a node")
    check(not s.visit("s1", "shared", ("-tls1_2", "-no_ticket"), use=sid).resumed, "ids do not")
    check("the node is lost" in s.farm.log("s1", "shared").read_text(), "it is said")
    s.farm.start_node("s1")
    eventually(lambda: s.visit("s1", "shared", ("-tls1_2", "-no_ticket"), use=sid).resumed, "ids again")
    check("the node is back" in s.farm.log("s1", "shared").read_text(), "it is said")


def stopped_node(s):
    """A node that stands still costs a while, and no handshake."""
    sid = s.dir / "sid"
    s.visit("s2", "shared", ("-tls1_2", "-no_ticket"), keep=sid)
    s.farm.nodes["s1"].send(signal.SIGSTOP)
    answer = s.visit("s1", "shared", ("-tls1_2", "-no_ticket"), use=sid)
    s.farm.nodes["s1"].send(signal.SIGCONT)
    check(not answer.resumed, "a full handshake")


def main():
    args = options()
    with scenario(args.build, 60) as farm:
        farm.started()
        s = Servers(farm)
        for name in ("s1", "s2"):
            for mode in PORTS:
                s.start(name, mode)
        for way in WAYS:
            resumed_elsewhere(s, *way)
            logged_in_elsewhere(s, *way)
        used_by_one(s)
        another_key(s)
        stopped_node(s)
        without_a_node(s)
        for process in s.processes.values():
            check(process.runs(), "a server has ended")
            process.end(signal.SIGTERM)


main()
