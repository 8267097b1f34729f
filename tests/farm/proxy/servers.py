"""The real servers of this scenario: nginx, Apache httpd, and one of ours that echoes and misbehaves on purpose."""
import base64
import hashlib
import os
import pathlib
import socket
import struct
import sys
import threading
import time

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

NGINX = """
daemon off; worker_processes 1; pid {dir}/nginx.pid; error_log {dir}/nginx.error.log;
events {{ worker_connections 256; }}
http {{
  access_log off;
  log_format proxy '$request_uri client=$http_x_forwarded_for id=$http_x_request_id via=$http_via status=$status';
  client_body_temp_path {dir}/b; proxy_temp_path {dir}/p; fastcgi_temp_path {dir}/f; uwsgi_temp_path {dir}/u;
  scgi_temp_path {dir}/s;
  server {{ listen {ip}:9000; root {root}; access_log {dir}/nginx.access.log proxy; keepalive_timeout 60s; }}
}}
"""

APACHE = """
ServerRoot {dir}
ServerName s2.shop.test
PidFile {dir}/apache.pid
Listen {ip}:9000
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule dir_module /usr/lib/apache2/modules/mod_dir.so
DocumentRoot {root}
ErrorLog {dir}/apache.error.log
LogFormat "%U%q client=%{{X-Forwarded-For}}i id=%{{X-Request-Id}}i via=%{{Via}}i status=%>s" proxy
CustomLog {dir}/apache.access.log proxy
KeepAlive On
KeepAliveTimeout 2
StartServers 1
ServerLimit 1
ThreadsPerChild 16
MaxRequestWorkers 16
<Directory />
  Require all granted
</Directory>
"""


class Head:
    """One request, read as strictly as it must be to be answered; body whole."""

    def __init__(self, stream):
        line = stream.readline()
        if not line:
            raise EOFError
        self.method, self.path, _ = line.decode("latin-1").split(" ", 2)
        self.fields = {}
        while (line := stream.readline()) not in (b"\r\n", b""):
            name, value = line.decode("latin-1").split(":", 1)
            self.fields[name.strip().lower()] = value.strip()
        self.body = self.read_body(stream)

    def read_body(self, stream):
        if self.fields.get("transfer-encoding") == "chunked":
            body = b""
            while size := int(stream.readline().split(b";")[0], 16):
                body += stream.read(size)
                stream.readline()
            while stream.readline() != b"\r\n":
                pass
            return body
        return stream.read(int(self.fields.get("content-length", 0)))


def answer(connection, body, more=b""):
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n%s\r\n" % (len(body), more) + body)


def websocket(connection, stream, head):
    """Echoes frames of text; a close frame ends it."""
    accept = base64.b64encode(hashlib.sha1(head.fields["sec-websocket-key"].encode() + GUID).digest())
    connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                       b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n")
    while True:
        first, second = stream.read(2)
        size = second & 127
        if size == 126:
            size, = struct.unpack(">H", stream.read(2))
        mask, data = stream.read(4), stream.read(size)
        data = bytes(b ^ mask[i % 4] for i, b in enumerate(data))
        kind = first & 15
        length = bytes([size]) if size < 126 else b"\x7e" + struct.pack(">H", size)
        connection.sendall(bytes([0x80 | kind]) + length + data)
        if kind == 8:
            return


def serve_one(connection, stream, head):
    if head.path == "/ws":
        websocket(connection, stream, head)
        return False
    if head.path == "/hang":
        time.sleep(60)
    if head.path == "/part":
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\npart")
        time.sleep(60)
    if head.path == "/stream":
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n")
        for i in range(5):
            connection.sendall(b"6\r\nevent%d\r\n" % i)
            time.sleep(0.05)
        connection.sendall(b"0\r\nX-Sum: 5\r\n\r\n")
        return True
    if head.path == "/echo":
        answer(connection, head.body, b"X-Digest: " + hashlib.sha256(head.body).hexdigest().encode() + b"\r\n")
        return True
    answer(connection, repr(sorted(head.fields.items())).encode())
    return True


def serve(connection):
    with connection, connection.makefile("rb") as stream:
        try:
            while serve_one(connection, stream, Head(stream)):
                pass
        except (EOFError, OSError, ValueError):
            pass


def main():
    ip = sys.argv[1]
    listener = socket.create_server((ip, 9000), backlog=64)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=serve, args=(connection,), daemon=True).start()


def prepare(directory, ip, kind):
    """Writes what the server needs; returns its command line."""
    directory = pathlib.Path(directory)
    directory.chmod(0o755)
    root = directory / "root"
    root.mkdir(exist_ok=True)
    (root / "index.html").write_text("home\n")
    (root / "big").write_bytes(os.urandom(4 << 20))
    os.chmod(root, 0o755)
    text = {"nginx": NGINX, "apache": APACHE}[kind].format(dir=directory, ip=ip, root=root)
    conf = directory / f"{kind}.conf"
    conf.write_text(text)
    if kind == "nginx":
        return ["/usr/sbin/nginx", "-p", directory, "-e", directory / "nginx.error.log", "-c", conf]
    return ["/usr/sbin/apache2", "-X", "-f", conf]


if __name__ == "__main__":
    main()
