#!/usr/bin/env python3
"""Ticket keys of nginx, HAProxy and Apache, each on two hosts with a node each: what one sealed the other opens, in TLS 1.2 and
1.3, before and after keys change, while they change, and where the clocks of two hosts differ; keys of another set, of another
program or too old open nothing. A program that is not there yet is told when it is; a node that starts anew tells nobody. The
farm's own key is changed under load, and what was sealed before goes on until the old one is retired.

usage: test.py --build DIR
"""
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from farm import Failed, Farm, Process, check, eventually, options, scenario

PORTS = {"nginx": 8444, "haproxy": 8445, "apache": 8446}
VERSIONS = ("tls1_2", "tls1_3")
PERIOD_S = 4 * 3600
ASKED = "GET / HTTP/1.0\r\nHost: www.shop.test\r\n\r\n"

TICKETS = """
tickets "{set}-nginx" {{ format = nginx   file = "{dir}/nginx.key"   pid-file = "{dir}/nginx.pid" }}
tickets "{set}-haproxy" {{ format = haproxy file = "{dir}/haproxy.key" socket = "{dir}/haproxy.sock" }}
tickets "{set}-apache" {{ format = apache  file = "{dir}/apache.key"  reload = "/usr/sbin/apache2 -f {dir}/apache.conf -k graceful" }}
"""

NGINX = """daemon off;
pid {dir}/nginx.pid;
error_log {dir}/nginx.log;
worker_processes 1;
events {{ worker_connections 64; }}
http {{
    access_log off;
    client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy; fastcgi_temp_path {dir}/fastcgi;
    uwsgi_temp_path {dir}/uwsgi; scgi_temp_path {dir}/scgi;
    server {{
        listen {ip}:{port} ssl;
        ssl_certificate {run}/web.pem;
        ssl_certificate_key {run}/web.key;
        ssl_protocols TLSv1.2 TLSv1.3;
        ssl_session_tickets on;
        ssl_session_ticket_key {dir}/nginx.key;
        ssl_session_ticket_key {dir}/nginx.key.next;
        ssl_session_ticket_key {dir}/nginx.key.1;
        ssl_session_ticket_key {dir}/nginx.key.2;
        ssl_session_ticket_key {dir}/nginx.key.3;
        location / {{ return 200 "well\\n"; }}
    }}
}}
"""

HAPROXY = """global
    stats socket {dir}/haproxy.sock mode 600 level admin
    tune.ssl.cachesize 0
defaults
    mode http
    timeout connect 5s
    timeout client 10s
    timeout server 10s
frontend web
    bind {ip}:{port} ssl crt {run}/both.pem tls-ticket-keys {dir}/haproxy.key
    http-request return status 200 content-type text/plain string well
"""

APACHE = """ServerRoot {dir}
ServerName www.shop.test:443
PidFile {dir}/apache.pid
Listen {ip}:{port}
User nobody
Group nogroup
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule ssl_module {modules}/mod_ssl.so
DocumentRoot {dir}
DefaultRuntimeDir {dir}
ErrorLog {dir}/apache.log
StartServers 1
ServerLimit 2
ThreadsPerChild 8
MaxRequestWorkers 16
SSLSessionCache none
SSLSessionTicketKeyFile {dir}/apache.key
SSLEngine on
SSLCertificateFile {run}/web.pem
SSLCertificateKeyFile {run}/web.key
"""

COMMANDS = {"nginx": ["/usr/sbin/nginx", "-c"], "haproxy": ["/usr/sbin/haproxy", "-db", "-f"],
            "apache": ["/usr/sbin/apache2", "-DFOREGROUND", "-f"]}


class TicketFarm(Farm):
    """Nodes whose clock of the day is what a file says."""

    def __init__(self, build, block, example):
        super().__init__(build, block, example)
        self.library = subprocess.run(["faketime", "-f", "+1d", "printenv", "LD_PRELOAD"], capture_output=True, text=True,
                                      check=True).stdout.strip()
        self.servers_run = []
        for name in self.names:
            self.folder(name).mkdir()
            self.clock(name, 0)
            shutil.copy(self.run / "farm.key", self.folder(name) / "farm.key")
            own = f'key-file = "{self.folder(name)}/farm.key"'
            self.conf(name).write_text(re.sub(r'^key-file *= *"[^"]*"', own, self.conf(name).read_text(), flags=re.M))
            check(own in self.conf(name).read_text(), "each node has a key file of its own")
            text = TICKETS.format(dir=self.folder(name), set="other" if name == "s3" else "web")
            self.conf(name).write_text(self.conf(name).read_text() + text)
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "9",
                        "-subj", "/CN=www.shop.test", "-keyout", self.run / "web.key", "-out", self.run / "web.pem"],
                       check=True, capture_output=True)
        (self.run / "both.pem").write_text((self.run / "web.pem").read_text() + (self.run / "web.key").read_text())

    def folder(self, name):
        return self.run / f"{name}.tickets"

    def clock(self, name, ahead_s):
        new = self.folder(name) / "clock.new"
        new.write_text(f"+{ahead_s}\n")
        new.rename(self.folder(name) / "clock")

    def start_node(self, name):
        environment = {**os.environ, "LD_PRELOAD": self.library, "FAKETIME_TIMESTAMP_FILE": str(self.folder(name) / "clock"),
                       "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1", "NO_FAKE_STAT": "1",
                       "ASAN_OPTIONS": "verify_asan_link_order=0"}
        self.nodes[name] = Process([self.build / "stead", "run", "-c", self.conf(name)], self.log(name), env=environment)

    def start_servers(self):
        for name in self.names:
            for server, text in (("nginx", NGINX), ("haproxy", HAPROXY), ("apache", APACHE)):
                conf = self.folder(name) / f"{server}.conf"
                conf.write_text(text.format(dir=self.folder(name), run=self.run, ip=self.ip(name), port=PORTS[server],
                                            modules="/usr/lib/apache2/modules"))
                self.servers_run.append(Process([*COMMANDS[server], conf], self.log(name, server)))
        for name in self.names:
            for port in PORTS.values():
                eventually(lambda name=name, port=port: not socket.create_connection((self.ip(name), port), 1).close(),
                           f"a server at {name}:{port}")

    def sets(self, name):
        return {s["format"]: s for s in self.status(name)["tickets"]}

    def key(self, name, server, state):
        return [k["id"] for k in self.sets(name)[server]["keys"] if k["state"] == state][0]

    def in_use(self, name, seals=None):
        """All sets are; seals: and of each server this key seals."""
        def good():
            sets = self.sets(name)
            return all(s["written"] and not s["due"] for s in sets.values()) and (
                seals is None or all(self.key(name, server, "seals") == seals[server] for server in sets))
        eventually(good, f"all sets of {name} are in use")


def s_client(farm, server, name, version, *more):
    """"New" or "Reused"; an answer comes in any case."""
    done = subprocess.run(["openssl", "s_client", "-connect", f"{farm.ip(name)}:{PORTS[server]}", f"-{version}", "-ign_eof",
                           *[str(m) for m in more]], input=ASKED, capture_output=True, text=True, timeout=60, check=False)
    check("HTTP/1." in done.stdout, f"{server} at {name} by {version} serves: {done.stdout[-300:]}{done.stderr[-300:]}")
    return re.search(r"^(New|Reused), TLS", done.stdout, re.M).group(1)


def begin(farm, server, name, version, what=""):
    kept = farm.run / f"{server}.{version}.{name}{what}.session"
    check(s_client(farm, server, name, version, "-sess_out", kept) == "New", "a client without a session is new")
    return kept


def is_now(farm, wanted, server, name, version, kept, why):
    got = s_client(farm, server, name, version, "-sess_in", kept)
    check(got == wanted, f"{server} at {name} by {version}: {got}; {why}")


def before_they_are_there(farm):
    """The keys are written, and nobody could be told of them."""
    for name in farm.names:
        eventually(lambda name=name: all(s["written"] and s["due"] and s["why"] for s in farm.sets(name).values()),
                   f"{name} has written its keys, and says that nobody took them")
        for file, size in {**{f"nginx.key{x}": 80 for x in ("", ".next", ".1", ".2", ".3")}, "haproxy.key": 5 * 109,
                           "apache.key": 48}.items():
            told = (farm.folder(name) / file).stat()
            check(told.st_size == size and told.st_mode & 0o777 == 0o600, f"{name}: {file}: {told}")
        check(farm.metric(name, "stead_tickets_due") == 3, f"{name} counts them")
    for file in ("nginx.key", "nginx.key.next", "haproxy.key", "apache.key"):
        one, same, other = ((farm.folder(name) / file).read_bytes() for name in ("s1", "s2", "s3"))
        check(one == same and one != other, f"{file} is the same on two hosts, and differs from another set's")


def across(farm, what):
    for server in PORTS:
        for version in VERSIONS:
            for here, there in (("s1", "s2"), ("s2", "s1")):
                kept = begin(farm, server, here, version)
                is_now(farm, "Reused", server, there, version, kept, what)


def unlike(farm):
    for version in VERSIONS:
        for server in PORTS:
            kept = begin(farm, server, "s1", version)
            is_now(farm, "New", server, "s3", version, kept, "s3 has other keys")
            for another in PORTS:
                if another != server:
                    is_now(farm, "New", another, "s1", version, kept, f"it was {server}'s")


class Load(threading.Thread):
    """Sessions that begin at one host and go on at the other, one after another."""

    def __init__(self, farm, server, version):
        super().__init__(daemon=True)
        self.farm, self.server, self.version = farm, server, version
        self.over, self.rounds, self.wrong = threading.Event(), 0, []

    def run(self):
        here, there = "s1", "s2"
        while not self.over.is_set():
            try:
                kept = begin(self.farm, self.server, here, self.version, "-load")
                got = s_client(self.farm, self.server, there, self.version, "-sess_in", kept)
                if got != "Reused":
                    self.wrong.append(f"from {here} to {there}: {got}")
            except (Failed, OSError, AttributeError) as error:
                self.wrong.append(repr(error))
            self.rounds += 1
            here, there = there, here


def turn(farm, ahead_s, *names):
    """The next period begins at these nodes."""
    seals = {name: {server: farm.key(name, server, "next") for server in PORTS} for name in names}
    for name in names:
        farm.clock(name, ahead_s)
    for name in names:
        farm.in_use(name, seals[name])


def rotation(farm):
    kept = {(server, version): begin(farm, server, "s1", version, "-before") for server in PORTS for version in VERSIONS}
    loads = [Load(farm, server, version) for server, version in (("nginx", "tls1_3"), ("haproxy", "tls1_2"), ("apache", "tls1_3"))]
    for load in loads:
        load.start()
    turn(farm, PERIOD_S, "s1", "s2")
    for load in loads:
        rounds = load.rounds
        eventually(lambda load=load, rounds=rounds: load.rounds > rounds + 1, "the load goes on")
        load.over.set()
        load.join(60)
        # Apache has one key, and two hosts never change it in the same moment.
        wrong = [w for w in load.wrong if load.server != "apache" or "New" not in w]
        check(not wrong, f"{load.server} by {load.version}, {load.rounds} rounds: {wrong}")
    across(farm, "after keys have changed")
    for (server, version), file in kept.items():
        is_now(farm, "New" if server == "apache" else "Reused", server, "s2", version, file, "it is of the period before")
    return kept


def key_command(farm, *args):
    def done():
        cli = farm.cli("key", *args, "-c", farm.conf("s1"))
        check(cli.returncode == 0, f"stead key {args}: {cli.stdout}{cli.stderr}")
        return True
    eventually(done, f"stead key {args}")


def farms_key(farm):
    """Another one, in three steps; nginx and HAProxy have the newest keys of both while there are two."""
    both = ("nginx", "haproxy")
    kept = {(server, version): begin(farm, server, "s1", version, "-oldkey") for server in both for version in VERSIONS}
    loads = [Load(farm, "nginx", "tls1_3"), Load(farm, "haproxy", "tls1_2")]
    for load in loads:
        load.start()
    for step in (("add",), ("activate", 2)):
        before = {name: farm.sets(name) for name in farm.names}
        key_command(farm, *step)
        for name in farm.names:
            eventually(lambda name=name: all(farm.sets(name)[s]["keys"] != before[name][s]["keys"] for s in both),
                       f"{name} has written others after {step}")
            farm.in_use(name)
        rounds = [load.rounds for load in loads]
        eventually(lambda rounds=rounds: all(l.rounds > r + 2 for l, r in zip(loads, rounds)), "the load goes on")
        time.sleep(1)  # as who types it would: programs are still reading
    for load in loads:
        load.over.set()
        load.join(60)
        # HAProxy takes its keys one after another, and two of them never in the same moment.
        check(len(load.wrong) <= (2 if load.server == "haproxy" else 0), f"{load.server}, {load.rounds} rounds: {load.wrong}")
    for (server, version), file in kept.items():
        is_now(farm, "Reused", server, "s2", version, file, "it was sealed under the farm's key of before")
    key_command(farm, "retire", 1)
    for (server, version), file in kept.items():
        eventually(lambda f=file, s=server, v=version: s_client(farm, s, "s2", v, "-sess_in", f) == "New",
                   f"{server} by {version}: the farm's key of before is retired")
    for name in farm.names:
        farm.in_use(name)
    across(farm, "under another key of the farm")


def clocks_differ(farm):
    """s1 seals with a key that s2 does not seal with yet, and s2 with one that s1 seals with no more."""
    turn(farm, 2 * PERIOD_S, "s1")
    for server in ("nginx", "haproxy"):
        for version in VERSIONS:
            for here, there in (("s1", "s2"), ("s2", "s1")):
                kept = begin(farm, server, here, version)
                is_now(farm, "Reused", server, there, version, kept, "their clocks differ by a period")
    turn(farm, 2 * PERIOD_S, "s2")


def restarted(farm):
    farm.kill("s1", ("node",))
    farm.start_node("s1")
    farm.wait_ready("s1")
    farm.in_use("s1")
    check(farm.metric("s1", "stead_tickets_taken_up_total") == 1, "only HAProxy is told again what it may not know")
    across(farm, "after a node was killed")


def too_old(farm, kept):
    seals = {name: farm.key(name, "nginx", "seals") for name in ("s1", "s2")}
    for name in ("s1", "s2"):
        farm.clock(name, 9 * PERIOD_S)
    for name in ("s1", "s2"):
        eventually(lambda name=name: farm.key(name, "nginx", "seals") != seals[name], f"{name} has turned")
        farm.in_use(name)
    for (server, version), file in kept.items():
        # Who is told to read its keys again serves with the old ones for a moment.
        eventually(lambda f=file, s=server, v=version: s_client(farm, s, "s2", v, "-sess_in", f) == "New",
                   f"{server} by {version}: its key is no more")
    across(farm, "after many periods at once")


def main():
    args = options()
    with scenario(args.build, 54, make=TicketFarm) as farm:
        farm.started()
        try:
            before_they_are_there(farm)
            farm.start_servers()
            for name in farm.names:
                farm.in_use(name)
            across(farm, "at first")
            unlike(farm)
            kept = rotation(farm)
            clocks_differ(farm)
            restarted(farm)
            too_old(farm, kept)
            farms_key(farm)
            shown = farm.cli("status", "-c", farm.conf("s1")).stdout
            check(re.search(r"tickets +web-nginx \(nginx\): key [0-9a-f]{8} seals, then [0-9a-f]{8}; in use", shown), shown)
            secret = (farm.folder("s1") / "haproxy.key").read_text().split()[0]
            check(secret not in shown and secret not in farm.admin("s1", "/v1/status").text, "no key is shown")
        except Failed:
            for log in sorted(farm.run.glob("*.tickets/*.log")):
                print(f"--- {log}", log.read_text()[-1000:], sep="\n", file=sys.stderr)
            raise
        finally:
            for server in farm.servers_run:
                server.end(signal.SIGTERM)


main()
