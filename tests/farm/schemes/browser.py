"""Chromium without a window, led by its DevTools protocol: opens pages, clicks, and tells where it is."""
import base64
import contextlib
import http.client
import json
import os
import shutil
import socket
import struct
import subprocess

from farm import Process, eventually


class Socket:
    """A WebSocket's client (RFC 6455), as far as DevTools needs one."""

    def __init__(self, port, path):
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=30)
        key = base64.b64encode(os.urandom(16)).decode()
        self.sock.sendall((f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                           f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n").encode())
        self.file = self.sock.makefile("rb")
        status = self.file.readline()
        if b" 101 " not in status:
            raise OSError(f"no WebSocket: {status}")
        while self.file.readline() not in (b"\r\n", b""):
            pass

    def send(self, text):
        data, mask = text.encode(), os.urandom(4)
        size = struct.pack(">BB", 0x81, 0x80 | len(data)) if len(data) < 126 else struct.pack(">BBH", 0x81, 0xFE, len(data))
        self.sock.sendall(size + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(data)))

    def read(self, n):
        got = self.file.read(n)
        if len(got) < n:
            raise OSError("the browser has ended")
        return got

    def receive(self):
        whole = b""
        while True:
            head = self.read(2)
            size = head[1] & 0x7F
            if size >= 126:
                size = int.from_bytes(self.read(2 if size == 126 else 8), "big")
            whole += self.read(size)
            if head[0] & 0x80:
                return whole.decode()


class Browser:
    def __init__(self, farm, rules):
        profile = self.profile = farm.run / "chromium"
        self.process = Process(
            [shutil.which("chromium"), "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--ignore-certificate-errors",
             "--disable-background-networking", "--disable-dev-shm-usage", "--disable-features=HttpsUpgrades,HttpsFirstBalancedMode",
             "--remote-debugging-port=0", f"--user-data-dir={profile}", f"--host-resolver-rules={rules}", "about:blank"],
            farm.run / "chromium.out", env=dict(os.environ, HOME=str(farm.run)))
        told = profile / "DevToolsActivePort"
        port = int(eventually(lambda: told.exists() and told.read_text().splitlines(), "the browser runs")[0])
        self.socket = Socket(port, eventually(lambda: self.page(port), "it has a page"))
        self.number = 0

    @staticmethod
    def page(port):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("GET", "/json/list")
        pages = [p for p in json.loads(connection.getresponse().read()) if p["type"] == "page"]
        connection.close()
        return pages and "/" + pages[0]["webSocketDebuggerUrl"].split("/", 3)[3]

    def call(self, method, **params):
        self.number += 1
        self.socket.send(json.dumps({"id": self.number, "method": method, "params": params}))
        while True:
            message = json.loads(self.socket.receive())
            if message.get("id") == self.number:
                return message.get("result", {})

    def open(self, url):
        self.call("Page.navigate", url=url)

    def evaluate(self, script):
        return self.call("Runtime.evaluate", expression=script, returnByValue=True).get("result", {}).get("value")

    def end(self):
        with contextlib.suppress(OSError, ValueError):
            self.call("Browser.close")
        self.process.end()
        shutil.rmtree(self.profile, ignore_errors=True)


def installed():
    return shutil.which("chromium") is not None and subprocess.run(["chromium", "--version"], capture_output=True,
                                                                   check=False).returncode == 0
