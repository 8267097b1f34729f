"""What others could see: frames on the loopback interface, and the memory of a process. As root only."""
import contextlib
import socket
import threading


class Sniffer(threading.Thread):
    """Every frame on the loopback interface, of any protocol and port."""

    def __init__(self):
        super().__init__(daemon=True)
        self.seen, self.goes_on = bytearray(), True
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.ntohs(3))
        self.socket.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
        self.socket.bind(("lo", 0))
        self.socket.settimeout(0.2)

    def run(self):
        while self.goes_on:
            with contextlib.suppress(socket.timeout):
                self.seen += self.socket.recv(65536)

    def end(self):
        self.goes_on = False
        self.join()
        self.socket.close()
        return bytes(self.seen)


def memory_of(pid):
    """What is writable and the process's own, a mapping at a time."""
    with open(f"/proc/{pid}/maps", encoding="ascii") as maps, open(f"/proc/{pid}/mem", "rb", buffering=0) as mem:
        for line in maps:
            place, rights = line.split()[:2]
            start, end = (int(n, 16) for n in place.split("-"))
            if "rw" not in rights or end - start > 1 << 30:
                continue  # a sanitizer's shadow is larger than any heap of this test
            with contextlib.suppress(OSError, ValueError):
                mem.seek(start)
                yield place, mem.read(end - start)
