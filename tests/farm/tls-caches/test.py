#!/usr/bin/env python3
"""Servers that keep their TLS sessions in a cache beside them, each at its own node: stunnel by datagrams (sessiond), Apache by
memcached's protocol and by Redis's. What one began the other resumes, in TLS 1.2 and 1.3; what was revoked at one is resumed
nowhere; and without the node there is a full handshake.

usage: test.py --build DIR
"""
import pathlib
import re
import selectors
import socket
import subprocess
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from farm import SHOP, Failed, Process, check, eventually, options, scenario

SESSIOND, MEMCACHED, REDIS = 7399, 11211, 6379
PORTS = {"stunnel": 8441, "memcache": 8442, "redis": 8443}
VERSIONS = ("tls1_2", "tls1_3")
SPOIL_S = 30
ASKED = "GET /health HTTP/1.0\r\nHost: www.shop.test\r\n\r\n"

STUNNEL = """foreground = yes
pid =
debug = 5
[web]
accept = {ip}:{port}
connect = {ip}:{shop}
cert = {run}/web.pem
key = {run}/web.key
sessiond = {ip}:{sessiond}
"""

APACHE = """ServerRoot {dir}
ServerName www.shop.test:443
PidFile {dir}/pid
Listen {ip}:{port}
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule ssl_module {modules}/mod_ssl.so
LoadModule socache_{cache}_module {modules}/mod_socache_{cache}.so
DocumentRoot {dir}
DefaultRuntimeDir {dir}
ErrorLog {dir}/error.log
LogLevel ssl:info
StartServers 1
ServerLimit 1
ThreadsPerChild 8
MaxRequestWorkers 8
SSLSessionCache {cache}:{ip}:{cache_port}
SSLSessionCacheTimeout 300
SSLSessionTickets off
SSLEngine on
SSLCertificateFile {run}/web.pem
SSLCertificateKeyFile {run}/web.key
<Directory {dir}>
  Require all granted
</Directory>
"""


def configure(farm):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "9",
                    "-subj", "/CN=www.shop.test", "-keyout", farm.run / "web.key", "-out", farm.run / "web.pem"],
                   check=True, capture_output=True)
    for name in farm.names:
        ip, conf = farm.ip(name), farm.conf(name)
        conf.write_text(conf.read_text() + f"""
sessiond  {{ listen = "{ip}:{SESSIOND}" }}
memcached {{ listen = "{ip}:{MEMCACHED}" prefixes = {{"mod_ssl-sess:=tls"}} }}
redis     {{ listen = "{ip}:{REDIS}" prefixes = {{"mod_ssl-sess:=tls"}} }}
""")


def start_servers(farm):
    servers = []
    for name in farm.names:
        conf = farm.run / f"{name}.stunnel.conf"
        conf.write_text(STUNNEL.format(ip=farm.ip(name), port=PORTS["stunnel"], shop=SHOP, run=farm.run, sessiond=SESSIOND))
        servers.append(Process(["/usr/bin/stunnel4", conf], farm.log(name, "stunnel")))
        for cache, port in (("memcache", MEMCACHED), ("redis", REDIS)):
            folder = farm.run / f"{name}.{cache}"
            folder.mkdir()
            (folder / "health").write_text("well\n")
            (folder / "conf").write_text(APACHE.format(dir=folder, ip=farm.ip(name), port=PORTS[cache], cache=cache, run=farm.run,
                                                       cache_port=port, modules="/usr/lib/apache2/modules"))
            servers.append(Process(["/usr/sbin/apache2", "-X", "-f", folder / "conf"], farm.log(name, cache)))
    for name in farm.names:
        for port in PORTS.values():
            eventually(lambda name=name, port=port: not socket.create_connection((farm.ip(name), port), 1).close(),
                       f"a server at {name}:{port}")
    return servers


def s_client(farm, server, name, version, *more):
    """"New" or "Reused"; an answer comes in any case. With HTTP/1.0 the server ends it, after TLS 1.3's tickets."""
    done = subprocess.run(["openssl", "s_client", "-connect", f"{farm.ip(name)}:{PORTS[server]}", f"-{version}", "-ign_eof",
                           *[str(m) for m in more]], input=ASKED, capture_output=True, text=True, timeout=60, check=False)
    check("HTTP/1." in done.stdout, f"{server} at {name} by {version} serves: {done.stdout[-300:]}{done.stderr[-300:]}")
    return re.search(r"^(New|Reused), TLS", done.stdout, re.M).group(1)


def begin(farm, server, name, version):
    kept = farm.run / f"{server}.{version}.{name}.session"
    check(s_client(farm, server, name, version, "-sess_out", kept) == "New", "a client without a session is new")
    return kept


def resumes(farm, server, name, version, kept):
    return eventually(lambda: s_client(farm, server, name, version, "-sess_in", kept) == "Reused",
                      f"{server} at {name} resumes by {version}")


def across(farm):
    for server in PORTS:
        for version in VERSIONS:
            kept = begin(farm, server, "s1", version)
            for name in ("s2", "s3", "s1"):
                resumes(farm, server, name, version, kept)
    for name in ("s2", "s3"):
        check(farm.metric(name, "stead_sessiond_hits_total") >= len(VERSIONS), f"the door at {name} counts what it found")
        check(farm.metric(name, "stead_cache_hits_total") >= 2 * len(VERSIONS), f"the caches at {name} likewise")


def others_have_their_own(farm):
    """stunnel's sessions are not Apache's, whatever cache they lie in."""
    for version in VERSIONS:
        kept = begin(farm, "memcache", "s1", version)
        resumes(farm, "redis", "s2", version, kept)  # one key, one kind, two protocols
        check(s_client(farm, "stunnel", "s2", version, "-sess_in", kept) == "New", "stunnel knows none of Apache's")


class Spoiler(threading.Thread):
    """Stands before a server for one connection, and spoils the client's first record that has the application's bytes."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.door = server, socket.create_server(("127.0.0.1", 0))
        self.spoiled = False

    def run(self):
        client, _ = self.door.accept()
        with client, socket.create_connection(self.server) as server, selectors.DefaultSelector() as waiting:
            ways = {client: server, server: client}
            for side in ways:
                waiting.register(side, selectors.EVENT_READ)
            held = b""
            while True:
                for key, _ in waiting.select(SPOIL_S):
                    got = key.fileobj.recv(65536)
                    if not got:
                        return
                    if key.fileobj is server:
                        client.sendall(got)
                        continue
                    held = self.pass_on(held + got, server)

    def pass_on(self, held, server):
        while len(held) >= 5 and len(held) >= 5 + int.from_bytes(held[3:5], "big"):
            end = 5 + int.from_bytes(held[3:5], "big")
            record, held = held[:end], held[end:]
            if record[0] == 23:
                record, self.spoiled = record[:-1] + bytes([record[-1] ^ 1]), True
            server.sendall(record)
        return held


def spoil(farm, server, name, version, kept):
    """A record that does not open: the server ends the session for good."""
    between = Spoiler((farm.ip(name), PORTS[server]))
    between.start()
    done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{between.door.getsockname()[1]}", f"-{version}",
                           "-ign_eof", "-sess_in", kept], input=ASKED, capture_output=True, text=True, timeout=60, check=False)
    between.join(SPOIL_S)
    between.door.close()
    check(between.spoiled and "Reused, TLS" in done.stdout and "HTTP/1." not in done.stdout,
          f"{server} at {name} had a resumed session spoiled: {done.stdout[-300:]}{done.stderr[-300:]}")


def revoked(farm):
    for server in PORTS:
        kept = begin(farm, server, "s1", "tls1_2")
        resumes(farm, server, "s2", "tls1_2", kept)
        spoil(farm, server, "s2", "tls1_2", kept)
        # stunnel keeps what it began itself in its own memory, too, and asks nobody.
        for name in ("s2", "s3") if server == "stunnel" else ("s1", "s2", "s3"):
            eventually(lambda server=server, name=name, kept=kept:
                       s_client(farm, server, name, "tls1_2", "-sess_in", kept) == "New", f"{server}: revoked at {name}")


def without_the_node(farm):
    farm.kill("s2", ("node",))
    for server in PORTS:
        kept = begin(farm, server, "s1", "tls1_3")
        check(s_client(farm, server, "s2", "tls1_3", "-sess_in", kept) == "New", f"{server} at s2 has nobody to ask")
    farm.start("s2")
    farm.wait_ready("s2")
    for server in PORTS:
        resumes(farm, server, "s2", "tls1_3", farm.run / f"{server}.tls1_3.s1.session")


def after_a_death(farm):
    kept = {server: begin(farm, server, "s3", "tls1_2") for server in PORTS}
    for server in PORTS:
        resumes(farm, server, "s1", "tls1_2", kept[server])
    farm.kill("s3", ("node",))
    for server in PORTS:
        for name in ("s1", "s2"):
            resumes(farm, server, name, "tls1_2", kept[server])


def main():
    args = options()
    with scenario(args.build, 53) as farm:
        configure(farm)
        farm.started()
        servers = start_servers(farm)
        try:
            across(farm)
            others_have_their_own(farm)
            revoked(farm)
            without_the_node(farm)
            after_a_death(farm)
            for name in ("s1", "s2"):
                for metric in ("failed", "malformed", "full", "unsent"):
                    count = farm.metric(name, f"stead_sessiond_{metric}_total")
                    check(count == 0, f"{name}: stead_sessiond_{metric}_total is {count}")
        except Failed:
            for log in sorted(farm.run.glob("*/error.log")):
                print(f"--- {log}", log.read_text()[-2000:], sep="\n", file=sys.stderr)
            raise
        finally:
            for server in servers:
                server.end()


main()
