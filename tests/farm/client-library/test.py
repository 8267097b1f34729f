#!/usr/bin/env python3
"""The library as others get it: installed to a prefix, found by pkg-config, its headers compiled as C and as C++, every
program and example of its documents compiled and run, linked both ways; and what it shows to the linker is what its
headers say."""
import pathlib
import re
import subprocess
import sys
import tempfile
import textwrap

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))
sys.path.insert(0, str(HERE.parent / "client-ladder"))
from fake import Book, Node
from farm import CRASH, SOURCE, Failed, Process, check, eventually, free_block, options

WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]


def run(argv, **kwargs):
    done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, timeout=120, check=False, **kwargs)
    check(done.returncode == 0, f"{argv}: {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def cached(build, name):
    found = re.search(rf"^{name}:\w+=(.*)$", (build / "CMakeCache.txt").read_text(), re.M)
    return found.group(1) if found else ""


class Prefix:
    def __init__(self, build, folder):
        self.folder, self.prefix = folder, folder / "prefix"
        run(["cmake", "--install", build, "--prefix", self.prefix, "--component", "libstead"])
        found = list(self.prefix.rglob("stead.pc"))
        check(len(found) == 1, f"one stead.pc: {found}")
        self.lib = found[0].parent.parent
        self.environment = {"PKG_CONFIG_PATH": str(found[0].parent), "PATH": "/usr/bin:/bin"}
        sanitize = cached(build, "STEAD_SANITIZE")
        self.extra = [f"-fsanitize={'address,undefined' if sanitize == 'address' else sanitize}"] if sanitize else []
        self.cc = cached(build, "CMAKE_C_COMPILER") or "cc"

    def flags(self, package, *what):
        # The system's own folders stay known beside the prefix.
        return run(["pkg-config", *what, package], env=self.environment).split()

    def compile(self, source, static=False, compiler=None, standard="-std=c17", flags=(), package="stead"):
        program = source.with_suffix(".static" if static else ".shared")
        libs = self.flags(package, "--libs")
        if static:
            archives = {"-lstead": self.lib / "libstead.a", "-lstead-tls": self.lib / "libstead-tls.a"}
            libs = [archives.get(f, f) for f in self.flags(package, "--static", "--libs")]
        run([compiler or self.cc, standard, "-D_GNU_SOURCE", *WARNINGS, *flags, *self.extra, source, "-o", program,
             *self.flags(package, "--cflags"), *([] if "-c" in flags else libs)])
        return program


def programs(folder):
    """Every C program in the documents and manual pages, and the examples of the headers in a frame."""
    found = {f.name: f.read_text() for f in (SOURCE / "examples" / "client").glob("*.c")}
    document = (SOURCE / "docs" / "libstead.md").read_text()
    for number, text in enumerate(re.findall(r"^```c\n(.*?)^```", document, re.M | re.S)):
        found[f"doc{number}.c"] = text
    page = run(["mandoc", "-Tascii", "-Owidth=200", SOURCE / "docs" / "man" / "stead_connect.3"])
    page = re.sub(r".\x08", "", page)
    text = re.search(r"^EXAMPLES\n(.*?)^SEE ALSO", page, re.M | re.S).group(1)
    found["page.c"] = textwrap.dedent(text)
    for header, frame in (("stead.h", "hello_frame.h"), ("client.h", "keep_frame.h")):
        comment = (SOURCE / "include" / "stead" / header).read_text().split("*/")[0]
        lines = [line[7:] for line in comment.splitlines() if line.startswith(" *     ")]
        code = "\n".join(line for line in lines if not line.startswith(("the name leads", "server itself", "fails")))
        found[f"{header}.c"] = f'#include "{HERE / frame}"\nvoid example(const char *url)\n{{\n' + re.sub(
            r'"http://[^"]*"', "url", code) + "\n}\n"
    for name, text in found.items():
        (folder / name).write_text(text)
    check(len(found) >= 7, f"programs: {sorted(found)}")
    return sorted(folder / name for name in found)


def symbols(prefix, library, version, of):
    """What is shown is what the headers declare, under its version; the library has its name."""
    declared = set()
    for header in (prefix.prefix / "include" / "stead").glob("*.h"):
        text = re.sub(r"/\*.*?\*/", "", header.read_text(), flags=re.S)
        if of(header.name):
            declared |= set(re.findall(r"\b(stead_\w+)\(", text))
    shown = run(["nm", "-D", "--defined-only", "--with-symbol-versions", prefix.lib / f"{library}.so"])
    names = set(re.findall(rf"\bT (stead_\w+)@@{version}$", shown, re.M))
    other = [line for line in shown.splitlines() if not re.search(rf"(\bT stead_\w+@@{version}|\bA {version})", line)]
    check(names == declared, f"declared and not shown: {declared - names}; shown and not declared: {names - declared}")
    check(not other, f"shown, too: {other[:5]}")
    archive = run(["nm", "-g", "--defined-only", prefix.lib / f"{library}.a"])
    check(set(re.findall(r"\b[A-Z] (\w+)$", archive, re.M)) == declared, f"the archive shows: {archive}")
    check(f"{library}.so.0" in run(["readelf", "-d", prefix.lib / f"{library}.so"]), "its SONAME")


class Farm:
    def __init__(self):
        self.block, self.held = free_block(15)
        self.node = Node("s1", f"127.0.{self.block}.1", 0, Book())
        self.url = f"http://127.0.{self.block}.1:{self.node.port}/"
        self.node.roster = {"farm": "f", "revision": 1, "retry_window_ms": 100, "servers": [
            {"name": "s1", "service": "shop", "status": "up", "urls": [self.url]}]}


def try_program(prefix, farm, program, folder):
    log = folder / "log"
    log.write_text("")
    start = farm.node.book.length()
    process = Process(["env", f"LD_LIBRARY_PATH={prefix.lib}", program, farm.url], log)
    eventually(lambda: ("client", "s1") in farm.node.book.since(start), f"{program} connects")
    farm.node.drop_clients()
    keeps = "keep" in program.name or program.name.startswith("doc1")
    if program.name.startswith("client.h"):
        check(process.runs(), f"{program} has ended: {log.read_text()}")
        process.send(9)
    elif keeps:
        eventually(lambda: log.read_text(errors="replace").count("this is s1") >= 2 or not process.runs(),
                   f"{program} comes back")
        check(process.runs(), f"{program} has ended: {log.read_text()}")
        process.send(9)
    else:
        status = process.end(0)
        check(status == 0, f"{program}: {status}: {log.read_text()}")
    process.child.wait(60)
    said = log.read_text(errors="replace")
    check("this is s1" in said and not CRASH.search(said), f"{program}: {said}")


def tls_server(prefix, folder):
    """The example of libstead-tls, as others compile it, against each library; and the programs of its manual."""
    found = {"tls-server.c": (SOURCE / "examples" / "tls-server" / "tls-server.c").read_text()}
    document = (SOURCE / "docs" / "libstead-tls.md").read_text()
    for number, text in enumerate(re.findall(r"^```c\n(.*?)^```", document, re.M | re.S)):
        found[f"tls{number}.c"] = text
    check(len(found) >= 3, f"programs: {sorted(found)}")
    (folder / "tls").mkdir()
    for name, text in found.items():
        source = folder / "tls" / name
        source.write_text(text)
        whole = "int main(" in text
        prefix.compile(source, package="stead-tls", flags=() if whole else ("-c",))
        if whole:
            prefix.compile(source, static=True, package="stead-tls")


def plus_plus(prefix, folder):
    for header in ("stead/error.h", "stead/stead.h", "stead/client.h", "stead/session.h", "stead/tls.h"):
        source = folder / "header.cc"
        source.write_text(f"#include <{header}>\nint main()\n{{\n    return stead_error_text(0) == nullptr;\n}}\n")
        prefix.compile(source, compiler="g++", standard="-std=c++17")
        alone = folder / "header.c"
        alone.write_text(f"#include <{header}>\nint main(void)\n{{\n    return 0;\n}}\n")
        prefix.compile(alone, standard="-std=c99")


def main():
    args = options()
    with tempfile.TemporaryDirectory(prefix="stead-library-") as name:
        folder = pathlib.Path(name)
        try:
            prefix = Prefix(args.build, folder)
            symbols(prefix, "libstead", "STEAD_0", lambda header: header != "tls.h")
            symbols(prefix, "libstead-tls", "STEAD_TLS_0", lambda header: header == "tls.h")
            tls_server(prefix, folder)
            plus_plus(prefix, folder)
            farm = Farm()
            for source in programs(folder):
                try_program(prefix, farm, prefix.compile(source), folder)
            for name in ("hello.c", "keep.c"):
                try_program(prefix, farm, prefix.compile(folder / name, static=True), folder)
        except Failed as error:
            print(f"FAILED: {error}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
