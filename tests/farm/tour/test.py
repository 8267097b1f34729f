#!/usr/bin/env python3
"""The tour that scripts/run-farm.sh prints, run line by line, word for word; the examples as they are, at their own
addresses (so not beside a running `make run`, unless by --block). Then: it runs once only, and Ctrl-C ends all of it."""
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
from farm import CRASH, SOURCE, WAIT_S, Failed, check, eventually, options


class Tour:
    def __init__(self, build, example, block):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="stead-tour-"))
        self.example = self.dir / example
        shutil.copytree(SOURCE / "examples" / example, self.example, ignore=shutil.ignore_patterns("run"))
        for conf in self.example.glob("*.conf"):
            conf.write_text(conf.read_text().replace('"127.0.0.', f'"127.0.{block}.'))
        self.argv = [SOURCE / "scripts" / "run-farm.sh", build, self.example]
        self.out = self.dir / "out"
        self.process = None

    def start(self):
        with open(self.out, "wb") as out:
            self.process = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd=SOURCE,
                                            start_new_session=True)
        eventually(lambda: "Start it again." in self.text() or self.process.poll() is not None, "the tour", 120)
        check(self.process.poll() is None, f"run-farm.sh ended: {self.text()}")

    def text(self):
        return self.out.read_text(errors="replace")

    def lines(self):
        """The commands: what is set in by four spaces."""
        return [line[4:] for line in self.text().splitlines() if line.startswith("    ")]

    def pids(self):
        return [int(p.read_text()) for p in (self.example / "run").glob("*.pid") if p.read_text().strip()]

    def stop(self):
        """As Ctrl-C in its terminal: to its whole process group."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(90)

    def end(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for pid in self.pids():
            if lives(pid):
                os.kill(pid, signal.SIGKILL)

    def logs(self):
        return "\n".join(f"--- {p.name}\n" + "\n".join(p.read_text(errors="replace").splitlines()[-8:])
                         for p in sorted((self.example / "run").glob("*.log")))


def lives(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def run(line):
    return subprocess.run(["bash", "-c", line], cwd=SOURCE, capture_output=True, text=True, timeout=WAIT_S, check=False)


def until(line, good, what):
    """Runs the line again until what it prints is good."""
    said = []

    def probe():
        done = run(line)
        said[:] = [done.stdout + done.stderr]
        return good(done.stdout)
    try:
        eventually(probe, what)
    except Failed as error:
        raise Failed(f"{error}; {line} says: {said}") from None


def browser(line):
    """Headless, and only its page: the rest of the line is as it was printed."""
    if not shutil.which("chromium"):
        print("chromium is not here: its line is not run")
        return
    tail = " --headless --disable-gpu --disable-background-networking --no-first-run --timeout=20000 --dump-dom"
    done = run(line.replace("chromium", "chromium" + tail, 1))
    check("Steadfast Goods" in done.stdout and "class=\"badge" in done.stdout, f"{line}: {done.stdout[-500:]}{done.stderr[-500:]}")


def follow(tour, servers, addresses):
    lines = tour.lines()
    victim = lines[1].split()[-1].split(".")[0]
    check(victim in servers, f"the victim is one of the servers: {victim}")
    address = f"{addresses[0].rsplit('.', 1)[0]}.{10 + int(victim[1:])}"
    kill = next(i for i, line in enumerate(lines) if line.startswith("kill -9"))
    for line in lines[:kill]:
        if line.startswith("chromium"):
            browser(line)
            continue
        done = run(line)
        check(done.returncode == 0 and done.stdout.strip(), f"{line}: {done.returncode} {done.stdout}{done.stderr}")
    check(run(lines[0]).stdout.split() and set(run(lines[0]).stdout.split()) <= set(addresses), f"{lines[0]}")
    shop = [line for line in lines[:kill] if line.endswith("/whoami.json")]
    for _ in range(5):
        check(f'"server":"{victim}"' in run(shop[0]).stdout, f"the shopper is at {victim} each time")
    check(run(lines[kill]).returncode == 0, lines[kill])
    after, again = lines[kill + 1:-1], lines[-1]
    check(len(after) == 5, f"the lines after the kill: {after}")
    roster, www, own, whoami, cart = after
    until(www, lambda out: out.split() and address not in out.split(), f"the name leads past {victim}")
    until(own, lambda out: out.split() and address not in out.split(), f"the own name of {victim} leads to its backup")
    until(whoami, lambda out: '"user":"ann"' in out and victim not in out, "the login is there, at another server")
    until(cart, lambda out: '"sku":5' in out and '"qty":2' in out, "the cart is there")
    until(roster, lambda out: "down" in out, "the roster says that it is down")
    done = run(again)
    check(done.returncode == 0, f"{again}: {done.stdout}{done.stderr}")
    until(own, lambda out: address in out.split(), f"the own name of {victim} is its own again")
    check(len(servers) == 3, "three servers")


def once(args, example, hosts):
    tour = Tour(args.build, example, args.block)
    addresses = [f"127.0.{args.block}.{n}" for n in hosts]
    try:
        tour.start()
        follow(tour, ["s1", "s2", "s3"], addresses)
        second = subprocess.run(tour.argv, cwd=SOURCE, capture_output=True, text=True, timeout=30, check=False)
        check(second.returncode == 1 and "runs already" in second.stderr, f"twice: {second.returncode} {second.stderr}")
        pids = tour.pids()
        check(len(pids) >= 6 and all(lives(p) for p in pids), f"all run, the one that was started again too: {pids}")
        status = tour.stop()
        check(status == 0, f"Ctrl-C: exit status {status}: {tour.text()[-500:]}")
        check(not [p for p in pids if lives(p)], "nothing is left")
        check("it is killed" not in tour.text(), f"all ended in order: {tour.text()[-500:]}")
        check(not CRASH.search(tour.logs()), "no crash in the logs")
    except (Failed, OSError, subprocess.SubprocessError) as error:
        print(tour.text(), tour.logs(), f"FAILED: {example}: {error}", sep="\n", file=sys.stderr)
        return False
    finally:
        tour.end()
        shutil.rmtree(tour.dir, ignore_errors=True)
    return True


def extra(parser):
    parser.add_argument("--block", type=int, default=0, help="127.0.BLOCK.x instead, beside a running farm")


def main():
    args = options(extra)
    loopback = once(args, "loopback", (11, 12, 13))
    front = once(args, "front", (10, 12))
    sys.exit(0 if loopback and front else 1)


main()
