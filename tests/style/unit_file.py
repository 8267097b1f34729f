#!/usr/bin/env python3
"""The systemd unit: it can be read, and leaves little open. Skipped (77) without systemd-analyze.
usage: unit_file.py SOURCE STEAD"""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

EXPOSURE_MAX = 2.5  # of 10, as `systemd-analyze security` counts


def main():
    if not shutil.which("systemd-analyze"):
        print("there is no systemd-analyze")
        return 77
    text = (pathlib.Path(sys.argv[1]) / "packaging/stead.service").read_text()
    with tempfile.TemporaryDirectory() as folder:
        unit = pathlib.Path(folder) / "stead.service"
        unit.write_text(text.replace("/usr/bin/stead", str(pathlib.Path(sys.argv[2]).resolve())))
        # Units that it comes after, and manual pages, need not be on this machine.
        verify = subprocess.run(["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", unit],
                                capture_output=True, text=True, check=False)
        found = [line for line in verify.stderr.splitlines() if "stead.service" in line]
        security = subprocess.run(["systemd-analyze", "security", "--offline=true", "--no-pager", unit],
                                  capture_output=True, text=True, check=False)
    level = re.search(r"exposure level for \S+: ([0-9.]+)", security.stdout)
    if not level:
        print(f"systemd-analyze security cannot say: {security.stderr.strip()}")
        return 77
    if float(level.group(1)) > EXPOSURE_MAX:
        found.append(f"exposure {level.group(1)}, at most {EXPOSURE_MAX}")
    if verify.returncode and not found:
        found.append(verify.stderr.strip())
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
