#!/usr/bin/env python3
"""Clients that cannot follow a redirect are forwarded by the primary to the server that it chose, wherever that is, by
http and by https: odd methods, and switches of protocols as WebSocket makes them."""
import http.server
import pathlib
import socket
import ssl
import sys
import threading

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE.parent / "tls")]
from certs import Authority
from farm import PUBLIC, SHOP, check, options, scenario

TLS = 8443


class Backend(http.server.BaseHTTPRequestHandler):
    """Says its name; after a switch of protocols, before each line that it echoes."""
    protocol_version = "HTTP/1.1"

    def do_REPORT(self):
        told = self.headers
        body = f"{self.server.name} {told['Host']} {told['X-Forwarded-Proto']} {told['X-Forwarded-Host']}".encode()
        self.rfile.read(int(told.get("Content-Length", 0)))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_REPORT

    def do_HEAD(self):
        self.send_response(200)
        self.end_headers()

    def handle_one_request(self):
        super().handle_one_request()
        if getattr(self, "headers", None) is not None and self.headers.get("Upgrade") == "echo":
            self.close_connection = True

    def send_response(self, code, message=None):
        if self.headers.get("Upgrade") != "echo":
            super().send_response(code, message)
            return
        self.wfile.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
        for line in self.rfile:
            self.wfile.write(self.server.name.encode() + b" " + line)
        raise ConnectionError

    def log_message(self, *args):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, name, ip):
        super().__init__((ip, SHOP), Backend)
        self.name = name
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request, client_address):
        pass


def configure(farm):
    Authority(farm.run).issue("shop", "shop", "www.shop.test", "*.shop.test")
    services = farm.dir / "services.conf"
    text = services.read_text().replace('policy = "least-users"', 'policy = "random"')
    services.write_text(text.replace('affinity = "cookie"', 'forward-when = {"upgrade", "method:REPORT"}\n    affinity = "cookie"'))
    for name in farm.names:
        ip = farm.ip(name)
        text = farm.conf(name).read_text().replace(f'public {{ listen = "{ip}:{PUBLIC}" }}', f"""
public {{ listen = "{ip}:{PUBLIC}" listen-tls = "{ip}:{TLS}" }}
tls {{ certificate "shop" {{ chain = "run/shop.pem" key = "run/shop.key" }} servers-ca = "run/authority.pem" }}""")
        text = text.replace(f'"http://{name}.shop.test:{PUBLIC}"',
                            f'"http://{name}.shop.test:{PUBLIC}", "https://{name}.shop.test:{TLS}"')
        farm.conf(name).write_text(text)


class Client:
    def __init__(self, farm, node, tls):
        self.port = TLS if tls else PUBLIC
        self.socket = socket.create_connection((farm.ip(node), self.port), timeout=20)
        if tls:
            context = ssl.create_default_context(cafile=farm.run / "authority.pem")
            self.socket = context.wrap_socket(self.socket, server_hostname="www.shop.test")
        self.file = self.socket.makefile("rb")

    def ask(self, method, headers=""):
        self.socket.sendall(f"{method} /x HTTP/1.1\r\nHost: www.shop.test:{self.port}\r\n{headers}\r\n".encode())
        status = int(self.file.readline().split()[1])
        told = {}
        while (line := self.file.readline().strip()):
            key, _, value = line.decode().partition(": ")
            told[key.lower()] = value
        return status, told, self.file.read(int(told.get("content-length", 0))).decode()

    def close(self):
        self.file.close()
        self.socket.close()


def run(farm, tls):
    scheme = "https" if tls else "http"
    places, switched = set(), set()
    for i in range(40):
        client = Client(farm, farm.names[i % 3], tls)
        status, told, body = client.ask("REPORT")
        check(status == 200 and "set-cookie" in told, f"{scheme}: a REPORT is forwarded: {status} {told}")
        server, host, proto, asked = body.split()
        check(host == f"{server}.shop.test:{client.port}" and proto == scheme, f"{scheme}: told as it is: {body}")
        check(asked.startswith("www.shop.test"), f"{scheme}: and what it asked for: {body}")
        cookie = "Cookie: " + told["set-cookie"].split(";")[0] + "\r\n"
        status, told, body = client.ask("REPORT", cookie)
        check(body.split()[0] == server, f"{scheme}: who was there goes back, though forwarded: {body}")
        check(client.ask("GET")[0] == 307, f"{scheme}: others are redirected, on the same connection")
        client.close()
        places.add(server)
        client = Client(farm, farm.names[i % 3], tls)
        status, told, _ = client.ask("GET", cookie + "Connection: upgrade\r\nUpgrade: echo\r\n")
        check(status == 101, f"{scheme}: a switch of protocols: {status}")
        for word in (b"hello\n", b"x" * 50000 + b"\n"):
            client.socket.sendall(word)
            line = client.file.readline()
            check(line == server.encode() + b" " + word, f"{scheme}: bytes pass to {server}: {line[:60]}")
        client.close()
        switched.add(server)
    check(places == switched == {"s1", "s2", "s3"}, f"{scheme}: all servers had some: {places} {switched}")


def main():
    args = options()
    with scenario(args.build, 31) as farm:
        configure(farm)
        for name in farm.names:
            Server(name, farm.ip(name))
            farm.start_node(name)
        farm.healthy = lambda name: True
        farm.wait_ready()
        farm.wait_up(*farm.servers)
        run(farm, False)
        run(farm, True)
        check(farm.metric("s1", 'stead_director_requests_total{verdict="relay"}') > 0, "relays are counted")


main()
