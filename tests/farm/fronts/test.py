#!/usr/bin/env python3
"""Web servers that ask their node who sends a request: the examples with HAProxy and Apache, each before a node of its own, and
what Traefik, Envoy and Caddy send by their documentation, to a third. A login at one is a login at all, and its end is its end."""
import http.client
import http.server
import pathlib
import re
import subprocess
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from client import UnixConnection
from farm import SOURCE, Process, check, eventually, json, options, request, scenario, socket

HAPROXY, APACHE, APP, GATE = 8082, 8083, 8000, 7390
EXAMPLES = SOURCE / "examples"
TOKEN = "of-the-gate-and-nobody-else-4711"
APACHE_HEAD = """ServerRoot {dir}
ServerName {ip}
PidFile {dir}/pid
Listen {ip}:{port}
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule rewrite_module {modules}/mod_rewrite.so
LoadModule headers_module {modules}/mod_headers.so
LoadModule proxy_module {modules}/mod_proxy.so
LoadModule proxy_http_module {modules}/mod_proxy_http.so
DefaultRuntimeDir {dir}
ErrorLog {dir}/error.log
StartServers 1
ServerLimit 1
ThreadsPerChild 8
MaxRequestWorkers 8
"""


class App(http.server.BaseHTTPRequestHandler):
    """Tells who it is told that the client is."""

    def do_GET(self):
        body = json.dumps({name.lower(): value for name, value in self.headers.items()}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


def start_app(farm, name):
    server = http.server.ThreadingHTTPServer((farm.ip(name), APP), App)
    threading.Thread(target=server.serve_forever, daemon=True).start()


def own(farm, name, text, port):
    """The example, at this scenario's addresses."""
    return text.replace("/run/stead/sessions.sock", str(farm.run / f"{name}.sock")).replace(
        "127.0.0.1:8000", f"{farm.ip(name)}:{APP}").replace("127.0.0.1:8082", f"{farm.ip(name)}:{port}")


def start_haproxy(farm, name):
    lua, conf = farm.run / "stead_auth.lua", farm.run / "haproxy.cfg"
    lua.write_text(own(farm, name, (EXAMPLES / "haproxy-auth" / "stead_auth.lua").read_text(), HAPROXY))
    text = own(farm, name, (EXAMPLES / "haproxy-auth" / "haproxy.cfg").read_text(), HAPROXY)
    conf.write_text(text.replace("lua-load stead_auth.lua", f"lua-load {lua}"))
    return Process(["/usr/sbin/haproxy", "-db", "-f", conf], farm.log(name, "haproxy"))


def start_apache(farm, name):
    folder = farm.run / "apache"
    folder.mkdir()
    text = own(farm, name, (EXAMPLES / "apache-auth" / "apache.conf").read_text(), APACHE)
    text = text.replace("/usr/share/doc/stead/examples", str(EXAMPLES))
    head = APACHE_HEAD.format(dir=folder, ip=farm.ip(name), port=APACHE, modules="/usr/lib/apache2/modules")
    (folder / "conf").write_text(head + text)
    return Process(["/usr/sbin/apache2", "-X", "-f", folder / "conf"], farm.log(name, "apache"))


def gate(farm, name, method, path, body=None):
    connection = UnixConnection(farm.run / f"{name}.sock")
    connection.request(method, path, body=json.dumps(body) if body is not None else None)
    reply = connection.getresponse()
    text = reply.read()
    connection.close()
    return reply.status, json.loads(text) if text else {}


def visit(farm, front, sid, path="/", **headers):
    name, port = front
    if sid:
        headers["Cookie"] = f"a=b; sid={sid}"
    return request(farm.ip(name), port, path, headers=headers)


def traefik(farm, sid, secret=TOKEN):
    """forwardAuth by TCP: GET at the address, the client's headers, X-Forwarded-*; the token by a headers middleware before it."""
    return request(farm.ip("s3"), GATE, "/v1/auth?cookie=sid", headers={
        "Cookie": f"sid={sid}", "Authorization": f"Bearer {secret}", "X-Forwarded-Method": "POST", "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "www.shop.test", "X-Forwarded-Uri": "/pay?x=1", "X-Forwarded-For": "192.0.2.1", "Accept-Encoding": "gzip"})


def envoy(farm, sid):
    """ext_authz over HTTP: the client's method and path behind path_prefix, its Host, an empty body."""
    connection = UnixConnection(farm.run / "s2.sock")
    connection.request("POST", "/v1/auth/pay?x=1&cookie=none", headers={
        "Host": "www.shop.test", "Cookie": f"session={sid}", "Content-Length": "0", "x-envoy-internal": "true",
        "x-forwarded-proto": "https", "x-request-id": "7d3"})
    reply = connection.getresponse()
    reply.read()
    connection.close()
    return reply


def caddy(farm, sid):
    """forward_auth: GET of its uri, the client's headers, X-Forwarded-Method and -Uri."""
    connection = UnixConnection(farm.run / "s1.sock")
    connection.request("GET", "/v1/auth?cookie=sid", headers={
        "Host": "www.shop.test", "Cookie": f"sid={sid}", "X-Forwarded-Method": "DELETE", "X-Forwarded-Uri": "/a?b", "X-Forwarded-For": "192.0.2.1",
        "X-Forwarded-Host": "www.shop.test", "X-Forwarded-Proto": "https"})
    reply = connection.getresponse()
    reply.read()
    connection.close()
    return reply


def others(farm, sid, status):
    for ask in (traefik, envoy, caddy):
        reply = ask(farm, sid)
        check(reply.status == status, f"{ask.__name__}: {reply.status}, not {status}")
        if status == 200:
            headers = reply.headers
            check((headers.get("Remote-User") or headers.get("remote-user")) == "ann", f"{ask.__name__} is told who: {headers}")


def run(farm, fronts):
    login = {"user": "ann", "methods": ["pwd"], "claims": {"groups": "staff admin"}}
    status, record = gate(farm, "s2", "POST", "/v1/auth", login)
    check(status == 201, f"ann logs in at s2: {status} {record}")
    sid = record["id"]
    bob = gate(farm, "s1", "POST", "/v1/auth", {"user": "bob"})[1]["id"]
    for front in fronts:
        check(visit(farm, front, None).status == 401, f"nobody is refused by {front}")
        check(visit(farm, front, "x" * 32).status == 401, f"an id that is none is refused by {front}")
        check(visit(farm, front, None, **{"Remote-User": "root"}).status == 401, f"and who says who he is, by {front}")
        for _ in range(3):
            reply = visit(farm, front, sid, "/page", **{"Remote-User": "root", "remote-groups": "admin"})
            check(reply.status == 200 and reply.json()["remote-user"] == "ann", f"ann by {front}: {reply.status} {reply.text}")
    check(visit(farm, fronts[0], sid, "/page").json()["remote-groups"] == "staff admin", "and her groups")
    check(visit(farm, fronts[0], sid, "/admin/").status == 200, "an admin may")
    check(visit(farm, fronts[0], bob, "/admin/").status == 403, "bob may not")
    others(farm, sid, 200)
    check(traefik(farm, sid, "no-token").status == 401, "the gate's token is wanted")
    check(gate(farm, "s1", "DELETE", f"/v1/sessions/auth/{sid}")[0] == 204, "she logs out at s1")
    for front in fronts:
        check(visit(farm, front, sid).status == 401, f"and is nobody by {front}, at once")
        check(visit(farm, front, bob).status == 200, f"bob is still bob by {front}")
    others(farm, sid, 401)
    farm.kill("s1", ("node",))
    check(visit(farm, fronts[0], bob).status == 503, "without its node HAProxy lets nobody in")


def main():
    args = options()
    with scenario(args.build, 60) as farm:
        (farm.run / "token").write_text(TOKEN + "\n")
        (farm.run / "token").chmod(0o600)
        conf = farm.conf("s3")
        gated = f'listen = "{farm.ip("s3")}:{GATE}"\n    token-file = "{farm.run / "token"}"'
        conf.write_text(re.sub(r'listen = "unix:[^"]*"', gated, conf.read_text()))
        farm.start_node("s1"), farm.start_node("s2"), farm.start_node("s3")
        for name in farm.names:
            eventually(lambda name=name: farm.ready(name), f"{name} is ready")
            eventually(lambda name=name: farm.status(name)["nodes"]["up"] == 3, f"{name} hears the others")
        processes = []
        try:
            for name in ("s1", "s2"):
                start_app(farm, name)
            processes = [start_haproxy(farm, "s1"), start_apache(farm, "s2")]
            fronts = (("s1", HAPROXY), ("s2", APACHE))
            for name, port in fronts:
                eventually(lambda name=name, port=port: not socket.create_connection((farm.ip(name), port), 1).close(), f"{name}:{port}")
            run(farm, fronts)
        finally:
            for process in processes:
                process.end()


main()
