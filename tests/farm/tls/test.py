#!/usr/bin/env python3
"""https at every node: clients of OpenSSL and curl are redirected and forwarded under TLS, see the certificate of the name
they ask for, with its staple, show their own where they must; certificates change under load without a failed request; and
what is no TLS, or only half of it, costs nobody else anything.

usage: test.py --build DIR
"""
import hashlib
import http.client
import http.server
import pathlib
import re
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from certs import Authority, openssl
from farm import PUBLIC, Failed, check, eventually, options, scenario

TLS, BIG = 8443, 9100
LARGE = bytes(range(256)) * 4 * 4096  # 4 MiB


class Backend(http.server.BaseHTTPRequestHandler):
    """The real server of s2: large bodies both ways."""
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = LARGE if self.path == "/large" else repr(dict(self.headers)).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_PUT(self):
        body = hashlib.sha256(self.rfile.read(int(self.headers["Content-Length"]))).hexdigest().encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


def configure(farm):
    ours, theirs = Authority(farm.run), Authority(farm.run, "strangers")
    serial = ours.issue("shop", "shop", "www.shop.test", "*.shop.test")
    ours.staple("shop", serial)
    ours.issue("other", "other", "other.test", "*.deep.other.test")
    ours.issue("anna", "anna")
    theirs.issue("eve", "eve")
    for name in farm.names:
        ip, clients = farm.ip(name), {"s2": "optional", "s3": "required"}.get(name)
        text = farm.conf(name).read_text()
        text = text.replace(f'public {{ listen = "{ip}:{PUBLIC}" }}', f"""
public {{ listen = "{ip}:{PUBLIC}" listen-tls = "{ip}:{TLS}" }}
tls {{
    certificate "shop"  {{ chain = "run/shop.pem" key = "run/shop.key" ocsp = "run/shop.der" }}
    certificate "other" {{ chain = "run/other.pem" key = "run/other.key" }}
    handshakes = 64
    {f'client = "{clients}" client-ca = "run/authority.pem"' if clients else ''}
}}""")
        text = text.replace(f'"http://{name}.shop.test:{PUBLIC}"',
                            f'"http://{name}.shop.test:{PUBLIC}", "https://{name}.shop.test:{TLS}"')
        if name == "s2":
            text = text.replace(f'"{ip}:9000"', f'"{ip}:{BIG}"')
        if name == "s3":
            text = text.replace("weight   = ", "weight   = 0 #")
        farm.conf(name).write_text(text)
        done = farm.cli("check", "-c", farm.conf(name))
        check(done.returncode == 0, f"stead check: {done.stdout}{done.stderr}")
    server = http.server.ThreadingHTTPServer((farm.ip("s2"), BIG), Backend)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    farm.healthy = lambda name: True
    return ours


def curl(farm, *args, ok=True):
    resolve = [f"www.shop.test:{p}:{farm.ip('s1')}" for p in (PUBLIC, TLS)]
    resolve += [f"{n}.shop.test:{p}:{farm.ip(n)}" for n in farm.names for p in (PUBLIC, TLS)]
    done = subprocess.run(["curl", "-sS", "--noproxy", "*", "--cacert", farm.run / "authority.pem",
                           *[a for r in resolve for a in ("--resolve", r)], *args],
                          capture_output=True, text=True, timeout=60, check=False)
    check(not ok or done.returncode == 0, f"curl {args}: {done.returncode} {done.stderr}")
    return done.stdout if ok else done


def redirected_and_forwarded(farm):
    www = "www.shop.test"
    for version in ("--http1.1", "--http2"):
        for _ in range(6):
            where = curl(farm, version, "-o", "/dev/null", "-w", "%{http_code} %{redirect_url} %{http_version}",
                         f"https://{www}:{TLS}/some/path?a=1")
            found = re.fullmatch(rf"307 https://s[12]\.shop\.test:{TLS}/some/path\?a=1 ([12])(\.1)?", where)
            check(found and found.group(1) == version[6], f"{version}: {where}")
        text = curl(farm, version, "-L", "-w", "\n%{http_code} %{num_redirects} %{url_effective}", f"https://{www}:{TLS}/whoami.json")
        check(re.search(rf"\n200 1 https://s[12]\.shop\.test:{TLS}/whoami.json$", text), text)
    plain = curl(farm, "-o", "/dev/null", "-w", "%{redirect_url}", f"http://{www}:{PUBLIC}/")
    check(plain.startswith("http://"), f"a plain client stays plain: {plain}")
    heard = curl(farm, f"https://s2.shop.test:{TLS}/headers")
    check("'X-Forwarded-Proto': 'https'" in heard, f"the real server is told of https: {heard}")


def large_bodies(farm):
    upload = farm.run / "upload"
    upload.write_bytes(LARGE)
    want = hashlib.sha256(LARGE).hexdigest()
    for version in ("--http1.1", "--http2"):
        got = farm.run / "download"
        curl(farm, version, "-o", got, f"https://s2.shop.test:{TLS}/large")
        check(got.read_bytes() == LARGE, f"{version}: 4 MiB arrive whole")
        curl(farm, version, "--limit-rate", "3M", "-o", got, f"https://s2.shop.test:{TLS}/large")
        check(got.read_bytes() == LARGE, f"{version}: 4 MiB arrive whole at a slow reader")
        check(curl(farm, version, "-T", upload, f"https://s2.shop.test:{TLS}/put") == want, f"{version}: 4 MiB are sent whole")


def roster_events(farm):
    done = curl(farm, "-N", "--max-time", "3", "-H", "Accept: text/event-stream",
                f"https://www.shop.test:{TLS}/.well-known/stead/roster", ok=False)
    check("event:" in done.stdout and '"servers"' in done.stdout, f"events of the roster: {done.stdout[:300]} {done.stderr}")


def s_client(farm, node, *args, stdin="Q\n"):
    return openssl("s_client", "-connect", f"{farm.ip(node)}:{TLS}", "-CAfile", farm.run / "authority.pem", *args,
                   stdin=stdin, ok=False)


def what_clients_see(farm):
    for name, subject in (("www.shop.test", "shop"), ("anything.shop.test", "shop"), ("other.test", "other"),
                          ("a.deep.other.test", "other"), ("deep.other.test", "shop"), ("unknown.example", "shop")):
        out = s_client(farm, "s1", "-servername", name)
        check(re.search(rf"subject=CN ?= ?{subject}\n", out), f"{name} is shown {subject}: {out}")
        check("Verification: OK" in out, f"{name}: {out}")
    check(re.search(r"subject=CN ?= ?shop\n", s_client(farm, "s1", "-noservername")), "without a name: the first")
    check("OCSP Response Status: successful" in s_client(farm, "s1", "-status", "-servername", "www.shop.test"), "a staple")
    check("OCSP response: no response sent" in s_client(farm, "s1", "-status", "-servername", "other.test"), "and none")
    check("ALPN protocol: h2" in s_client(farm, "s1", "-alpn", "http/1.1,h2"), "h2 is preferred")
    check("ALPN protocol: http/1.1" in s_client(farm, "s1", "-alpn", "http/1.1"), "http/1.1")
    check("no application protocol" in s_client(farm, "s1", "-alpn", "imap"), "another protocol is refused")
    for version, good in (("-tls1_3", True), ("-tls1_2", True), ("-tls1_1", False)):
        out = s_client(farm, "s1", version, "-cipher", "DEFAULT@SECLEVEL=0")
        check(("Cipher is (NONE)" not in out) == good, f"{version}: {out}")
    out = s_client(farm, "s1", "-tls1_2", stdin="R\n")
    check("no renegotiation" in out.lower() or "no_renegotiation" in out, f"renegotiation: {out}")


def client_certificates(farm):
    mine = ["--cert", farm.run / "anna.pem", "--key", farm.run / "anna.key"]
    eves = ["--cert", farm.run / "eve.pem", "--key", farm.run / "eve.key"]
    url = {n: f"https://{n}.shop.test:{TLS}/" for n in farm.names}
    curl(farm, url["s2"])
    curl(farm, *mine, url["s2"])
    check(curl(farm, *eves, url["s2"], ok=False).returncode != 0, "a stranger's certificate, though none is needed")
    check(curl(farm, url["s3"], ok=False).returncode != 0, "none where one is required")
    check(curl(farm, *eves, url["s3"], ok=False).returncode != 0, "a stranger's where one is required")
    curl(farm, *mine, url["s3"])
    check(farm.metric("s3", 'stead_tls_failures_total{reason="client-cert"}') >= 2, "they are counted")
    der = ssl.PEM_cert_to_DER_cert((farm.run / "anna.pem").read_text().split("-----END")[0] + "-----END CERTIFICATE-----\n")
    told = ["'X-SSL-Client-Subject': 'CN=anna'", f"'X-SSL-Client-Fingerprint': '{hashlib.sha256(der).hexdigest()}'"]
    claim = ["-H", "X-SSL-Client-Subject: CN=root", "-H", "x_ssl_client_fingerprint: 00"]
    for version in ("--http1.1", "--http2"):
        twice = [url["s2"], "--next", "-sS", version, "--cacert", farm.run / "authority.pem", *mine, *claim, "--noproxy", "*",
                 url["s2"] + "second"]
        heard = curl(farm, version, *mine, *claim, *twice)
        check(all(heard.count(t) == 2 for t in told), f"{version}: the real server is told who it is: {heard}")
        check("root" not in heard, f"{version}: and nothing else: {heard}")
        heard = curl(farm, version, *claim, url["s2"])
        check("client" not in heard.lower() and "root" not in heard, f"{version}: nor of one without: {heard}")
    for version in ("-tls1_2", "-tls1_3"):
        ask = ["s2", version, "-servername", "s2.shop.test", "-cert", mine[1], "-key", mine[3], "-ign_eof"]
        head = f"GET / HTTP/1.1\r\nHost: s2.shop.test:{TLS}\r\nConnection: close\r\n\r\n"
        heard = s_client(farm, *ask, "-sess_out", farm.run / "anna.session", stdin=head)
        check(told[0] in heard, f"{version}: {heard}")
        heard = s_client(farm, *ask, "-sess_in", farm.run / "anna.session", stdin=head)
        check("Reused" in heard and all(t in heard for t in told), f"{version}: also when a session is resumed: {heard}")


class Load(threading.Thread):
    """Asks all the time: a connection for each request, a kept one, and resumed sessions."""

    def __init__(self, farm, keep, resume):
        super().__init__(daemon=True)
        self.ip, self.keep, self.resume = farm.ip("s1"), keep, resume
        self.done, self.failed, self.over, self.resumed = 0, [], False, 0
        self.serials = set()
        self.context = ssl.create_default_context(cafile=farm.run / "authority.pem")
        self.session = None

    def connect(self):
        raw = socket.create_connection((self.ip, TLS), timeout=20)
        sock = self.context.wrap_socket(raw, server_hostname="www.shop.test", session=self.session)
        self.serials.add(sock.getpeercert()["serialNumber"])
        self.resumed += sock.session_reused
        connection = http.client.HTTPConnection("www.shop.test")
        connection.sock = sock
        return connection

    def ask(self, connection):
        connection.request("GET", "/x", headers={"Host": f"www.shop.test:{TLS}"})
        reply = connection.getresponse()
        reply.read()
        if reply.status != 307:
            raise Failed(f"status {reply.status}")
        self.done += 1

    def run(self):
        connection = None
        while not self.over:
            try:
                if connection is None:
                    connection = self.connect()
                self.ask(connection)
                if not self.keep:
                    self.session = connection.sock.session if self.resume else None
                    connection.close()
                    connection = None
            except Exception as error:
                self.failed.append(repr(error))
                return
            time.sleep(0.002)


def serial_shown(farm):
    found = re.search(r"subject=CN ?= ?(\w+)", s_client(farm, "s1"))
    return found and found.group(1)


def certificates_change_under_load(farm, authority):
    loads = [Load(farm, False, True), Load(farm, False, False), Load(farm, True, False)]
    for load in loads:
        load.start()
    for i in range(5):
        authority.issue("shop", f"shop{i}", "www.shop.test", "*.shop.test")
        farm.nodes["s1"].send(signal.SIGHUP)
        eventually(lambda i=i: serial_shown(farm) == f"shop{i}", f"certificate {i} is shown")
    good = (farm.run / "shop.pem").read_text()
    (farm.run / "shop.pem").write_text("rubbish\n")
    farm.nodes["s1"].send(signal.SIGHUP)
    eventually(lambda: farm.metric("s1", 'stead_tls_reloads_total{result="kept_old"}') == 1, "a bad file is counted")
    check(serial_shown(farm) == "shop4", "and the old certificate goes on")
    check("kept=old" in farm.log("s1").read_text() and "shop.pem" in farm.log("s1").read_text(), "and it is said")
    (farm.run / "shop.pem").write_text(good)
    farm.nodes["s1"].send(signal.SIGHUP)
    for load in loads:
        load.over = True
        load.join(30)
        check(not load.failed, f"no request fails: {load.failed}")
        check(load.done > 20, f"there was load: {load.done}")
    check(loads[0].resumed > 10, f"sessions are resumed: {loads[0].resumed} of {loads[0].done}")
    check(len(loads[1].serials) >= 2, "clients saw more than one certificate")
    check(loads[2].resumed == 0 and len(loads[2].serials) == 1, "one connection was kept all the time")


def a_certificate_more(farm, authority):
    """By its section in the file, while the node runs."""
    authority.issue("more", "more", "more.test")
    text = farm.conf("s1").read_text()
    farm.conf("s1").write_text(text.replace('    certificate "other"', '    certificate "more" { chain = "run/more.pem" key = "run/more.key" }\n    certificate "other"'))
    farm.nodes["s1"].send(signal.SIGHUP)
    eventually(lambda: re.search(r"subject=CN ?= ?more\n", s_client(farm, "s1", "-servername", "more.test")), "one more is shown")
    farm.conf("s1").write_text(text)
    farm.nodes["s1"].send(signal.SIGHUP)
    eventually(lambda: re.search(r"subject=CN ?= ?shop", s_client(farm, "s1", "-servername", "more.test")), "and no more")


def half_handshakes(farm):
    silent = [socket.create_connection((farm.ip("s1"), TLS)) for _ in range(100)]
    for i, s in enumerate(silent):
        s.send((b"", b"\x16\x03\x01\x02\x00\x01", b"\x16\x03", b"SSH-2.0-x\r\n")[i % 4])
    curl(farm, "-o", "/dev/null", f"https://www.shop.test:{TLS}/")
    for s in silent:
        s.close()
    reply = curl(farm, f"http://www.shop.test:{TLS}/")
    check("https" in reply, f"plain HTTP at the TLS port: {reply}")
    failures = 'stead_tls_failures_total{reason="%s"}'
    eventually(lambda: farm.metric("s1", failures % "closed") >= 70, "closed ones are counted")
    check(farm.metric("s1", failures % "not-tls") >= 25, "what is no TLS is counted")
    check(farm.metric("s1", failures % "http") == 1, "plain HTTP is counted")


def floods(farm, authority):
    """Silent handshakes beyond the bound, wishes to renegotiate, certificates beyond their bound: others are served."""
    failures = 'stead_tls_failures_total{reason="%s"}'
    silent = [socket.create_connection((farm.ip("s1"), TLS), timeout=20) for _ in range(400)]
    for s in silent[::2]:
        s.send(b"\x16\x03\x01\x02\x00\x01")
    for _ in range(3):
        curl(farm, "-o", "/dev/null", f"https://www.shop.test:{TLS}/")
    eventually(lambda: farm.metric("s1", failures % "crowded") > 0, "those that waited longest gave way")
    for s in silent:
        s.close()
    wanted = "stead_tls_renegotiations_total"
    before = farm.metric("s1", wanted)
    callers = [subprocess.Popen(["openssl", "s_client", "-tls1_2", "-connect", f"{farm.ip('s1')}:{TLS}"], stdin=subprocess.PIPE,
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for _ in range(8)]
    for caller in callers:
        caller.communicate(b"R\n", timeout=60)
    check(farm.metric("s1", wanted) - before == len(callers), "wishes to renegotiate are counted")
    names = [f"{i:04d}.{'a' * 60}.{'b' * 60}.{'c' * 60}.test" for i in range(180)]  # 35 KB of names
    authority.issue("large", "large", *names)
    for node in ("s2", "s3"):
        before = farm.metric(node, 'stead_tls_failures_total{reason="protocol"}')
        done = curl(farm, "--cert", farm.run / "large.pem", "--key", farm.run / "large.key", f"https://{node}.shop.test:{TLS}/", ok=False)
        check(done.returncode != 0, f"{node}: a certificate larger than may be: {done.stdout}")
        check(farm.metric(node, 'stead_tls_failures_total{reason="protocol"}') > before, f"{node} counts it")
    mine = ["--cert", farm.run / "anna.pem", "--key", farm.run / "anna.key"]
    curl(farm, *mine, f"https://s2.shop.test:{TLS}/")


def what_operators_see(farm):
    tls = farm.status("s1")["tls"]
    check([c["name"] for c in tls["certificates"]] == ["shop", "other"], f"certificates in the status: {tls}")
    check(tls["certificates"][0]["days_left"] in (29, 30) and tls["handshakes"] > 50, f"the status: {tls}")
    check(farm.metric("s1", "stead_tls_certificate_not_after_seconds") > 2 * time.time(), "two ends of certificates")
    check(farm.metric("s1", "stead_tls_resumed_total") > 10, "resumed sessions are counted")
    eventually(lambda: farm.metric("s1", "stead_tls_connections") == 0, "no connection is left")


def bad_files_at_the_start(farm):
    farm.term("s3")
    (farm.run / "shop.key").chmod(0o644)
    checked = farm.cli("check", "-c", farm.conf("s3"))
    check(checked.returncode == 2 and "others may read the key" in checked.stderr, f"stead check: {checked.stderr}")
    done = farm.cli("run", "-c", farm.conf("s3"))
    (farm.run / "shop.key").chmod(0o600)
    check(done.returncode != 0 and "others may read the key" in done.stderr, f"a key for all to read: {done.stderr}")


def main():
    args = options()
    with scenario(args.build, 38) as farm:
        authority = configure(farm)
        farm.started()
        redirected_and_forwarded(farm)
        large_bodies(farm)
        roster_events(farm)
        what_clients_see(farm)
        client_certificates(farm)
        half_handshakes(farm)
        floods(farm, authority)
        certificates_change_under_load(farm, authority)
        a_certificate_more(farm, authority)
        what_operators_see(farm)
        bad_files_at_the_start(farm)


main()
