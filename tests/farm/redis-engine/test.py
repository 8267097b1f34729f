#!/usr/bin/env python3
"""A repository in Redis. The server is killed, and comes back with what it had, or with nothing: the farm serves on, and brings it
up to date. All nodes lose their memory at once: sessions are there. Nothing can be read in the server, its files, or on its way,
which is TLS with certificates on both sides. An upgrade passes the lock on. A server that another authority vouches for gets nothing.

usage: test.py --build DIR
"""
import json
import os
import pathlib
import shutil
import sys

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parent.parent / part) for part in ("", "tls")]
from certs import Authority
from client import UnixConnection
from farm import check, eventually, options, scenario
from kept import ask, configure, fields, make, ready, wait_kept
from redis_servers import Monitor, Server, available

SECRET = "of-nobody-else-4711"
PASSWORD = "a-password-0815"
REPOSITORY = """repository {{
    engine        = "redis"
    address       = "{ip}:{port}"
    password-file = "run/redis.password"
    start-wait    = {wait}
    tls           = yes
    ca-file       = "run/{authority}.pem"
    certificate   = "run/node.pem"
    key           = "run/node.key"
}}
"""
NAMES = ["s5", "s1", "s2"]
TLS_PORT = 6391
TLS = """tls-port {port}
tls-cert-file {run}/redis.pem
tls-key-file {run}/redis.key
tls-ca-cert-file {run}/authority.pem
"""


def begin(farm):
    """Sessions at both servers; some are changed, some are ended."""
    live, ended = {}, []
    for i in range(30):
        at, other = ("s1", "s2") if i % 2 else ("s2", "s1")
        number = make(farm, at, {"cart": f"{i}", "secret": SECRET})
        live[number] = {"cart": f"{i}", "secret": SECRET}
        if i % 4 == 0:
            change(farm, other, live, number, f"changed {i}")
        if i % 5 == 0:
            check(ask(farm, at, "DELETE", f"/{number}")[0] == 204, "an end")
            ended.append(number)
            del live[number]
    return live, ended


def change(farm, name, live, number, cart):
    status, record = ask(farm, name, "PATCH", f"/{number}", {"set": {"cart": cart}})
    check(status == 200, f"a change at {name}: {status} {record}")
    live[number]["cart"] = cart


def all_there(farm, live, ended, *names):
    def good():
        for i, (number, want) in enumerate(live.items()):
            got = fields(farm, names[i % len(names)], number)
            check(got == want, f"{number} at {names[i % len(names)]}: {got}, not {want}")
        return True
    eventually(good, "all sessions are as they were")
    for number in ended:
        check(fields(farm, names[0], number) in (404, 410), "what was ended stays so")


def records(server):
    return [name for name in server.client().scan_iter("stead:*") if not name.endswith(b":lock")]


def looked_at(server, live):
    """Under one prefix, each with an end but the one that says when it was written."""
    names = records(server)
    check(len(names) > len(live), f"{len(names)} records")
    check(len({name.split(b":")[1] for name in names}) == 1, "one prefix")
    endless = [name for name in names if server.client().pttl(name) < 0]
    check(len(endless) == 1 and endless[0].endswith(b":" + b"A" * 43), f"without an end: {endless}")


def away(farm, server, live, ended):
    """The server is gone for a while: it is said once, and nobody notices."""
    said = farm.log("s5").read_text().count("repository-fails")
    server.kill()
    for i, number in enumerate(list(live)[:6]):
        change(farm, ("s1", "s2")[i % 2], live, number, f"while it was away {i}")
    number = make(farm, "s1", {"cart": "new", "secret": SECRET})
    live[number] = {"cart": "new", "secret": SECRET}
    gone = list(live)[7]
    check(ask(farm, "s2", "DELETE", f"/{gone}")[0] == 204, "an end")
    ended.append(gone)
    del live[gone]
    eventually(lambda: farm.metric("s5", "stead_repository_up") == 0, "the failure is seen")
    eventually(lambda: farm.metric("s5", "stead_repository_lag_milliseconds") > 3000, "what waits is counted")
    eventually(lambda: farm.metric("s5", "stead_repository_failures_total") > 2, "it is tried again")
    check(farm.log("s5").read_text().count("repository-fails") == said + 1, "it is said once")
    all_there(farm, live, ended, "s1", "s2")


def back(farm, server, live, empty):
    if empty:
        for path in server.dir.iterdir():
            if path.name != "conf":
                shutil.rmtree(path) if path.is_dir() else path.unlink()
    server.start()
    wait_kept(farm, "s5")
    check("repository-works" in farm.log("s5").read_text(), "it is said that it works")
    looked_at(server, live)


def power_cut(farm, live, ended):
    for process in farm.nodes.values():
        process.send(9)
    for process in farm.nodes.values():
        process.end(9)
    farm.start()
    ready(farm, *NAMES)
    all_there(farm, live, ended, "s1", "s2")
    check(farm.metric("s5", "stead_session_shelf_total") > 0, "they came from the server")


def nothing_to_read(farm, server, monitors, live, ended):
    server.client().save()
    seen = b"".join(m.text() for m in monitors)
    for what, text in (("the files", server.files()), ("what came to it", seen)):
        check(len(text) > 4096, f"{what}: {len(text)} bytes")
        for word in (SECRET, "purchase", "cart", PASSWORD, *live, *ended):
            check(word.encode() not in text, f"{word} is to be read in {what}")
    for word in (b'"KEYS"', b'"EVAL', b'"FLUSH'):
        check(word not in seen, f"{word} was used")
    check(b'"SCAN"' in seen and b'"PX"' in seen, "the monitor sees what the node does")


def of_another_authority(farm, server):
    farm.kill("s5")
    set_up(farm, server, "other", "0s")
    farm.start("s5")
    ready(farm, *NAMES)
    eventually(lambda: "error=\"self-signed certificate in certificate chain\"" in farm.log("s5").read_text(), "the log says so")
    check(farm.metric("s5", "stead_repository_up") == 0, "it is not used")


def successor(farm):
    """The pid of the node's process by now."""
    connection = UnixConnection(farm.run / "s5" / "admin.sock")
    try:
        connection.request("GET", "/v1/upgrade")
        return json.loads(connection.getresponse().read())["pid"]
    finally:
        connection.close()


def upgraded(farm, live, ended):
    """The new process writes when the old one has let go of the lock, and not before."""
    old, pid = farm.nodes["s5"], None
    try:
        done = farm.cli("upgrade", "-c", farm.conf("s5"))
        check(done.returncode == 0, f"the upgrade: {done.stderr}")
        eventually(lambda: not old.runs(), "the old process ends")
        pid = eventually(lambda: successor(farm), "the new one answers")
        change(farm, "s1", live, next(iter(live)), "after the upgrade")
        wait_kept(farm, "s5")
        all_there(farm, live, ended, "s5", "s2")
    finally:
        if pid:
            os.kill(pid, 9)
            eventually(lambda: not alive(pid), "the new process ends")


def alive(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def certify(farm, ip):
    authority = Authority(farm.run)
    authority.issue("redis", "redis", "DNS:redis.test", f"IP:{ip}")
    authority.issue("node", "s5")
    Authority(farm.run, "other")


def set_up(farm, server, authority="authority", wait="10s"):
    configure(farm, NAMES, {"s5": REPOSITORY.format(ip=server.ip, port=TLS_PORT, authority=authority, wait=wait)})


def main():
    available()
    args = options()
    with scenario(args.build, 43) as farm:
        ip = f"127.0.{farm.block}.50"
        certify(farm, ip)
        conf = f"requirepass {PASSWORD}\nappendonly yes\n" + TLS.format(port=TLS_PORT, run=farm.run)
        server = Server(farm, "redis", ip, conf)
        server.password = PASSWORD
        server.start()
        (farm.run / "redis.password").write_text(PASSWORD + "\n")
        (farm.run / "redis.password").chmod(0o600)
        set_up(farm, server)
        server.client().set("foreign", "stays")
        monitors = [Monitor(farm, server)]
        farm.start()
        ready(farm, *NAMES)
        live, ended = begin(farm)
        wait_kept(farm, "s5")
        looked_at(server, live)
        check(server.client().get("foreign") == b"stays", "what is of others stays")
        for empty in (False, True):
            print("away, and back", "with nothing" if empty else "", flush=True)
            away(farm, server, live, ended)
            back(farm, server, live, empty)
            monitors.append(Monitor(farm, server))
        print("power cut", flush=True)
        power_cut(farm, live, ended)
        nothing_to_read(farm, server, monitors, live, ended)
        print("upgrade", flush=True)
        upgraded(farm, live, ended)
        print("another authority", flush=True)
        of_another_authority(farm, server)


main()
