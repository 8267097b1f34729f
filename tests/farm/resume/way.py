"""An address whose connections lead to one node, and then to another: what a browser sees of a name that moves."""
import contextlib
import socket
import threading


class Way(threading.Thread):
    def __init__(self, address, port, node):
        super().__init__(daemon=True)
        self.port, self.node, self.open = port, node, []
        self.socket = socket.create_server((address, port))
        self.start()

    def run(self):
        while True:
            try:
                client = self.socket.accept()[0]
            except OSError:
                return
            server = socket.create_connection((self.node, self.port), timeout=20)
            self.open += [client, server]
            for one, other in ((client, server), (server, client)):
                threading.Thread(target=self.copy, args=(one, other), daemon=True).start()

    @staticmethod
    def copy(one, other):
        with contextlib.suppress(OSError):
            while data := one.recv(65536):
                other.sendall(data)
        for end in (one, other):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def lead_to(self, node):
        """What is open ends."""
        self.node = node
        for end in self.open:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self.open.clear()

    def end(self):
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)  # else who waits for a client holds it
        self.join()
        self.socket.close()
        self.lead_to(None)
