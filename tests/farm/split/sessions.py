"""Sessions written through any node's session API, and what must be found of them afterwards."""
import contextlib
import http.client
import json
import pathlib
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from client import UnixConnection
from farm import Failed, check

KIND = "/v1/sessions/purchase"
DEADLINE_MS = 1500
GONE = None  # a field's value when it was deleted


class Session:
    """Each field has one writer at a time, so what it may hold is its last acknowledged value, or one whose outcome is
    unknown: that one may be carried out at any time, even later."""

    def __init__(self, key, fields):
        self.key, self.ended, self.story = key, False, []
        self.may = {name: [value] for name, value in fields.items()}
        self.unknown = {}


class Sessions:
    def __init__(self, socket_of):
        self.socket_of, self.all = socket_of, []

    def call(self, node, method, path, body=None):
        """(status, answer): status 0 when there was none, and nobody knows what became of it."""
        with contextlib.closing(UnixConnection(self.socket_of(node))) as connection:
            try:
                connection.request(method, path, None if body is None else json.dumps(body),
                                   {"Stead-Deadline-Ms": str(DEADLINE_MS)})
                reply = connection.getresponse()
                return reply.status, json.loads(reply.read() or b"{}")
            except (OSError, http.client.HTTPException):
                return 0, {}

    def make(self, node, fields):
        status, answer = self.call(node, "POST", KIND, {"fields": fields})
        if status == 201:
            self.all.append(Session(answer["id"], fields))
        return status == 201

    def change(self, node, session, name, value):
        """True when it was acknowledged."""
        body = {"delete": [name]} if value is GONE else {"set": {name: value}}
        status, answer = self.call(node, "PATCH", f"{KIND}/{session.key}", body)
        session.story.append(f"{node} {name}={value}: {status} {answer.get('version', '')}{answer.get('error', '')}"
                             f"{' unknown' if answer.get('outcome') else ''}")
        if status == 200:
            session.may[name] = [value, *session.unknown.get(name, [])]
        elif status == 0 or answer.get("outcome") == "unknown":
            session.may.setdefault(name, [GONE]).append(value)
            session.unknown.setdefault(name, []).append(value)
        return status == 200

    def end(self, node, session):
        status, _ = self.call(node, "DELETE", f"{KIND}/{session.key}")
        session.ended = session.ended or status == 204
        return status == 204

    def wrong(self, node, session):
        """What is not as it must be, or nothing."""
        status, answer = self.call(node, "GET", f"{KIND}/{session.key}")
        if session.ended:
            return None if status == 404 else f"{session.key} at {node} was ended: {status}"
        if status != 200:
            return f"{session.key} at {node}: {status} {answer.get('error')}"
        fields = answer["fields"]
        for name, values in session.may.items():
            if fields.get(name, GONE) not in values:
                return (f"{session.key} at {node}, version {answer['version']}: {name} is {fields.get(name)}, should be one "
                        f"of {values}; its story: {session.story}")
        strange = set(fields) - set(session.may)
        return f"{session.key} at {node}: nobody wrote {strange}" if strange else None

    def check_all(self, nodes):
        """True, or Failed with the first of what is wrong; nodes must agree on every field too."""
        for session in self.all:
            found = [w for w in (self.wrong(node, session) for node in nodes) if w]
            check(not found, f"{len(found)} nodes; {found[:1]}")
            if not session.ended:
                seen = [self.call(node, "GET", f"{KIND}/{session.key}")[1].get("fields") for node in nodes]
                check(all(s == seen[0] for s in seen), f"{session.key}: {seen}")
        return True


def both(*jobs):
    """Runs them at the same time; the first failure is raised."""
    failures = []

    def guarded(job):
        try:
            job()
        except Exception as error:  # told below, by the caller's thread
            failures.append(error)
    threads = [threading.Thread(target=guarded, args=(job,), daemon=True) for job in jobs]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if failures:
        raise Failed(f"{failures[0]!r}")
