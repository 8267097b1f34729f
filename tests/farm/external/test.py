#!/usr/bin/env python3
"""Servers that have no node beside them stand in the roster among the others: the primary leads to them while they
answer, and whoever gets a request for their URL forwards it."""
import http.server
import pathlib
import signal
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from farm import check, eventually, options, scenario

WWW = "www.shop.test:8080"


class Web(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = f"{self.server.name} {self.headers['Host']} {self.headers.get('X-Forwarded-For')}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args):
        pass


class Server(http.server.ThreadingHTTPServer):
    allow_reuse_address = True

    def __init__(self, name, ip):
        super().__init__((ip, 8081), Web)
        self.name = name
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def end(self):
        self.shutdown()
        self.server_close()


def externals(farm, weight=100):
    return "".join(f"""
external "{name}" {{
    service = "shop"
    urls    = {{"http://{name}.shop.test:8080"}}
    address = "127.0.{farm.block}.{last}:8081"
    weight  = {weight}
    check   = http
    check-interval = "200ms"
}}
""" for name, last in (("w1", 51), ("w2", 52)))


def led_to(farm, node, rounds=80):
    places = set()
    for _ in range(rounds):
        reply = farm.get(node, "/", host=WWW)
        check(reply.status == 307, f"a redirect: {reply.status}")
        places.add(reply.headers["location"].removeprefix("http://").split(".", 1)[0])
    return places


def run(farm, plain):
    web = {name: Server(name, f"127.0.{farm.block}.{last}") for name, last in (("w1", 51), ("w2", 52))}
    everybody = {"s1", "s2", "s3", "w1", "w2"}
    for node in farm.names:
        eventually(lambda node=node: farm.up(node) == everybody, f"all are up as {node} sees it")
        check(led_to(farm, node) == everybody, f"{node} leads to all of them")
        reply = farm.get(node, "/x", host="w1.shop.test:8080")
        check(reply.status == 200 and reply.text.split()[:2] == ["w1", "w1.shop.test:8080"],
              f"{node} forwards what is for w1: {reply.status} {reply.text}")
    check(reply.text.split()[2] != "None", "and tells it the client")
    check(farm.dns("w1.shop.test", "s1")[1] == [f"127.0.{farm.block}.51"], "its name leads to it")

    web["w1"].end()
    for node in farm.names:
        eventually(lambda node=node: farm.status_of("w1", node) == "suspect", f"{node} finds that w1 is out")
        check("w1" not in led_to(farm, node, 40), "nobody is led there")
    reply = farm.get("s1", "/page", host="w1.shop.test:8080")
    check(reply.status == 307 and reply.headers["location"] in [f"http://{s}.shop.test:8080/page" for s in ("s1", "s2", "s3", "w2")],
          f"a new choice: {reply}")
    web["w1"] = Server("w1", f"127.0.{farm.block}.51")
    eventually(lambda: farm.up("s2") == everybody, "w1 is back")

    services = farm.dir / "services.conf"
    services.write_text(plain + externals(farm, weight=0))
    farm.nodes["s1"].send(signal.SIGHUP)
    eventually(lambda: led_to(farm, "s1", 40) <= {"s1", "s2", "s3"}, "a weight of 0, read while it runs, leads nobody there")
    services.write_text(plain)
    farm.nodes["s1"].send(signal.SIGHUP)
    eventually(lambda: farm.up("s1") == {"s1", "s2", "s3"}, "what is taken out of the file is gone")
    check(farm.get("s1", "/", host="w1.shop.test:8080").status == 421, "and nobody knows its name")


def main():
    args = options()
    with scenario(args.build, 30) as farm:
        services = farm.dir / "services.conf"
        plain = services.read_text().replace('policy = "least-users"', 'policy = "random"')
        plain = plain.replace('affinity = "cookie"', 'affinity = "none"  ')
        services.write_text(plain + externals(farm))
        farm.start()
        farm.wait_ready()
        run(farm, plain)


main()
