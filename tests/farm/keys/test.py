#!/usr/bin/env python3
"""The farm's key is changed under load: add, activate, retire, and no request fails: writes through every node, cookies of
return visits, TLS sessions. A node that is down during add and activate comes back with the old key alone and is given the
new one; one that comes back after retire is refused, both sides say why, and another node's key file mends it. Who has
another key changes nothing.

usage: test.py --build DIR
"""
import contextlib
import json
import os
import pathlib
import re
import shutil
import socket
import ssl
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "tls")]
from certs import Authority
from client import UnixConnection
from farm import PUBLIC, Failed, check, eventually, options, scenario

TLS = 8443
WWW = f"www.shop.test:{PUBLIC}"


def configure(farm):
    authority = Authority(farm.run)
    authority.issue("shop", "shop", "www.shop.test", "*.shop.test")
    for name in farm.names:
        ip, text = farm.ip(name), farm.conf(name).read_text()
        own = farm.run / f"{name}.keys"
        own.mkdir()
        shutil.copy(farm.run / "farm.key", own / "farm.key")
        text = re.sub(r'^key-file *= *"[^"]*"', f'key-file = "{own}/farm.key"', text, flags=re.M)
        check(str(own) in text, "each node has a key file of its own")
        text = text.replace(f'public {{ listen = "{ip}:{PUBLIC}" }}', f"""
public {{ listen = "{ip}:{PUBLIC}" listen-tls = "{ip}:{TLS}" }}
tls {{ certificate "shop" {{ chain = "run/shop.pem" key = "run/shop.key" }} }}""")
        farm.conf(name).write_text(text)


def session_api(farm, name, method, path, body=None):
    connection = UnixConnection(farm.run / f"{name}.sock")
    try:
        connection.request(method, path, json.dumps(body) if body is not None else None,
                           {"Content-Type": "application/json"})
        reply = connection.getresponse()
        return reply.status, reply.read()
    finally:
        connection.close()


class Load:
    """Writes through one node and reads through another; return visits with one cookie; TLS sessions that go on."""

    def __init__(self, farm, names):
        self.farm, self.names, self.stop, self.failed = farm, names, threading.Event(), []
        self.done = {"writes": 0, "visits": 0, "tls": 0, "resumed": 0}
        self.threads = [threading.Thread(target=self.guard, args=(work,), daemon=True)
                        for work in (self.write, self.visit, self.tls)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.stop.set()
        for thread in self.threads:
            thread.join()

    def guard(self, work):
        turn = 0
        while not self.stop.is_set() and len(self.failed) < 5:
            try:
                work(self.names[turn % len(self.names)], self.names[(turn + 1) % len(self.names)], turn)
            except (OSError, ValueError, KeyError, Failed) as error:
                self.failed.append(f"{work.__name__}: {error!r}")
            turn += 1
            self.stop.wait(0.02)

    def write(self, one, other, turn):
        status, body = session_api(self.farm, one, "POST", "/v1/sessions/purchase", {"fields": {"n": str(turn)}})
        check(status == 201, f"a write at {one}: {status} {body}")
        where = f"/v1/sessions/purchase/{json.loads(body)['id']}"
        status, body = session_api(self.farm, other, "GET", where)
        check(status == 200 and json.loads(body)["fields"]["n"] == str(turn), f"read at {other}: {status} {body}")
        self.done["writes"] += 1

    cookie, home = None, None

    def visit(self, one, _, turn):
        reply = self.farm.get(one, f"/p{turn}", host=WWW, headers={"Cookie": self.cookie} if self.cookie else {})
        check(reply.status == 307, f"a visit at {one}: {reply.status}")
        server = reply.headers["location"].removeprefix("http://").split(".", 1)[0]
        check(self.home in (None, server), f"led to {server}, not back to {self.home}")
        self.home, self.cookie = server, reply.headers["set-cookie"].split(";", 1)[0]
        self.done["visits"] += 1

    session = None

    def tls(self, one, _, turn):
        context = ssl.create_default_context(cafile=str(self.farm.run / "authority.pem"))
        if self.session:
            context = self.context
        self.context = context
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
        with socket.create_connection((self.farm.ip(one), TLS), timeout=15) as raw:
            with context.wrap_socket(raw, server_hostname="www.shop.test", session=self.session) as s:
                s.sendall(f"GET /t{turn} HTTP/1.1\r\nHost: www.shop.test:{TLS}\r\nConnection: close\r\n\r\n".encode())
                answer = s.recv(4096)
                check(answer.startswith(b"HTTP/1.1 30"), f"under TLS at {one}: {answer[:60]}")
                self.done["resumed"] += s.session_reused
                check(turn < 1 or s.session_reused, f"a TLS session does not go on at {one}")
                self.session = s.session
        self.done["tls"] += 1


def key(farm, name, *args, ok=True):
    done = farm.cli("key", *args, "--admin", f"unix:{farm.run}/{name}/admin.sock")
    check(not ok or done.returncode == 0, f"stead key {args}: {done.stdout}{done.stderr}")
    return done


def keys_of(farm, name):
    return farm.status(name)["keys"]


def generation(farm, name, number):
    return next((g for g in keys_of(farm, name)["generations"] if g["number"] == number), None)


def private(farm, one):
    status, body = session_api(farm, one, "POST", "/v1/sessions/purchase", {"fields": {"billing.card": "42"}})
    check(status == 201, f"a private field: {status} {body}")
    return f"/v1/sessions/purchase/{json.loads(body)['id']}"


def reads(farm, name, where):
    status, body = session_api(farm, name, "GET", where)
    return status == 200 and json.loads(body)["fields"].get("billing.card") == "42"


def rotate(farm, up, away):
    """away is down during add and activate."""
    field = private(farm, "s1")
    farm.kill(away)
    eventually(lambda: farm.status_of(away, "s1") == "down", f"{away} is down")
    with Load(farm, up) as load:
        eventually(lambda: load.failed or min(load.done["writes"], load.done["visits"], load.done["tls"]) > 5, "a load")
        check(key(farm, "s1", "activate", 2, ok=False).returncode == 1, "there is no generation 2 yet")
        said = key(farm, "s2", "add").stdout
        check("generation 2 is added" in said, f"added: {said}")
        for name in up:
            eventually(lambda name=name: generation(farm, name, 2), f"{name} has it")
            check(keys_of(farm, name)["active"] == 1, "and does not use it")
        for name in up:
            file = farm.run / f"{name}.keys" / "farm.key"
            eventually(lambda file=file: file.read_text().count("generation") == 2, f"{file} has both")
            check(file.stat().st_mode & 0o777 == 0o600, "for nobody else")
        eventually(lambda: generation(farm, "s1", 2)["nodes"] == len(up), "all have said so")
        key(farm, "s1", "activate", 2)
        for name in up:
            eventually(lambda name=name: keys_of(farm, name)["active"] == 2, f"{name} seals with it")
        refused = key(farm, "s1", "retire", 1, ok=False)
        check(refused.returncode == 1 and away in refused.stderr, f"{away} may come back: {refused.stderr}")
        check(len((farm.run / f"{away}.keys" / "farm.key").read_text()) == 65, f"{away} has the old key alone")
        farm.start(away)
        farm.wait_ready(away)
        eventually(lambda: keys_of(farm, away)["active"] == 2, f"{away} is given the new one")
        everyone = len(up) + 1
        eventually(lambda: generation(farm, "s1", 2)["nodes_active"] == everyone, "and has said so")
        check(reads(farm, away, field), "a private field of before is read")
        eventually(lambda: key(farm, "s2", "retire", 1, ok=False).returncode == 0, "the old one is retired")
        for name in [*up, away]:
            eventually(lambda name=name: generation(farm, name, 1)["state"] == "retired", f"{name} has retired it")
            eventually(lambda name=name: "generation 1 retired" in (farm.run / f"{name}.keys" / "farm.key").read_text(),
                       "and its file says so")
        time.sleep(1)
    check(not load.failed, f"under load: {load.failed[:3]}")
    check(load.done["resumed"] >= load.done["tls"] - 1, f"TLS sessions went on: {load.done}")
    check(all(reads(farm, name, field) for name in [*up, away]), "a private field of before is still read")
    print("load:", load.done)


def latecomer(farm, old_key, away):
    farm.kill(away)
    eventually(lambda: farm.status_of(away, "s1") == "down", f"{away} is down")
    own = farm.run / f"{away}.keys" / "farm.key"
    shutil.copy(old_key, own)
    own.chmod(0o600)
    farm.start(away)
    eventually(lambda: "key-unknown" in farm.log(away).read_text(), f"{away} says what it lacks")
    eventually(lambda: any("key-retired" in farm.log(n).read_text() for n in farm.servers if n != away),
               "the others say who it is")
    check(not farm.ready(away), "it is not ready")
    farm.kill(away)
    shutil.copy(farm.run / "s1.keys" / "farm.key", own)
    own.chmod(0o600)
    farm.start(away)
    farm.wait_ready(away)
    eventually(lambda: farm.status_of(away, "s1") == "up", "another node's file mends it")


def strangers(farm):
    """Frames of rubbish, and of a generation that is none."""
    def known():
        return [(g["number"], g["state"], g["mark"]) for g in keys_of(farm, "s1")["generations"]]
    before = known()
    with contextlib.closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as s:
        for number in range(256):
            s.sendto(bytes([1, number, 0, 0]) + os.urandom(120), (farm.ip("s1"), 7300))
    time.sleep(0.5)
    check(known() == before, "strangers change nothing")
    check(key(farm, "s1", "add", "--from", farm.conf("s1"), ok=False).returncode == 1, "no key file")


def main():
    args = options()
    with scenario(args.build, 59) as farm:
        configure(farm)
        old_key = farm.run / "old.key"
        shutil.copy(farm.run / "farm.key", old_key)
        farm.started()
        rotate(farm, ["s1", "s2"], "s3")
        latecomer(farm, old_key, "s3")
        strangers(farm)
        secret = old_key.read_text().strip()
        for log in farm.run.glob("*.log"):
            check(secret not in log.read_text(errors="replace"), f"{log} tells the key")


main()
