#!/usr/bin/env python3
"""Clients of the doors for memcached and Redis that get everything wrong: garbage, lengths that cannot be, half commands,
pipelines that nobody reads, thousands who say nothing, slow readers, one protocol at the other's door, expiries in the past and
beyond thirty days. Each hears what its protocol's book says, nothing is stored by it, and everybody else is served.

usage: test.py --build DIR [--idle 5000]
"""
import concurrent.futures
import os
import pathlib
import random
import resource
import socket
import struct
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from farm import check, eventually, options, scenario

MEMCACHED, REDIS = 11211, 6379
LARGE_BYTES = 500_000
GROWTH_MAX = 500 << 20  # of a node, of which a sanitizer keeps half for what was freed; asked for are 80 GB
DAY_S = 86400


def configure(farm):
    for name in farm.names:
        conf = farm.conf(name)
        conf.write_text(conf.read_text() + f"""
memcached {{ listen = "{farm.ip(name)}:{MEMCACHED}" }}
redis {{ listen = "{farm.ip(name)}:{REDIS}" }}
""")


def call(farm, name, port):
    client = socket.create_connection((farm.ip(name), port), timeout=20)
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return client


def hear(client, wanted, what):
    heard = b""
    while len(heard) < len(wanted):
        more = client.recv(65536)
        check(more, f"{what}: closed after {heard[-200:]!r}")
        heard += more
    check(heard == wanted, f"{what}: {heard[:300]!r}, not {wanted[:300]!r}")


def say(farm, name, port, said, wanted, closes=False):
    with call(farm, name, port) as client:
        client.sendall(said)
        hear(client, wanted, f"{said[:60]!r}")
        if closes:
            try:
                check(client.recv(1) == b"", f"{said[:60]!r} ends the connection")
            except ConnectionResetError:
                pass  # with bytes of ours that nobody read


def served(farm, name, what):
    key = f"ok{random.randrange(1 << 30)}".encode()
    say(farm, name, MEMCACHED, b"set %s 0 60 2\r\nhi\r\nget %s\r\n" % (key, key), b"STORED\r\nVALUE %s 0 2\r\nhi\r\nEND\r\n" % key)
    say(farm, name, REDIS, b"*2\r\n$3\r\nGET\r\n$%d\r\n%s\r\n" % (len(key), key), b"$2\r\nhi\r\n")
    check(farm.ready(name), f"{name} is ready, {what}")


def resident(process):
    with open(f"/proc/{process.pid}/statm", encoding="ascii") as f:
        return int(f.read().split()[1]) * resource.getpagesize()


def frame(opcode, key=b"", extras=b"", value=b"", total=None, key_len=None):
    body = extras + key + value
    return struct.pack(">BBHBBHIIQ", 0x80, opcode, len(key) if key_len is None else key_len, len(extras), 0, 0,
                       len(body) if total is None else total, 9, 0) + body


def lengths(farm):
    """Giant, negative, none."""
    bad = b"CLIENT_ERROR bad command line format\r\n"
    for said in (b"set k 0 0 -1\r\n", b"set k 0 0\r\n", b"set k 0 0 x\r\n", b"set k -1 0 1\r\n", b"set k 0 0 99999999999999999999\r\n"):
        say(farm, "s1", MEMCACHED, said, bad)
    large = b"SERVER_ERROR object too large for cache\r\n"
    say(farm, "s1", MEMCACHED, b"set k 0 0 99999999999\r\n", large)
    say(farm, "s1", MEMCACHED, b"set k 0 0 1048577\r\n" + bytes(1048577) + b"\r\nget k\r\n", large + b"END\r\n")
    say(farm, "s1", MEMCACHED, b"get " + b"k" * 251 + b"\r\n", bad)
    say(farm, "s1", MEMCACHED, b"x" * 20000, b"CLIENT_ERROR line too long\r\n", closes=True)
    for said, why in ((b"*1\r\n$-1\r\n", b"invalid bulk length"), (b"*1\r\n$99999999999\r\n", b"invalid bulk length"),
                      (b"*1000000000\r\n", b"invalid multibulk length"), (b"*1\r\nx\r\n", b"expected '$'"),
                      (b"a" * 5000, b"too big inline request")):
        with call(farm, "s1", REDIS) as client:
            client.sendall(said)
            heard = client.recv(4096)
            check(heard.startswith(b"-ERR Protocol error: ") and why in heard, f"{said[:40]!r}: {heard!r}")
            check(client.recv(10) == b"", f"{said[:40]!r} ends the connection")
    say(farm, "s1", REDIS, b"*-1\r\n*0\r\n\r\nPING\r\n", b"+PONG\r\n")
    # Binary: a body shorter than its key, one of 4 GB, extras that are not its opcode's, opcodes that are none.
    for said in (frame(0x00, b"k", total=0, key_len=1), frame(0x01, b"k", bytes(3), b"v"), frame(0x00, b""), frame(0x00, b"k", bytes(4))):
        with call(farm, "s1", MEMCACHED) as client:
            client.sendall(said + frame(0x0A))
            heard = client.recv(4096)
            check(heard == b"" or (heard[:1] == b"\x81" and heard[7] in (0x04, 0x81)), f"a frame that cannot be: {heard!r}")
    with call(farm, "s1", MEMCACHED) as client:
        client.sendall(frame(0x01, b"k", bytes(8), b"v", total=0xFFFFFFFF) + bytes(200000))
        heard = client.recv(24)
        check(heard[:1] == b"\x81" and heard[7] in (0x03, 0x04), f"a value of 4 GB: {heard!r}")
    with call(farm, "s1", MEMCACHED) as client:
        client.sendall(frame(0xC7) + frame(0x0A))
        check(client.recv(4096)[7] == 0x81, "an opcode that is none")
    served(farm, "s1", "after lengths that cannot be")


def halves(farm):
    """Commands whose second half never comes, left open: nothing of them is done, and nobody waits for them."""
    halves_of = ((MEMCACHED, b"set half 0 0 10\r\n12345"), (MEMCACHED, b"se"), (MEMCACHED, frame(0x01, b"half", bytes(8), b"v", total=20)),
                 (MEMCACHED, b"\x80"), (REDIS, b"*3\r\n$3\r\nSET\r\n$4\r\nhalf\r\n$5\r\nab"), (REDIS, b"*3\r\n$3\r\nSET\r\n$4\r\nha"),
                 (REDIS, b"*"), (REDIS, b"SET half"), (REDIS, b"MULTI\r\nSET half 1\r\n"))
    clients = []
    for port, said in halves_of * 20:
        client = call(farm, "s2", port)
        client.sendall(said)
        clients.append(client)
    served(farm, "s2", "with halves of commands")
    for i, client in enumerate(clients):
        if i % 2:
            client.shutdown(socket.SHUT_WR)
        client.close()
    say(farm, "s1", REDIS, b"GET half\r\n", b"$-1\r\n")
    served(farm, "s2", "after halves of commands")


def unread(farm):
    """Pipelines whose answers nobody reads: they wait, and the node's memory does not grow with what is asked for."""
    big = os.urandom(LARGE_BYTES // 2).hex().encode()
    say(farm, "s1", REDIS, b"*3\r\n$3\r\nSET\r\n$3\r\nbig\r\n$%d\r\n%s\r\n" % (len(big), big), b"+OK\r\n")
    before = resident(farm.nodes["s1"])
    clients = []
    for i in range(16):
        port, one = ((MEMCACHED, b"get big\r\n"), (REDIS, b"*2\r\n$3\r\nGET\r\n$3\r\nbig\r\n"))[i % 2]
        client = call(farm, "s1", port)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        client.settimeout(0.2)
        try:
            client.sendall(one * 10000)  # five gigabytes of answers each
        except TimeoutError:
            pass
        clients.append(client)
    served(farm, "s1", "beside pipelines that nobody reads")
    growth = resident(farm.nodes["s1"]) - before
    check(growth < GROWTH_MAX, f"the memory grew by {growth >> 20} MiB")
    eventually(lambda: farm.metric("s1", "stead_cache_slow_total") > 0, "it is counted")
    # One that does read after all gets every answer, in order.
    late, have = clients[0], 0
    late.settimeout(20)
    wanted = b"VALUE big 0 %d\r\n%s\r\nEND\r\n" % (len(big), big)
    buffer = bytearray()
    while have < 5 * len(wanted):
        more = late.recv(1 << 16)
        check(more, "a slow reader is served on")
        buffer += more
        have += len(more)
    check(bytes(buffer[:5 * len(wanted)]) == wanted * 5, "whole and in order")
    for client in clients:
        client.close()


def slow_reader(farm):
    """A few bytes at a time, through a small window."""
    with call(farm, "s3", REDIS) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
        client.sendall(b"*2\r\n$3\r\nGET\r\n$3\r\nbig\r\nPING\r\n")
        buffer = bytearray()
        while not buffer.endswith(b"\r\n+PONG\r\n"):
            more = client.recv(2500)
            check(more, "a slow reader's connection")
            buffer += more
        check(len(buffer) == LARGE_BYTES + 9 + 2 + 7, f"{len(buffer)} bytes")


def idle(farm, count):
    """Thousands who say nothing, at both doors of two nodes."""
    clients = []
    try:
        for i in range(count):
            clients.append(call(farm, ("s1", "s3")[i % 4 // 2], (MEMCACHED, REDIS)[i % 2]))
        served(farm, "s1", f"with {count} clients who say nothing")
        check(sum(farm.metric(name, "stead_cache_connections") for name in ("s1", "s3")) >= count, "they are counted")
        for i in random.sample(range(count), 50):
            clients[i].sendall((b"get none\r\n", b"GET none\r\n")[i % 2])
            hear(clients[i], (b"END\r\n", b"$-1\r\n")[i % 2], "one of them, who speaks at last")
    finally:
        for client in clients:
            client.close()
    for name in ("s1", "s3"):
        eventually(lambda name=name: farm.metric(name, "stead_cache_connections") < 50, "and are gone")


def wrong_door(farm):
    """A browser's request with commands in its body: a web page could send it. And each protocol at the other's door."""
    page = b"POST / HTTP/1.1\r\nHost: %s\r\nContent-Type: text/plain\r\nContent-Length: 60\r\n\r\n"
    say(farm, "s1", REDIS, page % b"a" + b"SET evil 1\r\nset evil 0 0 1\r\n1\r\n" * 3,
        b"-ERR Protocol error: this is no HTTP server\r\n", closes=True)
    say(farm, "s1", MEMCACHED, page % b"a" + b"set evil 0 0 1\r\n1\r\n" * 3, b"CLIENT_ERROR this is no HTTP server\r\n", closes=True)
    say(farm, "s1", MEMCACHED, b"*1\r\n$4\r\nPING\r\n", b"ERROR\r\nERROR\r\nERROR\r\n")
    say(farm, "s1", REDIS, b"set k 0 60 1\r\nget k\r\n",
        b"-ERR syntax error\r\n$-1\r\n")
    with call(farm, "s1", REDIS) as client:  # a binary frame is a line without an end
        client.sendall(frame(0x0A) + b"\n")
        check(client.recv(4096).startswith(b"-ERR unknown command"), "a binary frame at Redis's door")
    # Text, then binary: a connection stays with what it began with.
    say(farm, "s1", MEMCACHED, b"get none\r\n" + frame(0x0B) + b"\r\n", b"END\r\nERROR\r\n")
    for name in farm.names:
        say(farm, name, REDIS, b"GET evil\r\n", b"$-1\r\n")
    check(farm.metric("s1", "stead_cache_malformed_total") > 5, "it is counted")


def odd_values(farm):
    key = bytes(range(1, 251))
    say(farm, "s1", REDIS, b"*3\r\n$3\r\nSET\r\n$250\r\n%s\r\n$0\r\n\r\n" % key, b"+OK\r\n")
    say(farm, "s2", REDIS, b"*2\r\n$3\r\nGET\r\n$250\r\n%s\r\n" % key, b"$0\r\n\r\n")
    say(farm, "s1", REDIS, b"*2\r\n$3\r\nGET\r\n$251\r\n%sx\r\n*2\r\n$3\r\nGET\r\n$0\r\n\r\nPING\r\n" % key,
        b"-ERR a key has 1 to 250 bytes here\r\n" * 2 + b"+PONG\r\n")
    with call(farm, "s1", MEMCACHED) as client:
        client.sendall(frame(0x11, b"\x00\xff\r\n key", bytes(8), b"") + frame(0x0A))
        check(client.recv(24)[1] == 0x0A, "a binary key and an empty value are stored in silence")
    with call(farm, "s3", MEMCACHED) as client:
        client.sendall(frame(0x00, b"\x00\xff\r\n key"))
        heard = client.recv(4096)
        check(heard[6:8] == b"\0\0" and struct.unpack(">I", heard[8:12])[0] == 4, f"and are there: {heard!r}")


def expiries(farm):
    """In the past, now, within and beyond thirty days: relative up to there, beyond it a time of day."""
    now = int(time.time())
    gone, there = ("-1", "-100", str(now - 10), str(31 * DAY_S)), ("0", "60", str(30 * DAY_S), str(now + 100), str(now + 40 * DAY_S))
    for i, expiry in enumerate(gone + there):
        say(farm, "s1", MEMCACHED, f"set e{i} 0 {expiry} 1\r\nx\r\n".encode(), b"STORED\r\n")
    for i, expiry in enumerate(gone):
        eventually(lambda i=i: say(farm, "s2", MEMCACHED, f"get e{i}\r\n".encode(), b"END\r\n") or True, f"memcached's {expiry} is over")
    for i, expiry in enumerate(there, len(gone)):
        say(farm, "s2", MEMCACHED, f"get e{i}\r\n".encode(), f"VALUE e{i} 0 1\r\nx\r\nEND\r\n".encode())
    with call(farm, "s1", REDIS) as client:
        for said in ("SET x 1 EX 0", "SET x 1 EX -1", "SETEX x -5 1", "PSETEX x 0 1", "SET x 1 EX 9223372036854775807",
                     "EXPIRE e5 9223372036854775807"):
            client.sendall(said.encode() + b"\r\n")
            heard = client.recv(4096)
            check(heard.startswith(b"-ERR") and b"expire" in heard, f"{said}: {heard!r}")
        for said, wanted in (("SET x 1", b"+OK\r\n"), ("EXPIRE x -1", b":1\r\n"), ("GET x", b"$-1\r\n"), ("SET x 1", b"+OK\r\n"),
                             (f"EXPIREAT x {now - 5}", b":1\r\n"), ("EXISTS x", b":0\r\n"), ("SET x 1", b"+OK\r\n"),
                             (f"EXPIREAT x {now + 40 * DAY_S}", b":1\r\n"), ("EXISTS x", b":1\r\n")):
            client.sendall(said.encode() + b"\r\n")
            hear(client, wanted, said)
        client.sendall(b"TTL x\r\n")
        left = int(client.recv(64)[1:])
        check(39 * DAY_S < left <= 40 * DAY_S, f"forty days: {left}")


def garbage(farm, seed):
    chance = random.Random(seed)
    good = (b"set k 0 0 3\r\nabc\r\nget k\r\n", b"*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$3\r\nabc\r\n", frame(0x01, b"k", bytes(8), b"v"))
    for _ in range(400):
        said = bytearray(chance.choice(good) * chance.randrange(1, 4))
        for _ in range(chance.randrange(1, 8)):
            said[chance.randrange(len(said))] = chance.randrange(256)
        with call(farm, chance.choice(farm.names), chance.choice((MEMCACHED, REDIS))) as client:
            client.settimeout(0.01)
            try:
                client.sendall(chance.randbytes(chance.randrange(1, 2000)) if chance.random() < 0.3 else said)
                client.recv(65536)
            except OSError:
                pass


def killed(farm):
    """redis-benchmark at two nodes, one of which dies: the other's goes on to its end without an error."""
    def bench(name, count):
        return subprocess.run(["redis-benchmark", "-h", farm.ip(name), "-p", str(REDIS), "-t", "set,get", "-n", str(count), "-c", "8", "-P",
                               "4", "-r", "500", "-d", "200", "-q"], capture_output=True, text=True, timeout=150, check=False)
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        one, other = pool.submit(bench, "s1", 20000), pool.submit(bench, "s2", 10_000_000)
        eventually(lambda: farm.metric("s2", "stead_cache_requests_total") > 2000, "s2 is at work")
        farm.kill("s2")
        done, died = one.result(), other.result()
    check(died.returncode != 0, "the one at s2 is told of its end")
    check(done.returncode == 0 and "GET" in done.stdout and "rror" not in done.stdout + done.stderr, f"the other: {done.stdout}{done.stderr}")
    served(farm, "s1", "after the death of s2")


def descriptors(count):
    """So many clients as this process, and a node, may have."""
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (65536, 65536))
        return count
    except (OSError, ValueError):
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        print(f"no more than {hard} descriptors", flush=True)
        return min(count, hard // 4)


def extra(parser):
    parser.add_argument("--idle", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))


def main():
    args = options(extra)
    print(f"seed {args.seed}", flush=True)
    count = descriptors(args.idle)
    with scenario(args.build, 46) as farm:
        configure(farm)
        farm.started()
        for part in (lengths, halves, unread, slow_reader, wrong_door, odd_values, expiries):
            part(farm)
        garbage(farm, args.seed)
        idle(farm, count)
        for name in farm.names:
            served(farm, name, "after all that")
        killed(farm)


main()
