"""Certificates of every kind, made with the openssl command."""

import subprocess
import types


class Authority:
    """A certificate authority with a directory of its own."""

    def __init__(self, directory, name="authority"):
        self.directory = directory / name
        self.directory.mkdir()
        self.key = self.directory / "ca.key"
        self.certificate = self.directory / "ca.pem"
        (self.directory / "index.txt").touch()
        (self.directory / "serial").write_text("1000\n")
        (self.directory / "crlnumber").write_text("1000\n")
        (self.directory / "ca.cnf").write_text(CONFIGURATION.format(directory=self.directory))
        _openssl(
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
            "-subj", f"/CN=Interop {name}", "-keyout", self.key, "-out", self.certificate,
            "-addext", "keyUsage=critical,keyCertSign,cRLSign",
        )  # fmt: skip

    def issue(self, name, hosts="DNS:localhost,IP:127.0.0.1", start=None, end=None):
        """A certificate for the hosts; `start` and `end` are YYMMDDHHMMSSZ."""
        key, request, chain = (self.directory / f"{name}.{suffix}" for suffix in ("key", "csr", "pem"))
        _openssl(
            "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
            "-subj", f"/CN={name}", "-addext", f"subjectAltName={hosts}", "-keyout", key, "-out", request,
        )  # fmt: skip
        dates = ["-startdate", start, "-enddate", end] if start else ["-days", "30"]
        _openssl("ca", "-batch", "-notext", "-config", self.directory / "ca.cnf", "-in", request, "-out", chain, *dates)
        return types.SimpleNamespace(chain=chain, key=key, ca=self.certificate)

    def revocations(self, *revoked):
        """A revocation list that names the certificates."""
        for certificate in revoked:
            _openssl("ca", "-config", self.directory / "ca.cnf", "-revoke", certificate.chain)
        crl = self.directory / "crl.pem"
        _openssl("ca", "-config", self.directory / "ca.cnf", "-gencrl", "-out", crl)
        return crl


def self_signed(directory, name="self-signed"):
    """A certificate that vouches for itself."""
    key, chain = directory / f"{name}.key", directory / f"{name}.pem"
    _openssl(
        "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
        "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", chain,
    )  # fmt: skip
    return types.SimpleNamespace(chain=chain, key=key, ca=chain)


def _openssl(*arguments):
    arguments = ["openssl", *(str(argument) for argument in arguments)]
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"{arguments}: {done.stderr}"


CONFIGURATION = """
[ca]
default_ca = here
[here]
new_certs_dir = {directory}
database = {directory}/index.txt
serial = {directory}/serial
crlnumber = {directory}/crlnumber
certificate = {directory}/ca.pem
private_key = {directory}/ca.key
default_md = sha256
default_crl_days = 30
copy_extensions = copy
unique_subject = no
policy = any
[any]
commonName = supplied
"""
