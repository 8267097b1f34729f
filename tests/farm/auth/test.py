#!/usr/bin/env python3
"""The example with nginx's auth_request, twice, each before a node of its own: a login at one is a login at the other,
its end is its end at both, and the node that knew it may die."""
import http.client
import http.server
import pathlib
import shutil
import subprocess
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from farm import SOURCE, check, eventually, json, options, request, scenario, socket

WEB, APP = 8081, 8000


class App(http.server.BaseHTTPRequestHandler):
    """Tells who nginx says that the client is."""

    def do_GET(self):
        body = json.dumps({name.lower(): value for name, value in self.headers.items()}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


class Unix(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=20)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20)
        self.sock.connect(str(self.path))


def gate(farm, name, method, path, body=None):
    connection = Unix(farm.run / f"{name}.sock")
    connection.request(method, path, body=json.dumps(body) if body is not None else None)
    reply = connection.getresponse()
    text = reply.read()
    connection.close()
    return reply.status, json.loads(text) if text else {}


def start_nginx(farm, name):
    place = farm.run / f"nginx-{name}"
    place.mkdir()
    place.chmod(0o777)  # its workers are another user's
    text = (SOURCE / "examples" / "nginx-auth" / "nginx.conf").read_text()
    text = text.replace("/run/stead/sessions.sock", str(farm.run / f"{name}.sock"))
    text = text.replace("127.0.0.1:", f"{farm.ip(name)}:")
    conf = place / "nginx.conf"
    conf.write_text("user root;\n" + text)
    subprocess.run(["nginx", "-p", place, "-c", conf, "-e", place / "error.log"], check=True)
    return int((place / "nginx.pid").read_text())


def start_app(farm, name):
    server = http.server.ThreadingHTTPServer((farm.ip(name), APP), App)
    threading.Thread(target=server.serve_forever, daemon=True).start()


def visit(farm, name, sid, path="/", **headers):
    if sid:
        headers["Cookie"] = f"a=b; sid={sid}"
    return request(farm.ip(name), WEB, path, headers=headers)


def run(farm):
    login = {"user": "ann", "methods": ["pwd"], "claims": {"groups": "staff admin"}}
    status, record = gate(farm, "s1", "POST", "/v1/auth", login)
    check(status == 201, f"ann logs in at s1: {status} {record}")
    sid = record["id"]
    status, record = gate(farm, "s1", "POST", "/v1/auth", {"user": "bob"})
    bob = record["id"]
    for name in ("s1", "s2"):
        check(visit(farm, name, None).status == 401, "nobody is refused")
        check(visit(farm, name, "x" * 32).status == 401, "an id that is none is refused")
        reply = visit(farm, name, sid, "/page", **{"Remote-User": "root"})
        check(reply.status == 200 and reply.json()["remote-user"] == "ann", f"ann at {name}: {reply.status}")
        check(reply.json()["remote-groups"] == "staff admin", "and her groups")
        check(visit(farm, name, sid, "/admin/").status == 200, "an admin may")
        check(visit(farm, name, bob, "/admin/").status == 403, "bob may not")
    farm.kill("s1")
    eventually(lambda: visit(farm, "s2", sid).status == 200, "the node where she logged in is dead, and she is known")
    farm.start("s1")
    farm.wait_ready("s1")
    eventually(lambda: visit(farm, "s1", sid).status == 200, "s1 knows her again")
    check(gate(farm, "s2", "DELETE", f"/v1/sessions/auth/{sid}")[0] == 204, "she logs out at s2")
    check(visit(farm, "s1", sid).status == 401, "and is nobody at s1, at once")
    check(visit(farm, "s1", bob).status == 200, "bob is still bob")
    check(farm.metric("s1", 'stead_auth_answers_total{result="known"}') > 0, "counted")


def main():
    args = options()
    with scenario(args.build, 29) as farm:
        nginxes = []
        farm.started()
        try:
            for name in ("s1", "s2"):
                start_app(farm, name)
                nginxes.append(start_nginx(farm, name))
            run(farm)
        finally:
            for pid in nginxes:
                subprocess.run(["kill", "-QUIT", str(pid)], check=False)


if not shutil.which("nginx"):
    sys.exit("nginx is not installed: scripts/install-deps.sh test")
main()
