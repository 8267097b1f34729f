#!/usr/bin/env python3
"""The house, checked: what may include and call what, how large things may be, and which calls are banned.

usage: house.py SOURCE_DIR BUILD_DIR [--self-test]
Exit status 1 with a line for each finding. --self-test breaks every rule in a scratch copy and wants to be told.
"""
import pathlib
import re
import subprocess
import sys
import tempfile

# room -> the rooms whose headers and symbols it may use (besides its own)
CORE = {
    "core/record": ["base"],
    "core/mesh": ["base"],
    "core/roster": ["base"],
    "core/session": ["base", "core/record"],
    "core/farm": ["base", "core/mesh", "core/roster", "core/session", "core/record"],
    "core/dns": ["base"],
    "core/http": ["base"],
    "core/tcp": ["base"],
    "core/token": ["base"],
    "core/ticket": ["base"],
    "core/resp": ["base"],
    "core/memcache": ["base"],
    "core/sessiond": ["base"],
}
ROLES = ["role/name", "role/director", "role/gate", "role/admin"]
ROOMS = {
    "base": [],
    **CORE,
    "io": ["base", "core/http", "core/ticket"],
    "store": ["base", *CORE],
    **{role: ["base", *CORE, "io", "store"] for role in ROLES},
    "client": ["base", "core/dns", "core/http", "core/roster", "core/tcp"],
    "libtls": ["base", "client"],
    "node": ["base", *CORE, "io", "store", *ROLES],
    "cli": ["base", *CORE, "io", "store", *ROLES, "node", "client", "libtls"],
}
FLOORS = {room.split("/")[0] for room in ROOMS}

# In base and core: nothing of the outside. Everywhere: calls that have safer kin.
PURE = r"socket|bind|recv\w*|send(to|msg|mmsg)|clock_gettime|gettimeofday|time|pthread_\w+|f?open|read|write|" \
       r"getrandom|rand|random|srand|exit|_exit|abort|printf|fprintf|vprintf|puts|fputs|perror|sleep|usleep|nanosleep|malloc|calloc|realloc|free|strdup"
PURE_ALLOWED = {
    "base/mem.c": {"malloc", "calloc", "realloc", "free", "strdup"},
    # The one door to the outside that base has: log lines go to standard error.
    "base/log.c": {"write", "clock_gettime", "time", "pthread_mutex_lock", "pthread_mutex_unlock"},
    # jansson gives the text of json_dumps to its caller, who frees it.
    "core/roster/roster_json.c": {"free"},
}
BANNED = r"strcpy|strcat|sprintf|vsprintf|gets|strtok|atoi|atol|atof|alloca|system|popen|tmpnam|setjmp|longjmp|gethostbyname"
HEADERS_PURE = r"sys/socket\.h|pthread\.h|time\.h|unistd\.h|fcntl\.h|uv\.h|netinet/.*"
HEADERS_PURE_ALLOWED = {
    "base/log.c": {"time.h", "unistd.h", "pthread.h"},
    "base/addr.c": {"netinet/in.h"},
}

FILE_LINES = 800
HEADER_LINES = 200
FUNCTION_LINES = 70


def room_of(path):
    parts = path.split("/")
    return "/".join(parts[:2]) if parts[0] in ("core", "role") else parts[0]


def strip(text):
    """Comments and string contents blanked, lines kept."""
    def blank(match):
        return re.sub(r"[^\n]", " ", match.group(0))
    return re.sub(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"", blank, text, flags=re.S)


def check_includes(rel, text, found):
    mine = room_of(rel)
    for number, line in enumerate(text.split("\n"), 1):
        own = re.match(r'\s*#\s*include\s*["<]([^">]+)[">]', line)
        ours = own and (f'"{own.group(1)}"' in line or own.group(1).split("/")[0] in FLOORS)
        if ours and not own.group(1).startswith("stead/"):
            other = room_of(own.group(1))
            if other != mine and other not in ROOMS[mine]:
                found.append(f"{rel}:{number}: {mine} must not know {other} ({own.group(1)})")
        system = re.match(r"\s*#\s*include\s+<([^>]+)>", line)
        if system and (mine == "base" or mine.startswith("core/")):
            name = system.group(1)
            if re.fullmatch(HEADERS_PURE, name) and name not in HEADERS_PURE_ALLOWED.get(rel, ()):
                found.append(f"{rel}:{number}: pure code must not include <{name}>")


def check_calls(rel, text, found):
    code = strip(text)
    pure = room_of(rel) == "base" or rel.startswith("core/")
    allowed = PURE_ALLOWED.get(rel, ())
    for number, line in enumerate(code.split("\n"), 1):
        for call in re.finditer(r"(?<![\w.>])(\w+)\s*\(", line):
            name = call.group(1)
            if re.fullmatch(BANNED, name):
                found.append(f"{rel}:{number}: {name}() is banned")
            if pure and re.fullmatch(PURE, name) and name not in allowed:
                found.append(f"{rel}:{number}: pure code must not call {name}()")


def check_size(root, rel, text, found):
    lines = text.count("\n")
    limit = HEADER_LINES if rel.endswith(".h") else FILE_LINES
    if lines > limit:
        found.append(f"{rel}: {lines} lines, at most {limit}")
    tags = subprocess.run(["ctags", "--c-kinds=f", "--fields=+ne", "-o", "-", "--sort=no", str(root / "src" / rel)],
                          capture_output=True, text=True, check=True).stdout
    for tag in tags.splitlines():
        start, end = re.search(r"\tline:(\d+)", tag), re.search(r"\tend:(\d+)", tag)
        if start and end and int(end.group(1)) - int(start.group(1)) + 1 > FUNCTION_LINES:
            size = int(end.group(1)) - int(start.group(1)) + 1
            found.append(f"{rel}:{start.group(1)}: {tag.split(chr(9))[0]}() has {size} lines, at most {FUNCTION_LINES}")


def symbols(library):
    """(defined, undefined) global names of a static library."""
    out = subprocess.run(["nm", "-g", "-P", str(library)], capture_output=True, text=True).stdout
    defined, undefined = set(), set()
    for line in out.splitlines():
        fields = line.split()
        if len(fields) >= 2:
            (undefined if fields[1] == "U" else defined).add(fields[0])
    return defined, undefined - defined


def check_symbols(build, found):
    libraries = {room: build / f"libstead_{room.replace('/', '_')}.a" for room in ROOMS}
    tables = {room: symbols(path) for room, path in libraries.items() if path.exists()}
    owner = {name: room for room, (defined, _) in tables.items() for name in defined}
    for room, (_, undefined) in sorted(tables.items()):
        for name in sorted(undefined):
            other = owner.get(name)
            if other and other != room and other not in ROOMS[room]:
                found.append(f"{room} must not call {name} of {other}")


def check_tree(root):
    found = []
    for path in sorted((root / "src").rglob("*.[ch]")):
        rel = str(path.relative_to(root / "src"))
        if room_of(rel) not in ROOMS:
            found.append(f"{rel}: there is no such room in the house")
            continue
        text = path.read_text()
        check_includes(rel, text, found)
        check_calls(rel, text, found)
        check_size(root, rel, text, found)
    return found


def self_test():
    """Each broken rule must be found: a check that cannot fail is a defect."""
    broken = {
        "src/core/record/a.c": '#include "store/store.h"\n',
        "src/core/record/b.c": "#include <sys/socket.h>\n",
        "src/core/record/c.c": "void f(void);\nvoid f(void)\n{\n    printf(1);\n}\n",
        "src/role/gate/d.c": '#include "role/admin/admin.h"\n',
        "src/io/e.c": "void g(char *b);\nvoid g(char *b)\n{\n    strcpy(b, b);\n}\n",
        "src/io/f.c": "void h(void)\n{\n" + "    ;\n" * FUNCTION_LINES + "}\n",
        "src/io/g.h": "\n" * (HEADER_LINES + 1),
        "src/core/roster/i.c": "#include <role/admin/admin.h>\n",
        "src/loft/h.c": "\n",
    }
    with tempfile.TemporaryDirectory() as scratch:
        root = pathlib.Path(scratch)
        for name, text in broken.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        found = check_tree(root)
    missed = [name for name in broken if not any(line.startswith(name[len("src/"):]) for line in found)]
    return [f"the check does not see what is wrong with {name}" for name in missed]


def main():
    root, build = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    if "--self-test" in sys.argv:
        found = self_test()
    else:
        found = check_tree(root)
        check_symbols(build, found)
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
