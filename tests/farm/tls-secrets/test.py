#!/usr/bin/env python3
"""TLS sessions that the farm keeps: their secrets are known to the two who shook hands, and nowhere else in clear, neither on the
wire between nodes, nor in a file of a node, a repository or a snapshot, nor in a node's memory once the connection is closed. A repository brings those
of TLS 1.2 back when all nodes were lost.

usage: test.py --build DIR
Needs root.
"""
import base64
import os
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "tls")]
from certs import Authority, openssl
from farm import check, eventually, options, scenario
from sniffer import Sniffer, memory_of

NAME, TLS = "www.shop.test", 8443
SESSIONS = 4
CONF = """farm     = "secrets"
key-file = "run/farm.key"
state    = "run/{name}"
log-level = "debug"
node "{name}" {{ address = "{ip}" join = {{{join}}} }}
sessions {{ listen = "unix:run/{name}.sock" memory = "32m" kind "tls" {{ when-full = refuse }} }}
service "shop" {{ name = "www.shop.test" url = "https://www.shop.test:8443" }}
public {{ listen = "{ip}:8080" listen-tls = "{ip}:8443" }}
tls {{ tickets = {tickets} certificate "shop" {{ chain = "run/shop.pem" key = "run/shop.key" }} }}
admin  {{ listen = "{ip}:7380" }}
{more}
"""


def configure(farm, tickets):
    for conf in farm.dir.glob("*.conf"):
        conf.unlink()
    farm.servers, farm.names = [], ["s1", "s2", "s3"]
    Authority(farm.run).issue("shop", "shop", NAME)
    for name in farm.names:
        join = ", ".join(f'"{farm.ip(n)}"' for n in farm.names if n != name)
        more = "repository { }" if name == "s3" else ""
        farm.conf(name).write_text(CONF.format(name=name, ip=farm.ip(name), join=join, more=more, tickets=tickets))


def visit(farm, clients, node, version, file, *args):
    """True: resumed. The client's own files are not the farm's."""
    head = f"GET / HTTP/1.1\r\nHost: {NAME}:{TLS}\r\nConnection: close\r\n\r\n"
    out = openssl("s_client", "-connect", f"{farm.ip(node)}:{TLS}", "-servername", NAME, "-CAfile", farm.run / "authority.pem",
                  version, "-ign_eof", *args, clients / file, stdin=head, ok=False)
    check("Verification: OK" in out, f"{node} {version}: {out}")
    return "Reused, TLSv1" in out


def secret_of(file):
    """(what only the two know, what stands in clear in handshakes)"""
    text = openssl("sess_id", "-in", file, "-noout", "-text")
    secret = bytes.fromhex(re.search(r"(?:Master-Key|Resumption PSK): ([0-9A-F]+)", text).group(1))
    shown = re.search(r"Session-ID: ([0-9A-F]{64})", text).group(1)
    check(len(secret) >= 32, text)
    return secret, bytes.fromhex(shown)


def forms(secret):
    return [secret[:24], secret.hex().encode()[:48], secret.hex().upper().encode()[:48], base64.b64encode(secret)[:30]]


def sessions(farm, clients, kept):
    """Begun at s1, the first half is gone on with at s2. Returns their secrets."""
    secrets, shown = [], []
    for i in range(SESSIONS):
        for version in ("-tls1_2", "-tls1_3"):
            file = f"session{i}{version}"
            check(not visit(farm, clients, "s1", version, file, "-sess_out"), "the first is new")
            secret, ident = secret_of(clients / file)
            secrets.append(secret)
            if version == "-tls1_2" and i == 0:
                shown.append(ident)
            if i < SESSIONS // 2:
                resumed = [visit(farm, clients, n, version, file, "-sess_in") for n in ("s2", "s3")]
                check(resumed == [True, not kept or version == "-tls1_2"], f"{version} elsewhere: {resumed}")
    return secrets, shown


def story(farm, clients, kept):
    sniffer = Sniffer()
    sniffer.start()
    secrets, shown = sessions(farm, clients, kept)
    if kept:
        eventually(lambda: farm.metric("s1", "stead_session_below_copies") == 0, "the sessions have their copies")
        done = farm.cli("snapshot", "save", farm.run / "snapshot", "-c", farm.conf("s2"))
        check(done.returncode == 0, f"a snapshot: {done.stderr}")
        eventually(lambda: farm.metric("s3", "stead_repository_records") >= 2 * SESSIONS, "they are in the repository")
    wire = sniffer.end()
    if kept:
        check(all(s in wire for s in shown), "what is in clear is seen on the wire")
    places = {str(p): p.read_bytes() for p in farm.dir.rglob("*") if p.is_file()}
    check(any("repository" in p or p.endswith(".mdb") for p in places) and len(wire) > 10000, f"{list(places)}")
    places["the wire"] = wire
    for name in farm.names:
        memory = dict(memory_of(farm.nodes[name].pid))
        check(any(NAME.encode() in content for content in memory.values()), f"the memory of {name} can be looked at")
        places.update((f"{name}: {place}", content) for place, content in memory.items())
    for secret in secrets:
        found = [p for p, content in places.items() if any(f in content for f in forms(secret))]
        check(not found, f"a session's secret is in clear in {found}")


def all_at_once(farm, clients):
    """Every node dies. Those of TLS 1.2 that nobody went on with are in the repository."""
    eventually(lambda: farm.metric("s3", "stead_repository_lag_milliseconds") < 1000, "the file has them")
    for name in farm.names:
        farm.kill(name)
    farm.start()
    farm.wait_ready()
    resumed = 'stead_tls_resumed_total{origin="%s"}'
    file = f"session{SESSIONS - 1}-tls1_2"
    eventually(lambda: visit(farm, clients, "s2", "-tls1_2", file, "-sess_in"), "the repository has the session")
    unused = f"session{SESSIONS - 1}-tls1_3"
    check(not any(visit(farm, clients, n, "-tls1_3", unused, "-sess_in") for n in farm.names), "nobody decides about single use")
    # Saved, when this node took it up again; else another one had done so a moment before.
    told = {origin: farm.metric("s2", resumed % origin) for origin in ("saved", "peer", "local", "ticket-own", "ticket-peer")}
    check(told["saved"] + told["peer"] + told["local"] == 1 == sum(told.values()), f"where it was is told: {told}")


def main():
    args = options()
    if os.geteuid() != 0:
        print("not root: nothing can be looked at")
        sys.exit(77)
    with scenario(args.build, 63) as farm:
        clients = farm.dir.parent / f"{farm.dir.name}-clients"
        clients.mkdir(mode=0o700)
        try:
            configure(farm, "single-use")
            farm.start()
            farm.wait_ready()
            story(farm, clients, True)
            all_at_once(farm, clients)
        finally:
            for file in clients.iterdir():
                file.unlink()
            clients.rmdir()


main()
