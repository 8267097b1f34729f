#!/usr/bin/env python3
"""How large a record may be, by its kind: at the limit it is taken and beyond it refused, at every node and in each way in, each by
its own word for that; the limit changes while the nodes run, and takes nothing away."""
import http.client
import pathlib
import socket
import struct
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from client import UnixConnection
from farm import SOURCE, check, eventually, json, options, scenario

MEMCACHED, REDIS = 11211, 6379
LARGE = b"SERVER_ERROR object too large for cache\r\n"


def configure(farm, size):
    for name in farm.names:
        conf = farm.conf(name)
        text = conf.read_text().split("\n# sizes\n")[0]
        old = text.split('    kind "app"')[0]
        if old == text:
            old = text.replace('    kind "purchase"', '    kind "app" { size = "SIZE" }\n    kind "purchase"')
        else:
            old = old + '    kind "app" { size = "SIZE" }\n' + text.split('    kind "app"')[1].split("\n", 1)[1]
        conf.write_text(old.replace("SIZE", size) + f"""
# sizes
memcached {{ listen = "{farm.ip(name)}:{MEMCACHED}" }}
redis {{ listen = "{farm.ip(name)}:{REDIS}" }}
""")


def call(farm, name, method, path, body=None):
    client = UnixConnection(farm.run / f"{name}.sock")
    try:
        client.request(method, path, json.dumps(body) if body is not None else None)
        reply = client.getresponse()
        return reply.status, json.loads(reply.read() or b"null")
    finally:
        client.close()


def say(farm, name, port, said, wanted, what):
    with socket.create_connection((farm.ip(name), port), timeout=20) as client:
        client.sendall(said)
        heard = b""
        while len(heard) < len(wanted):
            more = client.recv(65536)
            check(more, f"{what} at {name}: closed after {heard[-200:]}")
            heard += more
    check(heard == wanted, f"{what} at {name}: {heard[:200]}")


def as_documented(farm):
    """The table of docs/session-api.md."""
    lines = (SOURCE / "docs/session-api.md").read_text().splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("| kind | copies"))
    told = {k["name"]: k for k in call(farm, "s1", "GET", "/v1/kinds")[1]["kinds"]}
    rows = [[word.strip() for word in line.strip("|").split("|")] for line in lines[at + 2:at + 8]]
    check([row[0] for row in rows] == list(told), f"the kinds: {list(told)}")
    for row in rows:
        k = told[row[0]]
        size = k["size"]
        is_so = [k["name"], str(k["copies"]), str(k["ack"]), f"{k['ttl'] / 3600:.0f} h", "yes" if k["sliding"] else "no", k["deletion"],
                 k["when_alone"], k["when_full"], f"{size >> 20} MiB" if size >> 20 else f"{size >> 10} KiB"]
        check(row == is_so, f"the manual says {row}, the node {is_so}")
        check(k["losable"] == (row[0] == "tls") and k["atomic"] == "available", f"losable, atomic: {k}")


def by_http(farm, name, size):
    status, made = call(farm, name, "POST", "/v1/sessions/app", {"fields": {"a": "x" * (size - 1)}})
    check(status == 201, f"HTTP at the limit at {name}: {status} {made}")
    path = f"/v1/sessions/app/{made['id']}"
    for asked in farm.names:
        for change in ({"set": {"a": "x" * size}}, {"set": {"b": ""}}):
            status, said = call(farm, asked, "PATCH", path, change)
            check(status == 413 and said["error"] == "TOO_LARGE", f"HTTP beyond it at {asked}: {status} {said}")
        status, said = call(farm, asked, "GET", path)
        check(status == 200 and said["fields"] == {"a": "x" * (size - 1)}, f"what was there stays: {asked} {status}")
    status, said = call(farm, name, "POST", "/v1/sessions/app", {"fields": {"a": "x" * size}})
    check(status == 413, f"HTTP, a new one beyond it at {name}: {status} {said}")


def by_memcached(farm, name, size):
    good, bad = b"x" * size, b"x" * (size + 1)
    for asked in farm.names:  # the same key, from every side
        say(farm, asked, MEMCACHED, b"set t 0 0 %d\r\n%s\r\nset t 0 0 %d\r\n%s\r\nappend t 0 0 1\r\nx\r\nms t %d\r\n%s\r\nget t\r\n"
            % (size, good, size + 1, bad, size + 1, bad), b"STORED\r\n" + 3 * LARGE + b"VALUE t 0 %d\r\n%s\r\nEND\r\n"
            % (size, good), "memcached's text protocol")
        head = struct.pack(">BBHBBHIIQ", 0x80, 0x11, 1, 8, 0, 0, 9 + size + 1, 7, 0)
        noop = struct.pack(">BBHBBHIIQ", 0x80, 0x0A, 0, 0, 0, 0, 0, 8, 0)
        say(farm, asked, MEMCACHED, head + bytes(8) + b"t" + bad + noop,
            struct.pack(">BBHBBHIIQ", 0x81, 0x11, 0, 0, 0, 3, 10, 7, 0) + b"Too large."
            + struct.pack(">BBHBBHIIQ", 0x81, 0x0A, 0, 0, 0, 0, 0, 8, 0), "memcached's binary protocol")


def by_redis(farm, size):
    good, bad = b"x" * size, b"x" * (size + 1)
    error = b"-ERR string exceeds maximum allowed size\r\n"
    for asked in farm.names:
        say(farm, asked, REDIS, b"*3\r\n$3\r\nSET\r\n$1\r\nr\r\n$%d\r\n%s\r\n" % (size, good)
            + b"*3\r\n$3\r\nSET\r\n$1\r\nr\r\n$%d\r\n%s\r\n" % (size + 1, bad)
            + b"*3\r\n$6\r\nAPPEND\r\n$1\r\nr\r\n$1\r\nx\r\n*2\r\n$6\r\nSTRLEN\r\n$1\r\nr\r\n",
            b"+OK\r\n" + 2 * error + b":%d\r\n" % size, "redis")


def everywhere(farm, size):
    for name in farm.names:
        status, said = call(farm, name, "GET", "/v1/kinds")
        check(status == 200 and {k["name"]: k["size"] for k in said["kinds"]}["app"] == size, f"{name} tells it: {said}")
    by_http(farm, "s2", size)
    by_memcached(farm, "s1", size)
    by_redis(farm, size)


def resize(farm, size, size_bytes):
    configure(farm, size)
    for name in farm.names:
        done = farm.cli("reload", name, "--admin", f"unix:{farm.run / 's1'}/admin.sock")
        check(done.returncode == 0 and "1 setting changed" in done.stdout + done.stderr and "restart" not in done.stdout,
              f"reload of {name}: {done.stdout}{done.stderr}")

        def told(name=name):
            kinds = call(farm, name, "GET", "/v1/kinds")[1]["kinds"]
            return {k["name"]: k["size"] for k in kinds}["app"] == size_bytes
        eventually(told, f"{name} has the new size")


def main():
    args = options()
    with scenario(args.build, 58) as farm:
        configure(farm, "1m")
        farm.started()
        as_documented(farm)
        resize(farm, "1k", 1024)
        everywhere(farm, 1024)
        resize(farm, "5k", 5120)
        everywhere(farm, 5120)
        status, made = call(farm, "s3", "POST", "/v1/sessions/app", {"fields": {"a": "x" * 5000}})
        check(status == 201, f"a record of 5,000 bytes: {status}")
        resize(farm, "512", 512)
        everywhere(farm, 512)
        path = f"/v1/sessions/app/{made['id']}"
        for name in farm.names:
            status, said = call(farm, name, "GET", path)
            check(status == 200 and len(said["fields"]["a"]) == 5000, f"a smaller limit takes nothing away: {name} {status}")
            status, said = call(farm, name, "PATCH", path, {"set": {"b": "1"}})
            check(status == 413, f"but it may not grow: {name} {status}")
        status, said = call(farm, "s1", "PATCH", path, {"set": {"a": "small"}})
        check(status == 200 and said["fields"] == {"a": "small"}, f"only shrink: {status} {said}")


try:
    main()
except http.client.HTTPException as error:
    sys.exit(f"FAILED: {error!r}")
