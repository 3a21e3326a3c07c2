"""A real HTTPS server behind a private authority, which answers as what the runner asks."""

from __future__ import annotations

import datetime
import ipaddress
import json
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

ANSWERS: dict[str, Any] = {
    "/api/v1/query": {
        "status": "success",
        "data": {"resultType": "vector", "result": [{"metric": {}, "value": [0, "1"]}]},
    },
    "/api/v1/rules": {"status": "success", "data": {"groups": []}},
    "/api/v2/alerts": [],
    "/health": {},
    "/notify": {},
    "/v1/chat/completions": {
        "id": "1",
        "object": "chat.completion",
        "created": 0,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": "hello"},
            }
        ],
    },
}


@dataclass(frozen=True, kw_only=True)
class Papers:
    """Files of a private authority, of a server, and of a client that it knows."""

    ca: Path
    server: Path
    client: Path  #: certificate and key in one file
    client_key: Path


@cache
def _key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def issue(folder: Path) -> Papers:
    """New papers, below `folder`."""
    ca = _certificate("authority", ca=True)
    pem = {"ca": ca, "server": _certificate("server"), "client": _certificate("client")}
    key = _key().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    for name, certificate in pem.items():
        text = certificate.public_bytes(serialization.Encoding.PEM)
        (folder / f"{name}.pem").write_bytes(text if name == "ca" else text + key)
    (folder / "client.key").write_bytes(key)
    return Papers(
        ca=folder / "ca.pem",
        server=folder / "server.pem",
        client=folder / "client.pem",
        client_key=folder / "client.key",
    )


def _certificate(name: str, *, ca: bool = False) -> x509.Certificate:
    now = datetime.datetime.now(datetime.UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")])
    names = x509.SubjectAlternativeName(
        [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    )
    key = _key()
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if not ca:
        builder = builder.add_extension(names, critical=False)
    return builder.sign(key, hashes.SHA256())


@dataclass
class Server:
    """What was asked of it, and how it answers."""

    url: str = ""
    headers: list[dict[str, str]] = field(default_factory=list)
    status: int = 200
    body: bytes | None = None
    location: str | None = None
    proxied: list[str] = field(default_factory=list)  #: hosts that it was asked to connect to


@contextmanager
def serving(papers: Papers | None, *, known_only: bool = False) -> Iterator[Server]:
    """HTTPS with these papers, plain HTTP without; `known_only` asks for a certificate."""
    told = Server()

    class Handler(BaseHTTPRequestHandler):
        server_state: ClassVar[Server] = told

        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            self.rfile.read(length)
            path = self.path
            if "://" in path:  # as a proxy is asked
                told.proxied.append(path)
                path = "/" + path.split("/", 3)[3]
            told.headers.append({name.lower(): value for name, value in self.headers.items()})
            body = told.body
            if body is None:
                body = json.dumps(ANSWERS[path.partition("?")[0]]).encode()
            self.send_response(told.status)
            if told.location:
                self.send_header("Location", told.location)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign]  # a refused handshake
    if papers is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(papers.server)
        if known_only:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(papers.ca)
        server.socket = context.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
    scheme = "http" if papers is None else "https"
    told.url = f"{scheme}://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield told
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
