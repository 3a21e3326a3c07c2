"""The lab's certificate authority: openssl, a key that lives as long as the lab."""

from __future__ import annotations

import secrets
from pathlib import Path

from tests.lab import layout
from tests.lab.layout import Layout
from tests.lab.shell import call


def found(lab: Layout) -> None:
    """Make the authority's key and its own certificate."""
    lab.ca.mkdir(mode=0o700)
    new = ("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")
    out = ("-keyout", lab.ca / "ca.key", "-out", lab.ca / "ca.pem")
    call(*new, "-nodes", "-days", "30", "-subj", "/CN=lab authority", *out)


def certify(lab: Layout, host: str, folder: Path, *, days: int = 30) -> None:
    """Write host.key and host.pem of a host into a folder."""
    key, request, pem = folder / "host.key", folder / "host.csr", folder / "host.pem"
    new = ("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    names = f"subjectAltName=DNS:{host},IP:{layout.ADDRESSES[host]}"
    call(*new, "-keyout", key, "-out", request, "-subj", f"/CN={host}", "-addext", names)
    signer = ("-CA", lab.ca / "ca.pem", "-CAkey", lab.ca / "ca.key")
    serial = ("-set_serial", f"0x{secrets.token_hex(8)}")
    sign = ("openssl", "x509", "-req", "-in", request, "-copy_extensions", "copy")
    call(*sign, *signer, *serial, "-days", str(days), "-out", pem)
    request.unlink()
