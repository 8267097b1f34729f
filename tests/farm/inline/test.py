#!/usr/bin/env python3
"""In line: a client's host, the node's, two servers' hosts, each a network namespace; the node's is the servers' gateway.
Clients connect to the servers' own addresses, the servers see the clients' own addresses: nginx, Apache, and a server of
plain TCP. What is set up is what docs/inline.md says.

usage: test.py --build DIR
Needs root, network namespaces, iptables-legacy, nginx and Apache; without them it is skipped (exit status 77).
"""
import contextlib
import ctypes
import os
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from client import UnixConnection, exchange
from farm import Farm, Process, check, eventually, options, scenario
from net import enter, run, skip

CLIENT, OTHER = "10.78.1.7", "10.78.1.8"
SERVERS = {"web": ("nginx", "10.78.2.2", 80), "shop": ("apache", "10.78.3.2", 80), "db": ("nginx", "10.78.2.2", 5432),
           "db6": ("nginx", "fd78:2::2", 5432)}
NODE_CONF = """farm     = "line"
key-file = "run/farm.key"
state    = "run/{name}"
include("services.conf")
node "{name}" {{ address = "{ip}" join = {{{join}}} }}
"""
SERVICES = """service "web"  { name = "www.line.test"  url = "http://www.line.test" }
service "shop" { name = "shop.line.test" url = "http://shop.line.test" }
service "db"   { name = "db.line.test"   url = "tcp://db.line.test:5432" affinity-life = "2s" between = yes }
service "db6"  { name = "db6.line.test"  url = "tcp://db6.line.test:5432" }
"""
LINE = """
server "web" {
    urls    = {"http://web.line.test"}
    address = "10.78.2.2:80"
    check { interval = "200ms" }
}
server "shop" {
    urls    = {"http://apache.line.test"}
    address = "10.78.3.2:80"
    check { interval = "200ms" }
}
server "db" {
    urls    = {"tcp://10.78.2.2:5432"}
    address = "10.78.2.2:5432"
    takeover = "web"
    check { interval = "200ms" }
}
server "db6" {
    urls    = {"tcp://[fd78:2::2]:5432"}
    address = "[fd78:2::2]:5432"
    takeover = "web"
    check { interval = "200ms" }
}
inline { interfaces = {"clients"} apply = yes }
public { listen = "10.78.1.1:80" }
"""
BESIDE = """
server "db" {
    urls    = {"tcp://10.78.4.2:5432"}
    listen  = "10.78.4.2:5432"
    forward = "127.0.0.1:5432"
    proxy-protocol = "v1"
    check { interval = "200ms" }
}
server "web" {
    urls    = {"http://beside.line.test"}
    forward = "127.0.0.1:8000"
    check { type = "none" }
}
public { listen = "10.78.4.2:80" }
"""
LIBC = ctypes.CDLL(None, use_errno=True)
PR_SET_CHILD_SUBREAPER = 36


def host(name):
    return f"stead-{os.getpid()}-{name}"


def inside(name):
    return ["ip", "netns", "exec", host(name)]


@contextlib.contextmanager
def within(name):
    """This thread's sockets are made there."""
    with open("/proc/thread-self/ns/net") as back, open(f"/run/netns/{host(name)}") as there:
        check(LIBC.setns(there.fileno(), 0) == 0, "setns")
        try:
            yield
        finally:
            check(LIBC.setns(back.fileno(), 0) == 0, "setns back")


def make_network():
    for name in ("client", "node", "nginx", "apache", "beside", "segment", "near"):
        run("ip", "netns", "add", host(name))
        run("ip", "-n", host(name), "link", "set", "lo", "up")
    for number, name, device in ((1, "client", "clients"), (3, "apache", "shop"), (4, "beside", "beside")):
        run("ip", "-n", host("node"), "link", "add", device, "type", "veth", "peer", "name", "eth0", "netns", host(name))
        own = {"client": 7}.get(name, 2)
        run("ip", "-n", host("node"), "address", "add", f"10.78.{number}.1/24", "dev", device)
        run("ip", "-n", host(name), "address", "add", f"10.78.{number}.{own}/24", "dev", "eth0")
        run("ip", "-n", host("node"), "link", "set", device, "up")
        run("ip", "-n", host(name), "link", "set", "eth0", "up")
        run("ip", "-n", host(name), "route", "add", "default", "via", f"10.78.{number}.1")
    # A third host stands on the link between the node and nginx.
    run("ip", "-n", host("segment"), "link", "add", "switch", "up", "type", "bridge")
    for name, device in (("node", "web"), ("nginx", "eth0"), ("near", "eth0")):
        run("ip", "-n", host("segment"), "link", "add", f"to-{name}", "type", "veth", "peer", "name", device, "netns", host(name))
        run("ip", "-n", host("segment"), "link", "set", f"to-{name}", "master", "switch", "up")
        run("ip", "-n", host(name), "link", "set", device, "up")
    for name, device, own in (("node", "web", 1), ("nginx", "eth0", 2), ("near", "eth0", 9)):
        run("ip", "-n", host(name), "address", "add", f"10.78.2.{own}/24", "dev", device)
        run("ip", "-n", host(name), "address", "add", f"fd78:2::{own}/64", "dev", device, "nodad")
    run("ip", "-n", host("nginx"), "route", "add", "default", "via", "10.78.2.1")
    for name, own in (("node", "1"), ("client", "7")):
        device = {"node": "clients", "client": "eth0"}[name]
        run("ip", "-n", host(name), "address", "add", f"fd78:1::{own}/64", "dev", device, "nodad")
    run("ip", "-n", host("client"), "-6", "route", "add", "default", "via", "fd78:1::1")
    run(*inside("node"), "sysctl", "-qw", "net.ipv6.conf.all.forwarding=1")
    run("ip", "-n", host("nginx"), "-6", "route", "add", "default", "via", "fd78:2::1")
    run("ip", "-n", host("client"), "address", "add", f"{OTHER}/24", "dev", "eth0")
    run(*inside("node"), "sysctl", "-qw", "net.ipv4.ip_forward=1")


class Echo:
    """A server of plain TCP: says its name and whom it sees, and what comes again."""

    def __init__(self, name, where, at, header=False):
        self.name, self.header = name, header
        with within(where):
            family = socket.AF_INET6 if ":" in at[0] else socket.AF_INET
            self.listener = socket.create_server(at, family=family)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self.serve, args=self.listener.accept(), daemon=True).start()

    def serve(self, s, peer):
        with contextlib.suppress(OSError), s:
            seen = "{}:{}".format(*peer[:2])
            if self.header:
                text = b""
                while not text.endswith(b"\r\n"):
                    data = s.recv(1)
                    if not data:
                        return
                    text += data
                seen = text.decode().split()[2]
            s.sendall(f"{self.name} {seen}\n".encode())
            while data := s.recv(65536):
                s.sendall(data)

    def end(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


class LineFarm(Farm):
    def __init__(self, build, block, example):
        super().__init__(build, block, "loopback")
        for conf in self.dir.glob("*.conf"):
            conf.unlink()
        (self.dir / "services.conf").write_text(SERVICES)
        self.names, self.servers = ["node", "beside"], []
        self.conf("node").write_text(NODE_CONF.format(name="node", ip="10.78.4.1", join='"10.78.4.2"') + LINE)
        self.conf("beside").write_text(NODE_CONF.format(name="beside", ip="10.78.4.2", join='"10.78.4.1"') + BESIDE)
        self.web = {}

    def start_node(self, name):
        self.nodes[name] = Process([*inside(name), self.build / "stead", "run", "-c", self.conf(name)], self.log(name))

    def admin(self, name, path):
        connection = UnixConnection(self.run / name / "admin.sock")
        try:
            return exchange(connection, "GET", path)
        finally:
            connection.close()

    def wait_ready(self, *names):
        for name in names:
            eventually(lambda name=name: self.ready(name), f"{name} is ready")

    def status_of_server(self, name, service):
        return next(s["status"] for s in self.roster("node")["servers"] if s["name"] == name and s["service"] == service)

    def start_nginx(self):
        folder = self.dir / "nginx"
        folder.mkdir(exist_ok=True)
        (folder / "conf").write_text(f"""daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;
events {{ }}
http {{ access_log {folder}/access.log; client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  server {{ listen 10.78.2.2:80; location / {{ return 200 "nginx saw $remote_addr:$remote_port for $host\\n"; }} }} }}""")
        self.web["nginx"] = Process([*inside("nginx"), "nginx", "-p", folder, "-c", folder / "conf"], self.log("nginx", "web"))

    def start_apache(self):
        folder = self.dir / "apache"
        folder.mkdir(exist_ok=True)
        (folder / "index.html").write_text("apache\n")
        os.chmod(self.dir, 0o755)
        modules = "/usr/lib/apache2/modules"
        (folder / "conf").write_text(f"""ServerRoot {folder}
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
User www-data
Group www-data
ServerName apache.line.test
PidFile {folder}/pid
ErrorLog {folder}/error.log
Listen 10.78.3.2:80
DocumentRoot {folder}
LogFormat "%h %{{remote}}p %r" seen
CustomLog {folder}/access.log seen
""")
        self.web["apache"] = Process([*inside("apache"), "apache2", "-X", "-f", folder / "conf"], self.log("apache", "web"))

    def stop(self):
        for process in self.web.values():
            with contextlib.suppress(Exception):
                process.end()
        super().stop()


def connect(at, source=CLIENT, port=0, where="client"):
    with within(where):
        s = socket.create_connection(at, timeout=3, source_address=(source, port) if source else None)
    return s, "{}:{}".format(*s.getsockname()[:2])


def get(address, path="/", name=None, source=CLIENT):
    """(status, headers, body, the client's own address), by one connection."""
    s, own = connect((address, 80), source)
    with s:
        s.sendall(f"GET {path} HTTP/1.1\r\nHost: {name or address}\r\nConnection: close\r\n\r\n".encode())
        got = b""
        while data := s.recv(65536):
            got += data
    head, _, body = got.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    return int(lines[0].split()[1]), dict(h.lower().split(": ", 1) for h in lines[1:]), body.decode(), own


def line(s):
    got = b""
    while not got.endswith(b"\n"):
        data = s.recv(1)
        check(data, f"closed after {got!r}")
        got += data
    return got.decode().split()


def http(farm):
    for source in (CLIENT, OTHER):
        status, _, body, own = get("10.78.2.2", source=source, name="whatever.test")
        check(status == 200 and body == f"nginx saw {own} for whatever.test\n", f"{status} {body!r} to {own}")
        check(get("10.78.3.2", "/index.html", source=source)[2] == "apache\n", "apache")
    logs = (farm.dir / "nginx/access.log").read_text(), (farm.dir / "apache/access.log").read_text()
    check(f"{CLIENT} - -" in logs[0] and f"{OTHER} - -" in logs[0], f"nginx logged {logs[0]}")
    check("10.78.2.1 - - " not in logs[0], "nobody else came")
    check(f"{CLIENT} " in logs[1] and f"{OTHER} " in logs[1], f"apache logged {logs[1]}")
    check(farm.metric("node", 'stead_tcp_connections_total{to="own"}') >= 4, "and it was by the node")


def tcp(farm):
    at = SERVERS["db"][1:]
    s, own = connect(at)
    with s:
        check(line(s) == ["db", own], "the server sees the client's address and port")
        data = os.urandom(1 << 20)
        threading.Thread(target=lambda: (s.sendall(data), s.shutdown(socket.SHUT_WR)), daemon=True).start()
        got = b""
        while piece := s.recv(65536):
            got += piece
        check(got == data, "all of it came there and back")
    s, own = connect(SERVERS["db6"][1:], None)
    with s:
        check(line(s) == ["db6", own] and own.startswith("fd78:1::7:"), "by IPv6 too")
    for _ in range(3):  # one port of the client's again and again, as some do
        s, own = connect(at, port=45454)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        with s:
            check(line(s)[1].startswith(CLIENT), "its address")
    many = [connect(at)[0] for _ in range(50)]
    for s in many:
        line(s)
    eventually(lambda: farm.metric("node", "stead_tcp_open") == 50, "50 are open")
    for s in many:
        s.close()
    eventually(lambda: farm.metric("node", "stead_tcp_open") == 0, "none is")


def backup(farm):
    farm.web["nginx"].end()
    farm.db.end()
    eventually(lambda: farm.status_of_server("node", "web") == "suspect", "nginx is gone")
    status, headers, _, _ = get("10.78.2.2", "/x?y=1", name="web.line.test")
    check((status, headers.get("location")) == (307, "http://beside.line.test/x?y=1"),
          f"a redirect: {status} {headers}")
    s, own = connect(SERVERS["db"][1:])
    with s:
        check(line(s) == ["db-beside", CLIENT], "the other node's server, which is told the client")
        s.sendall(b"hello\n")
        check(line(s) == ["hello"], "and works")
        farm.start_nginx()
        farm.db = Echo("db", "nginx", SERVERS["db"][1:])
        eventually(lambda: farm.status_of_server("node", "db") == "up", "it is back")
        s2, _ = connect(SERVERS["db"][1:], OTHER)
        with s2:
            check(line(s2)[0] == "db", "new clients have it")
        s.sendall(b"again\n")
        check(line(s) == ["again"], "who is with the backup stays")
    eventually(lambda: get("10.78.2.2")[0] == 200, "nginx too")


class Successor:
    """A process that another one started: this test's child by now, which began it all."""

    def __init__(self, pid):
        self.pid, self.status = pid, None

    def runs(self):
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.status = os.waitstatus_to_exitcode(status) if pid else None
        return self.status is None

    def send(self, number):
        if self.runs():
            os.kill(self.pid, number)

    def end(self, number=signal.SIGTERM, wait_s=60):
        self.send(number)
        eventually(lambda: not self.runs(), f"process {self.pid} ends", wait_s)
        return self.status


def upgraded(farm, s, addresses):
    """A new process goes on where the old one was: rules, addresses, and a connection through it."""
    old, lines = farm.nodes["node"], farm.log("node").read_text().splitlines()
    done = farm.cli("upgrade", "-c", farm.conf("node"))
    check(done.returncode == 0, f"upgrade: {done.stderr}")
    eventually(lambda: not old.runs(), "the old process ends, as its connection has passed over")
    farm.nodes["node"] = Successor(farm.status("node")["pid"])
    check(old.end() == 0, "in order")
    s.sendall(b"upgraded\n")
    check(line(s) == ["upgraded"], "the connection goes on")
    time.sleep(2)  # the time in which an address would be looked for again
    there = run(*addresses)
    check("10.78.2.2/32" in there and "fd78:2::2/128" in there, "the addresses are held")
    check(farm.metric("node", "stead_takeover_held") == 2, "and the metrics say so")
    since = farm.log("node").read_text().splitlines()[len(lines):]
    check(not [x for x in since if "address-" in x or "inline-rules" in x], f"nothing was done to them: {since}")
    check(run(*inside("node"), "iptables-legacy", "-t", "mangle", "-S").count("TPROXY") == 5, "the rules are there")
    check(said(SERVERS["db"][1:])[0] == "db-beside", "a new connection of a neighbour comes to it")


def said(at, where="near"):
    """What the server says first, and who asked."""
    s, own = connect(at, None, where=where)
    with s:
        return [*line(s), own]


def takeover(farm):
    """The server's host is gone: its address goes to the node, and its neighbours' connections with it."""
    at = SERVERS["db"][1:]
    name, seen, own = said(at)
    check((name, seen) == ("db", own), "a neighbour reaches the server without the node")
    addresses = ["ip", "-n", host("node"), "-o", "address", "show", "dev", "web"]
    farm.web["nginx"].end()
    farm.db.end()
    eventually(lambda: farm.status_of_server("node", "db") == "suspect", "its server fails")
    time.sleep(2)  # what is tested is that nothing happens
    check("10.78.2.2/32" not in run(*addresses), "the host is there, so its address is its own")
    check("fd78:2::2/128" not in run(*addresses), "and by IPv6")
    farm.db6.end()
    run("ip", "-n", host("nginx"), "link", "set", "eth0", "down")
    eventually(lambda: "fd78:2::2/128" in run(*addresses), "its IPv6 address is taken over")
    eventually(lambda: "10.78.2.2/32" in run(*addresses), "its address is taken over")
    eventually(lambda: said(at)[0] == "db-beside", "its neighbour reaches the backup")
    check(farm.metric("node", "stead_takeover_held") == 2, "and the metrics say so")
    s, _ = connect(at, None, where="near")
    with s:
        line(s)
        upgraded(farm, s, addresses)
        run("ip", "-n", host("nginx"), "link", "set", "eth0", "up")
        run("ip", "-n", host("nginx"), "route", "replace", "default", "via", "10.78.2.1")
        run("ip", "-n", host("nginx"), "address", "replace", "fd78:2::2/64", "dev", "eth0", "nodad")
        run("ip", "-n", host("nginx"), "-6", "route", "replace", "default", "via", "fd78:2::1")
        farm.db6 = Echo("db6", "nginx", SERVERS["db6"][1:])
        farm.start_nginx()
        farm.db = Echo("db", "nginx", at)
        time.sleep(2.5)  # likewise
        s.sendall(b"still\n")
        check(line(s) == ["still"], "who is with the backup stays")
        check("10.78.2.2/32" in run(*addresses), "until its session ends")
    eventually(lambda: "10.78.2.2/32" not in run(*addresses), "then it is given back")

    eventually(lambda: "fd78:2::2/128" not in run(*addresses), "by IPv6 too")

    def direct():
        name, seen, own = said(at)
        return (name, seen) == ("db", own)
    eventually(direct, "and the neighbour is with the server again")
    eventually(lambda: farm.status_of_server("node", "db") == "up", "which is up")
    eventually(lambda: get("10.78.2.2")[0] == 200, "for clients too")
    eventually(lambda: said(SERVERS["db6"][1:], "client")[0] == "db6", "and by IPv6")


def rules(farm):
    """What an operator would run is what the node ran, and goes with it."""
    printed = run(farm.build / "stead", "inline", "rules", "-c", farm.conf("node")).splitlines()
    check(any("TPROXY" in p and "-i clients" in p for p in printed), f"{printed}")
    there = run(*inside("node"), "iptables-legacy", "-t", "mangle", "-S")
    check(there.count("TPROXY") == 5, there)
    check(run(*inside("node"), "ip6tables-legacy", "-t", "mangle", "-S").count("TPROXY") == 2, "IPv6")
    check(farm.nodes["node"].end() == 0, "it ends in order")
    check("STEAD" not in run(*inside("node"), "iptables-legacy", "-t", "mangle", "-S"), "its rules are gone")
    check("7390" not in run(*inside("node"), "ip", "rule"), "all of them")
    conf = farm.conf("node").read_text().replace("apply = yes", "")
    farm.conf("node").write_text(conf)
    run(*inside("node"), "sh", "-e", text="\n".join(printed))
    farm.start_node("node")
    farm.wait_ready("node")
    eventually(lambda: get("10.78.2.2")[0] == 200, "by an operator's rules")
    undo = run(farm.build / "stead", "inline", "rules", "--undo", "-c", farm.conf("node"))
    run(*inside("node"), "sh", "-e", text=undo)
    _, _, body, own = get("10.78.2.2")
    check(own in body, "without them it is a router")


def main():
    args = options()
    enter()
    for tool in ("nginx", "apache2"):
        if not shutil.which(tool):
            skip(f"there is no {tool} on this machine")
    LIBC.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    make_network()
    with scenario(args.build, 48, make=LineFarm) as farm:
        farm.start_nginx()
        farm.start_apache()
        farm.db = Echo("db", "nginx", SERVERS["db"][1:])
        farm.db6 = Echo("db6", "nginx", SERVERS["db6"][1:])
        farm.beside = Echo("db-beside", "beside", ("127.0.0.1", 5432), header=True)
        farm.start_node("node")
        farm.start_node("beside")
        farm.wait_ready("node", "beside")
        eventually(lambda: all(farm.status_of_server("node", s) == "up" for s in SERVERS), "all are up")
        for step in (http, tcp, backup, takeover, rules):
            print(step.__name__, flush=True)
            step(farm)


main()
