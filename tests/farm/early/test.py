#!/usr/bin/env python3
"""Early data of TLS 1.3 (0-RTT): what is safe is answered before the client has finished its handshake, told to the real
server, and taken once in the whole farm, however often and wherever its bytes are sent again. Cut off from the node that
decides, nobody takes any.

usage: test.py --build DIR
"""
import http.server
import pathlib
import re
import signal
import subprocess
import sys
import threading

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "tls")]
from certs import Authority, openssl
from farm import PUBLIC, check, eventually, options, scenario

TLS, APP, NAME = 8443, 9100, "www.shop.test"
COPIES, RECORDERS = 10000, 4
EARLY = 'stead_tls_early_total{result="%s"}'


class App(http.server.BaseHTTPRequestHandler):
    """A real server that notes what it is told."""
    protocol_version = "HTTP/1.1"

    def answer(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        early = self.headers.get("Early-Data")
        if self.path != "/health":
            self.server.seen.append((self.command, self.path, early))
        status = 425 if early and self.path == "/too-early" else 200
        self.send_response(status)
        body = f"app {self.command} {self.path} early={early}\n".encode()
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_POST = do_HEAD = do_OPTIONS = answer

    def log_message(self, *_):
        pass


def app_at(farm, name):
    server = http.server.ThreadingHTTPServer((farm.ip(name), APP), App)
    server.daemon_threads, server.seen = True, []
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def configure(farm):
    authority = Authority(farm.run)
    authority.issue("shop", "shop", NAME, "*.shop.test")
    common = farm.dir / "services.conf"
    text = common.read_text().replace('affinity = "cookie"', 'early-data = yes')
    check("early-data" in text, text)
    common.write_text(text + f'service "other" {{ name = "www.other.test" url = "http://www.other.test:{PUBLIC}" }}\n')
    for name in farm.names:
        ip = farm.ip(name)
        text = farm.conf(name).read_text()
        text = text.replace(f'public {{ listen = "{ip}:{PUBLIC}" }}', f"""
public {{ listen = "{ip}:{PUBLIC}" listen-tls = "{ip}:{TLS}" }}
tls {{ tickets = single-use certificate "shop" {{ chain = "run/shop.pem" key = "run/shop.key" }} }}""")
        text = text.replace(f'"http://{name}.shop.test:{PUBLIC}"', f'"http://{name}.shop.test:{PUBLIC}", "https://{name}.shop.test:{TLS}"')
        text = text.replace(f'forward  = "{ip}:9000"', f'forward  = "{ip}:{APP}"')
        check("listen-tls" in text and str(APP) in text, text)
        if name == "s2":
            text += f'server "other" {{ urls = {{"https://o2.shop.test:{TLS}"}} forward = "{ip}:{APP}" check {{ type = none }} }}\n'
        farm.conf(name).write_text(text)


def s_client(farm, node, *args, stdin=""):
    return openssl("s_client", "-connect", f"{farm.ip(node)}:{TLS}", "-servername", NAME, "-CAfile", farm.run / "authority.pem",
                   "-tls1_3", "-ign_eof", *args, stdin=stdin, ok=False)


def head(host, method="GET", path="/", more="Connection: close\r\n"):
    return f"{method} {path} HTTP/1.1\r\nHost: {host}:{TLS}\r\n{more}\r\n"


def ticket(farm, node):
    """A new session's. Waits until the node that decides has it."""
    file, kept = farm.run / "ticket", 'stead_tls_sessions_total{result="kept"}'
    before = farm.metric(node, kept)
    out = s_client(farm, node, "-sess_out", file, stdin=head(NAME))
    check("New, TLSv1.3" in out and "Verification: OK" in out, out)
    eventually(lambda: farm.metric(node, kept) >= before + 2, f"{node} keeps the session")
    return file


def ask_early(farm, node, file, text):
    """(was it accepted, all that was said)"""
    data = farm.run / "early"
    data.write_text(text)
    out = s_client(farm, node, "-sess_in", file, "-early_data", data, stdin=head(NAME))
    accepted, rejected = "Early data was accepted" in out, "Early data was rejected" in out
    check(accepted != rejected, f"{node}: {out}")
    return accepted, out


def once(farm):
    file = ticket(farm, "s1")
    accepted, out = ask_early(farm, "s2", file, head(NAME))
    check(accepted and "HTTP/1.1 307" in out, f"a redirect: {out}")
    for node in farm.names:
        accepted, out = ask_early(farm, node, file, head(NAME))
        check(not accepted and "New, TLSv1.3" in out, f"{node}: a second time: {out}")
    check(farm.metric("s2", EARLY % "taken") == 1, "it is counted")
    check(sum(farm.metric(n, EARLY % "refused") for n in farm.names) == 3, "so is what was refused")


def hold(farm, began, node, said, protocol="http/1.1"):
    """What was answered before the client had finished its handshake, and what after."""
    done = subprocess.run([farm.build / "early_replay", farm.run / "authority.pem", NAME, "ask", protocol,
                           f"{farm.ip(began)}:{TLS}", f"{farm.ip(node)}:{TLS}"], input=said, capture_output=True, timeout=60,
                          check=False)
    out = done.stdout.decode(errors="replace")
    check(done.returncode == 0 and "--- early data: accepted" in out, f"{out} {done.stderr}")
    return out.split("--- finished")


def towards_the_server(farm, app):
    host = "s2.shop.test"
    for method in ("GET", "HEAD", "OPTIONS"):
        before, _ = hold(farm, "s1", "s2", head(host, method, "/page").encode())
        check("HTTP/1.1 200" in before, f"{method} is answered at once: {before}")
        check(app.seen[-1] == (method, "/page", "1"), f"the server is told: {app.seen[-1]}")
    before, _ = hold(farm, "s3", "s2", head(host, path="/too-early").encode())
    check("HTTP/1.1 425" in before, f"the server's word goes to the client: {before}")
    # What is not safe waits for the handshake's end; so do several at once.
    post = head(host, "POST", "/buy", "Connection: close\r\nContent-Length: 0\r\n")
    two = head(host, path="/one", more="") + head(host, path="/two")
    for said, seen in ((post, [("POST", "/buy", None)]), (two, [("GET", "/one", None), ("GET", "/two", None)])):
        before, after = hold(farm, "s1", "s2", said.encode())
        check("HTTP/" not in before and after.count("HTTP/1.1 200") == len(seen), f"{before} {after}")
        check(app.seen[-len(seen):] == seen, f"{seen}: {app.seen[-3:]}")
    # Of a service that has not asked for it, and of the node's own pages.
    for named, path, answer in (("o2.shop.test", "/other", "app GET /other early=None"), (NAME, "/.well-known/stead/roster", "200")):
        before, after = hold(farm, "s1", "s2", head(named, path=path).encode())
        check("HTTP/" not in before and answer in after, f"{path} waits: {before} {after}")
    before, _ = hold(farm, "s1", "s3", head(NAME).encode())
    check("HTTP/1.1 307" in before, f"a redirect at once: {before}")


def frame(kind, flags, stream, payload=b""):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def fields(method, path, host):
    def text(value):
        return bytes([len(value)]) + value.encode()
    return bytes([0x82 if method == "GET" else 0x83, 0x87, 0x04]) + text(path) + b"\x01" + text(f"{host}:{TLS}")


def by_http2(farm, app):
    """Two streams in one flight: GET is handled at once, POST waits."""
    before = len(app.seen)
    said = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0) + frame(1, 5, 1, fields("GET", "/h2", "s2.shop.test")) + \
        frame(1, 5, 3, fields("POST", "/h2", "s2.shop.test")) + frame(7, 0, 0, bytes(8))
    early, late = hold(farm, "s1", "s2", said, "h2")
    check("early=1" in early and "POST" not in early and "app POST /h2 early=None" in late, f"{early} {late}")
    check(app.seen[before:] == [("GET", "/h2", "1"), ("POST", "/h2", None)], f"{app.seen[before:]}")


def copies(farm):
    """The bytes of a flight, to all servers at once and to each three times: 10,000 copies, and no ticket is taken twice."""
    nodes = [f"{farm.ip(n)}:{TLS}" for n in farm.names]
    racers = [subprocess.Popen([farm.build / "early_replay", farm.run / "authority.pem", NAME, str(COPIES // RECORDERS), *nodes],
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) for _ in range(RECORDERS)]
    try:
        said = [r.communicate(timeout=400)[0] for r in racers]
    finally:
        for racer in racers:
            racer.kill()
    told = [dict(re.findall(r"(\w+)=(\d+)", line)) for line in said]
    check(all("more" in t for t in told), f"{said}")
    total = {word: sum(int(t[word]) for t in told) for word in ("copies", "tickets", "none", "one", "more", "taken", "broken")}
    print(total)
    check(total["copies"] >= COPIES and total["more"] == 0, f"none is accepted twice: {total}")
    check(total["taken"] > total["tickets"] // 2 and total["broken"] == 0, f"and most are once: {total}")


def cut_off(farm, app):
    """The node that decides does not answer: no early data, and a full handshake that is served."""
    file = ticket(farm, "s1")
    farm.nodes["s1"].send(signal.SIGSTOP)
    try:
        for node in ("s2", "s3"):
            accepted, out = ask_early(farm, node, file, head("s2.shop.test", path="/cut"))
            check(not accepted and "New, TLSv1.3" in out, f"{node} decides nothing: {out}")
        eventually(lambda: farm.status_of("s1", "s2") == "down" and farm.status_of("s1", "s3") == "down", "s1 is counted out")
        for node in ("s2", "s3"):
            accepted, out = ask_early(farm, node, file, head("s2.shop.test", path="/cut"))
            check(not accepted, f"{node} decides nothing for a node that is counted out: {out}")
    finally:
        farm.nodes["s1"].send(signal.SIGCONT)
    farm.wait_up(*farm.servers)
    accepted = [ask_early(farm, n, file, head(NAME))[0] for n in ("s1", "s2", "s3")]
    check(sum(accepted) <= 1, f"nor twice when it is back: {accepted}")
    check(not [s for s in app.seen if s[1] == "/cut" and s[2]], "the server had none of it early")


def not_asked_for(farm):
    """Off by default: tickets promise none, and what comes nevertheless is refused."""
    file = ticket(farm, "s1")
    farm.dir.joinpath("services.conf").write_text(farm.dir.joinpath("services.conf").read_text().replace("early-data = yes", ""))
    farm.nodes["s2"].send(signal.SIGHUP)
    eventually(lambda: "Max Early Data: 0" in s_client(farm, "s2", stdin=head(NAME)), "s2's tickets promise none")
    accepted, out = ask_early(farm, "s2", file, head(NAME))
    check(not accepted, f"off: {out}")
    text = farm.conf("s3").read_text().replace("tickets = single-use", "")
    common = farm.dir / "services.conf"
    common.write_text(common.read_text().replace("policy", "early-data = yes policy"))
    farm.conf("s3").write_text(text)
    done = farm.cli("check", "-c", farm.conf("s3"))
    check(done.returncode != 0 and "single-use" in done.stdout + done.stderr, f"stead check: {done}")


def main():
    args = options()
    with scenario(args.build, 58) as farm:
        configure(farm)
        apps = {name: app_at(farm, name) for name in farm.names}
        farm.start()
        farm.wait_ready()
        farm.wait_up(*farm.servers)
        once(farm)
        towards_the_server(farm, apps["s2"])
        by_http2(farm, apps["s2"])
        copies(farm)
        cut_off(farm, apps["s2"])
        not_asked_for(farm)


main()
