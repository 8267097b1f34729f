"""Certificates of a test, made by the openssl command while it runs."""
import datetime
import pathlib
import subprocess


def openssl(*args, stdin=None, ok=True):
    done = subprocess.run(["openssl", *[str(a) for a in args]], input=stdin, capture_output=True, text=True, timeout=30,
                          check=False)
    if ok and done.returncode != 0:
        raise OSError(f"openssl {args}: {done.stderr}")
    return done.stdout + done.stderr


class Authority:
    def __init__(self, folder, name="authority"):
        self.dir, self.serial = pathlib.Path(folder), 100
        self.pem, self.key = self.dir / f"{name}.pem", self.dir / f"{name}.key"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", 10,
                "-subj", f"/CN={name}", "-keyout", self.key, "-out", self.pem)

    def issue(self, name, cn, *names):
        """NAME.pem with the authority behind it, NAME.key; made beside and renamed, as good tools do."""
        self.serial += 1
        request, extensions = self.dir / "request.pem", self.dir / "extensions"
        new_pem, new_key = self.dir / f"{name}.pem.new", self.dir / f"{name}.key.new"
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={cn}",
                "-keyout", new_key, "-out", request)
        extensions.write_text("subjectAltName=" + ",".join(n if ":" in n else f"DNS:{n}" for n in names) if names else "basicConstraints=CA:FALSE")
        openssl("x509", "-req", "-in", request, "-CA", self.pem, "-CAkey", self.key, "-set_serial", self.serial, "-days", 30,
                "-extfile", extensions, "-out", new_pem)
        new_pem.write_text(new_pem.read_text() + self.pem.read_text())
        new_key.chmod(0o600)
        new_key.rename(self.dir / f"{name}.key")
        new_pem.rename(self.dir / f"{name}.pem")
        return self.serial

    def staple(self, name, serial):
        """NAME.der: the authority's word that the certificate is good."""
        index = self.dir / "index.txt"
        until = (datetime.datetime.utcnow() + datetime.timedelta(days=30)).strftime("%y%m%d%H%M%SZ")
        index.write_text(f"V\t{until}\t\t{serial:X}\tunknown\t/CN=x\n")
        openssl("ocsp", "-index", index, "-rsigner", self.pem, "-rkey", self.key, "-CA", self.pem, "-issuer", self.pem,
                "-cert", self.dir / f"{name}.pem", "-ndays", 2, "-respout", self.dir / f"{name}.der")
