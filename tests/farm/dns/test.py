#!/usr/bin/env python3
"""The name server as its clients see it: dig and kdig by UDP, TCP and IPv6; records of a file, read again on SIGHUP; odd
queries from the wild; floods, slow and greedy connections, all counted; and answers that follow the roster meanwhile.

usage: test.py --build DIR
"""
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import wire
from farm import DNS, check, eventually, options, scenario
from wire import A, TC, Message, ask_tcp, ask_udp, connect, opt, option, query, recv_exactly, recv_tcp, send_tcp

ODD = pathlib.Path(__file__).resolve().parent / "odd.txt"
RECORDS = """$TTL 60
@ TXT "version one"
mail A 192.0.2.25
web CNAME www
*.any TXT "any"
sub NS ns.sub
ns.sub A 192.0.2.70
"""


def free_port6():
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as s:
        s.bind(("::1", 0))
        return s.getsockname()[1]


def configure(farm):
    """s1 has a second listener and a file; s2 limits loopback too, which is exempt otherwise."""
    port6 = free_port6()
    (farm.dir / "more.zone").write_text(RECORDS)
    for name, dns in (("s1", f'listen = {{"{farm.ip("s1")}:{DNS}", "[::1]:{port6}"}} ttl = 5 records = "more.zone"'),
                      ("s2", f'listen = "{farm.ip("s2")}:{DNS}" ttl = 5 rate-limit = 40 rate-exempt = {{"192.0.2.0/24"}}')):
        text = re.sub(r"(?m)^dns .*$", f"dns {{ {dns} }}", farm.conf(name).read_text())
        farm.conf(name).write_text(text)
    return port6


def run(*argv):
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    check(done.returncode == 0, f"{argv}: {done.returncode} {done.stdout} {done.stderr}")
    return done.stdout


def asked_by_tools(farm, port6):
    ip, all_three = farm.ip("s1"), sorted(farm.ip(n) for n in farm.servers)
    for tool in filter(shutil.which, ("dig", "kdig")):
        once = ["+time=5", "+tries=1" if tool == "dig" else "+retry=0"]
        at, six = [f"@{ip}", "-p", str(DNS), *once], ["@::1", "-p", str(port6), *once]
        for extra in ([], ["+tcp"], ["+noedns"], ["+nocookie"] if tool == "dig" else [], ["+dnssec"]):
            check(sorted(run(tool, *at, *extra, "+short", "www.shop.test").split()) == all_three, f"{tool} {extra}")
        check(sorted(run(tool, *six, "+short", "www.shop.test").split()) == all_three, f"{tool} by IPv6")
        check(sorted(run(tool, *six, "+tcp", "+short", "www.shop.test").split()) == all_three, f"{tool} by IPv6 and TCP")
        check(run(tool, *at, "+short", "AAAA", "www.shop.test") == "", f"{tool}: no AAAA")
        check(run(tool, *at, "+short", "SOA", "shop.test").startswith("ns.shop.test. hostmaster.shop.test. "), f"{tool}: SOA")
        check(run(tool, *at, "+short", "NS", "shop.test") == "ns.shop.test.\n", f"{tool}: NS")
        check(len(run(tool, *at, "+short", "SRV", "_http._tcp.www.shop.test").splitlines()) == 3, f"{tool}: SRV")
        check(run(tool, *at, "+short", "TXT", "shop.test") == '"version one"\n', f"{tool}: TXT")
        check(run(tool, *at, "+short", "web.shop.test").startswith("www.shop.test.\n"), f"{tool}: CNAME")
        check("HINFO" in run(tool, *at, "+notcp", "ANY", "www.shop.test") or tool == "kdig", f"{tool}: ANY")
        for name, status in (("no.shop.test", "NXDOMAIN"), ("example.com", "REFUSED")):
            check(f"status: {status}" in run(tool, *at, name), f"{tool} {name}")
    if shutil.which("dig"):
        said = run("dig", f"@{ip}", "-p", str(DNS), "+cookie=2464c4abcf10c957", "www.shop.test")
        check(re.search(r"COOKIE: 2464c4abcf10c957[0-9a-f]{32} \(good\)", said), f"cookie: {said}")


def odd_queries(farm):
    where, answered = (farm.ip("s1"), DNS), 0
    for line in ODD.read_text().splitlines():
        if line.startswith("#"):
            continue
        wanted, hexed, what = line.split(None, 2)
        message = bytes.fromhex(hexed)
        got = ask_udp(where, message, 0.3 if wanted == "SILENT" else 5)
        if got is None:
            check(wanted == "SILENT", f"no answer to: {what}")
            continue
        m = Message(got)
        check(wanted != "SILENT" and m.rcode == getattr(wire, wanted), f"{what}: rcode {m.rcode}, not {wanted}")
        check(got[:2] == message[:2] and m.flags & 0x8000 and m.opcode == message[2] >> 3 & 15, f"{what}: the header")
        # An amplifier would be large; where no cookie or record is given, nothing is larger than the query and EDNS.
        check(m.rcode in (0, 3) or len(got) <= len(message) + 30, f"{what}: {len(got)} bytes for {len(message)}")
        answered += 1
    check(answered > 60, "the list was read")


def case_is_kept(farm):
    message = query("wWw.ShOP.tEsT", extra=opt())
    got = ask_udp((farm.ip("s1"), DNS), message)
    check(got[12:27] == message[12:27] and len(Message(got).answers) == 3, "the question comes back as it was sent")


def limits(farm):
    where = (farm.ip("s2"), DNS)
    message = query("www.shop.test", extra=opt())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.connect(where)
        s.settimeout(1)
        began = time.monotonic()
        for _ in range(600):
            s.send(message)
        took, whole, slips, cookies = time.monotonic() - began, 0, 0, None
        while True:
            try:
                m = Message(s.recv(65535))
            except socket.timeout:
                break
            slips += bool(m.flags & TC)
            whole += len(m.answers) == 3
            check(len(m.answers) == 3 or len(m.bytes) <= len(message), "what is above the limit gets no more than it sent")
        check(1 <= whole <= 40 + 40 * (took + 2), f"{whole} answers within {took:.1f} s")
        check(slips > 100, f"{slips} were told to use TCP")
        check(len(Message(ask_tcp(where, message)).answers) == 3, "who comes by TCP is answered")
        # Whoever speaks of cookies is told his own instead, and is under no limit with it.
        with_cookie = query("www.shop.test", extra=opt(options=option(10, b"abcdefgh")))
        for _ in range(20):
            s.send(with_cookie)
        cookies = Message(s.recv(65535)).options[10]
        check(len(cookies) == 24, "a cookie")
        good = query("www.shop.test", extra=opt(options=option(10, cookies)))
        while True:  # what is on its way still
            try:
                s.settimeout(0.3)
                s.recv(65535)
            except socket.timeout:
                break
        s.settimeout(5)
        for _ in range(300):
            s.send(good)
            m = Message(s.recv(65535))
            check(m.rcode == 0 and len(m.answers) == 3, "with a cookie there is no limit")
    check(farm.metric("s2", "stead_dns_limited_total") >= 400, "counted")
    check(farm.metric("s2", "stead_dns_cookies_total") >= 300, "cookies are counted")


def greedy_connections(farm):
    where = (farm.ip("s1"), DNS)
    one = query("www.shop.test", number=7)
    frame = len(one).to_bytes(2, "big") + one
    with connect(where) as s:  # many at once, answered in their order
        s.sendall(b"".join((len(one)).to_bytes(2, "big") + n.to_bytes(2, "big") + one[2:] for n in range(500)))
        check([Message(recv_tcp(s)).id for _ in range(500)] == list(range(500)), "pipelined")
    for bad in (b"\xff\xff", b"\x10\x01" + b"x" * 500, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\0\0", b"\0\3abc"):
        with connect(where) as s:
            s.sendall(bad)
            try:
                check(s.recv(1) == b"", f"{bad[:8]}: the connection ends")
            except ConnectionResetError:
                pass
    check(farm.metric("s1", 'stead_dns_connections_ended_total{reason="oversized"}') >= 3, "oversized are counted")
    slow = connect(where)
    crowd = [connect(where) for _ in range(300)]  # there is room for 100 of a worker
    for byte in frame[:-1]:
        try:
            slow.sendall(bytes([byte]))
        except OSError:  # it made room for the crowd, perhaps
            break
        with connect(where) as s:
            send_tcp(s, one)
            check(len(Message(recv_tcp(s)).answers) == 3, "others are answered while one is slow")
    check(farm.metric("s1", 'stead_dns_connections_ended_total{reason="evicted"}') >= 50, "who makes room is counted")
    idle = connect(where)
    send_tcp(idle, one)
    recv_tcp(idle)
    idle.settimeout(60)
    check(idle.recv(1) == b"", "an idle connection is ended")
    check(farm.metric("s1", 'stead_dns_connections_ended_total{reason="idle"}') >= 1, "idle ones are counted")
    for s in [slow, idle, *crowd]:
        s.close()
    with connect(where) as s:  # who takes no answer is not read from for ever
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.settimeout(2)
        sent = 0
        try:
            while sent < 200 << 20:
                sent += s.send(frame * 500)
        except socket.timeout:
            pass
        check(sent < 200 << 20, "it stops reading")
        check(recv_exactly(s, 2) == (Message(ask_udp(where, one)).bytes.__len__()).to_bytes(2, "big"), "and goes on")


def read_again(farm):
    where, path = (farm.ip("s1"), DNS), farm.dir / "more.zone"

    def text():
        return Message(ask_udp(where, query("shop.test", wire.TXT))).answers[0][4]

    check(text() == b"\x0bversion one", "the first version")
    path.write_text(RECORDS.replace("version one", "version two"))
    farm.nodes["s1"].send(signal.SIGHUP)
    eventually(lambda: text() == b"\x0bversion two", "SIGHUP brings the second version")
    path.write_text(RECORDS + "web A 192.0.2.1\n")
    farm.nodes["s1"].send(signal.SIGHUP)
    eventually(lambda: "an alias (CNAME) has further records" in farm.log("s1").read_text(), "a bad file is said")
    check(text() == b"\x0bversion two", "and the records from before are kept")
    done = farm.cli("check", "-c", farm.conf("s1"))
    check(done.returncode == 2 and "further records" in done.stderr, f"stead check: {done.returncode} {done.stderr}")


def follows_the_roster(farm):
    where = (farm.ip("s1"), DNS)
    farm.kill("s3")
    eventually(lambda: sorted(Message(ask_udp(where, query("www.shop.test"))).addresses()) ==
               sorted([farm.ip("s1"), farm.ip("s2")]), "the dead one is not named")
    eventually(lambda: Message(ask_udp(where, query("s3.shop.test"))).addresses() and
               farm.ip("s3") not in Message(ask_udp(where, query("s3.shop.test"))).addresses(),
               "its own name leads to others")


def main():
    args = options()
    with scenario(args.build, 25) as farm:
        port6 = configure(farm)
        farm.started()
        eventually(lambda: len(Message(ask_udp((farm.ip("s1"), DNS), query("www.shop.test"), 0.5)).answers) == 3, "all are named")
        asked_by_tools(farm, port6)
        case_is_kept(farm)
        odd_queries(farm)
        limits(farm)
        greedy_connections(farm)
        read_again(farm)
        follows_the_roster(farm)
        check(farm.metric("s1", "stead_dns_views_total") >= 2, "views are counted")


if __name__ == "__main__":
    main()
