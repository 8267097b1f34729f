#!/usr/bin/env python3
"""Private fields: a card's number is in clear where the session API gives it to who asks, and nowhere else: not on the wire, not
in a file, a log, an order's answer, another door, nor in the memory of a node, whichever it went through.

usage: test.py --build DIR
What goes over the wire and what lies in memory is looked at as root only.
"""
import base64
import os
import pathlib
import random
import socket
import string
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from client import UnixConnection
from farm import ADMIN, check, eventually, json, options, request, scenario
from sniffer import Sniffer, memory_of

MEMCACHED, REDIS = 11211, 6379
CONF = """farm     = "sealed"
key-file = "run/farm.key"
state    = "run/{name}"
log-level = "debug"
node "{name}" {{
    address = "{ip}"
    join    = {{{join}}}
}}
sessions {{
    listen = "unix:run/{name}.sock"
    memory = "32m"
    kind "purchase" {{ copies = 2 private = {{"billing.*", "card"}} }}
}}
memcached {{ listen = "{ip}:11211" kind = "purchase" }}
redis {{ listen = "{ip}:6379" kind = "purchase" }}
admin  {{ listen = "{ip}:7380" }}
{more}
"""


def configure(farm):
    for conf in farm.dir.glob("*.conf"):
        conf.unlink()
    farm.servers, farm.names = [], ["s1", "s2", "s3"]
    for name in farm.names:
        join = ", ".join(f'"{farm.ip(n)}"' for n in farm.names if n != name)
        more = "repository { }" if name == "s3" else ""
        farm.conf(name).write_text(CONF.format(name=name, ip=farm.ip(name), join=join, more=more))


def word(length=24):
    return "".join(random.choices(string.ascii_lowercase, k=length))


def ask(farm, name, method, path, body=None, **headers):
    connection = UnixConnection(farm.run / f"{name}.sock")
    try:
        connection.request(method, f"/v1/sessions/purchase{path}", json.dumps(body) if body is not None else None, headers)
        reply = connection.getresponse()
        text = reply.read()
        check(reply.status in (200, 201, 204), f"{method} {path} at {name}: {reply.status} {text[:200]}")
        return json.loads(text) if text else None
    finally:
        connection.close()


def shop(farm, secrets, public):
    """A purchase with its address and card, through all calls and every node."""
    first = {"item:1": "3", "note": public, "card": secrets[0], "billing.name": secrets[1]}
    made = ask(farm, "s1", "POST", "", {"ttl": 3600, "fields": first})
    path = f"/{made['id']}"
    check(made["fields"] == first, f"whoever asks has it in clear: {made}")
    for name, secret in zip(farm.names, secrets[2:]):
        told = ask(farm, name, "PATCH", path, {"set": {"billing.street": secret, "item:2": "1"}})
        check(told["fields"]["billing.street"] == secret and told["fields"]["card"] == secrets[0], f"{name}: {told}")
    raw = base64.b64encode(secrets[5].encode()).decode()
    ask(farm, "s2", "PATCH", path, {"set": {"billing.city": {"base64": raw}}})
    big = (secrets[6] + ".") * 2000  # a body in several parts, and an answer that no socket takes at once
    ask(farm, "s3", "PATCH", path, {"set": {"billing.note": big}})
    moved = ask(farm, "s1", "POST", f"{path}/renew")
    path = f"/{moved['id']}"
    for name in farm.names:
        told = ask(farm, name, "GET", path)["fields"]
        check(told["card"] == secrets[0] and told["billing.city"] == secrets[5] and told["billing.note"] == big, f"{name}: {told}")
        watched = UnixConnection(farm.run / f"{name}.sock")
        watched.request("GET", f"/v1/sessions/purchase{path}", headers={"Accept": "text/event-stream"})
        events = watched.getresponse()
        while not (line := events.readline()).startswith(b"data:"):
            check(line, f"a watcher at {name} hears something")
        check(secrets[0].encode() in line, f"and has it in clear: {line[:200]}")
        watched.close()
    return moved["id"]


def ways_out(farm, key):
    """All that an operator, or a client of another door, can have said."""
    told = {}
    for name in farm.names:
        for path in ("/v1/status", "/v1/roster", "/metrics", "/v1/settings", "/v1/config"):
            told[name, path] = request(farm.ip(name), ADMIN, path).body
        done = farm.cli("verify", "--json", "-c", farm.conf(name))
        told[name, "verify"] = (done.stdout + done.stderr).encode()
        for port, said in ((MEMCACHED, f"get {key}\r\nmg {key} v k f t s\r\n"), (REDIS, f"GET {key}\r\n")):
            with socket.create_connection((farm.ip(name), port), timeout=20) as client:
                client.sendall(said.encode())
                told[name, port] = client.recv(65536)
    return told


def files(farm):
    return {str(path): path.read_bytes() for path in farm.dir.rglob("*") if path.is_file()}


def search(where, secrets, what):
    for place, held in where.items():
        for secret in secrets:
            for form in (secret.encode(), base64.b64encode(secret.encode())[:28], secret.encode("utf-16-le")):
                check(form not in held, f"{what}: a private value lies in {place}, near {held[max(0, held.find(form) - 120):][:200]!r}")


def main():
    args = options()
    root = os.geteuid() == 0
    secrets, public = [word() for _ in range(7)], word()
    with scenario(args.build, 59) as farm:
        configure(farm)
        farm.start()
        for name in farm.names:
            eventually(lambda name=name: farm.ready(name), f"{name} is ready")
            eventually(lambda name=name: farm.status(name)["nodes"]["up"] == 3, f"{name} hears the others")
        sniffer = Sniffer() if root else None
        if sniffer:
            sniffer.start()
        key = shop(farm, secrets, public)
        search(ways_out(farm, key), secrets, "an answer")
        eventually(lambda: farm.metric("s3", "stead_repository_lag_milliseconds") < 1000 and farm.metric("s3", "stead_repository_records") > 0,
                   "the repository has it")
        search(files(farm), secrets, "a file")
        if not root:
            print("not root: the wire and the memory are not looked at")
            return
        wire = sniffer.end()
        check(len(wire) > 20000 and f"get {key}".encode() in wire, "the wire is heard")
        search({"frames": wire}, secrets, "the wire")
        for name in farm.names:
            found = set()
            for place, held in memory_of(farm.nodes[name].pid):
                found |= {what for what in (key, public) if what.encode() in held}
                for secret in secrets:
                    check(secret.encode() not in held, f"the memory of {name} has a private value in {place}")
            check(len(found) == 2, f"the memory of {name} is read, with what is no secret: {found}")
        for name in farm.names:
            farm.term(name, ("node",)) if name != "s3" else farm.kill(name, ("node",))
        search(files(farm), secrets, "a file")


main()
