"""HTTP/2 by hand: frames on a socket, for what a decent client would not send."""
import socket
import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
END_STREAM, ACK, END_HEADERS = 1, 1, 4
CANCEL, ENHANCE_YOUR_CALM = 8, 11


def frame(kind, flags, stream, payload=b""):
    return struct.pack("!I", len(payload))[1:] + bytes([kind, flags]) + struct.pack("!I", stream) + payload


def literal(name, value):
    """A field without indexing, HPACK (RFC 7541 section 6.2.2); names and values below 127 bytes."""
    return b"\0" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()


def head(method, path, authority):
    fields = {":method": method, ":scheme": "http", ":authority": authority, ":path": path}
    return b"".join(literal(n, v) for n, v in fields.items())


class Raw:
    def __init__(self, ip, port):
        self.socket = socket.create_connection((ip, port), timeout=15)
        self.bytes, self.ended = b"", False
        self.say(PREFACE + frame(SETTINGS, 0, 0))

    def say(self, data):
        """False: the other side has closed."""
        try:
            self.socket.sendall(data)
            return True
        except OSError:
            self.ended = True
            return False

    def frames(self):
        """All of them until the other side closes: (kind, flags, stream, payload)."""
        try:
            while True:
                more = self.socket.recv(65536)
                if not more:
                    break
                self.bytes += more
        except OSError:
            pass
        found, at = [], 0
        while at + 9 <= len(self.bytes):
            size = int.from_bytes(self.bytes[at:at + 3], "big")
            kind, flags, stream = struct.unpack("!BBI", self.bytes[at + 3:at + 9])
            found.append((kind, flags, stream, self.bytes[at + 9:at + 9 + size]))
            at += 9 + size
        return found

    def goaway(self):
        """The error of the last GOAWAY, None when none came."""
        errors = [int.from_bytes(p[4:8], "big") for kind, _, _, p in self.frames() if kind == GOAWAY]
        return errors[-1] if errors else None

    def close(self):
        self.socket.close()
