"""Why a download failed: each reason is told apart, and what is said helps once it is done."""

import base64
import datetime
import errno
import http.server
import ipaddress
import os
import socket
import ssl
import threading
from contextlib import contextmanager
from importlib.util import find_spec
from types import SimpleNamespace

import pytest

requests = pytest.importorskip("requests")

from repro.data import datasets, downloads
from repro.data.downloads import Unreachable, reach, reason
from repro.errors import DataError


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)


class Answers(http.server.BaseHTTPRequestHandler):
    """Answers with `server.status`, also in place of a proxy that asks for a password."""

    def do_GET(self):
        status = self.server.status
        if self.server.password:
            wanted = base64.b64encode(self.server.password.encode()).decode()
            given = self.headers.get("Proxy-Authorization", "")
            status = status if given == f"Basic {wanted}" else 407
        if self.command == "HEAD" and self.server.without_head:
            status = 405
        self.send_response(status)
        if status in (301, 302):
            self.send_header("Location", self.path)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_HEAD = do_CONNECT = do_GET

    def log_message(self, *arguments):
        pass


@contextmanager
def serving(status=200, password="", without_head=False, context=None):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        server.status, server.password, server.without_head = status, password, without_head
        if context:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def address(server, scheme="http"):
    return f"{scheme}://127.0.0.1:{server.server_address[1]}/file.tar"


def refusal(url):
    with pytest.raises(Unreachable) as error:
        reach(url)
    text = str(error.value)
    assert "\n" not in text
    assert "no answer" not in text
    return text


# ---------------------------------------------------------------------------- answers

STATUS = {
    403: "does not give the file to this network (403 Forbidden): use another network",
    401: "does not give the file to this network (401 Unauthorized)",
    404: "no longer has the file (404 Not Found): a newer tensorflow-datasets",
    410: "no longer has the file (410 Gone)",
    429: "is busy or being repaired (429 Too Many Requests): try again later",
    500: "is busy or being repaired (500 Internal Server Error)",
    503: "is busy or being repaired (503 Service Unavailable): try again later",
}


@pytest.mark.parametrize("status", STATUS)
def test_answers_that_refuse_are_told_apart(status):
    with serving(status) as server:
        assert f"127.0.0.1 {STATUS[status]}" in refusal(address(server))
        server.status = 200  # it is later, or another network
        reach(address(server))


def test_a_server_that_answers_only_to_those_who_get_the_file():
    with serving(200, without_head=True) as server:
        reach(address(server))


def test_a_server_that_sends_in_a_circle():
    with serving(302) as server:
        assert "sends in a circle, as a network's log-in page does" in refusal(address(server))


# ---------------------------------------------------------------------------- proxies


def test_a_proxy_that_asks_for_a_password_gets_it(monkeypatch):
    with serving(200, password="jo:s3cret/#?") as proxy:
        host = f"127.0.0.1:{proxy.server_address[1]}"
        for scheme in ("http", "https"):
            monkeypatch.setenv(f"{scheme.upper()}_PROXY", f"http://{host}")
            text = refusal(f"{scheme}://files.invalid/file.tar")
            assert f"the proxy {host} asks for a name and a password (407 Proxy" in text
            assert "set HTTPS_PROXY to http://NAME:PASSWORD@HOST:PORT" in text
        monkeypatch.delenv("HTTPS_PROXY")
        monkeypatch.setenv("HTTP_PROXY", f"http://jo:wrong@{host}")
        text = refusal("http://files.invalid/file.tar")
        assert f"the proxy {host} does not take the name and password that are set (407" in text
        assert "with %-codes for signs such as @ / # ?" in text and "wrong" not in text
        monkeypatch.setenv("HTTP_PROXY", f"http://jo:s3cret%2F%23%3F@{host}")
        reach("http://files.invalid/file.tar")


def test_a_proxy_is_told_without_its_password(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://jo:s3cret@127.0.0.1:9")
    text = refusal("https://files.invalid/file.tar")
    assert "the proxy 127.0.0.1:9 does not answer: correct HTTPS_PROXY, or unset it" in text
    assert "s3cret" not in text
    with serving(403) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://jo:s3cret@127.0.0.1:{proxy.server_address[1]}")
        text = refusal("https://files.invalid/file.tar")
    assert "does not let through to files.invalid (403 Forbidden): ask who runs it" in text
    assert "s3cret" not in text


@pytest.mark.parametrize(
    ("proxy", "words"),
    [
        ("http://", "is no address: set HTTPS_PROXY to http://HOST:PORT"),
        ("socks5://127.0.0.1:9", "pip install pysocks"),
    ],
)
def test_a_proxy_of_another_kind(monkeypatch, proxy, words):
    if "socks" in proxy and find_spec("socks"):
        pytest.skip("pysocks is installed")
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    assert words in refusal("https://files.invalid/file.tar")


# ---------------------------------------------------------------------------- TLS


def certificate(folder, until):
    """A certificate of 127.0.0.1 that nobody signed, and a server's context with it."""
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    subject = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    begin = until - datetime.timedelta(days=9)
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, begin, until)
    made = made.add_extension(subject, critical=False)
    made = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    pem, kept = folder / "certificate.pem", folder / "key.pem"
    pem.write_bytes(made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    kept.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, kept)
    return pem, context


def test_a_certificate_that_is_refused_is_named_and_can_be_trusted(tmp_path, monkeypatch):
    now = datetime.datetime.now(datetime.UTC)
    pem, context = certificate(tmp_path, now + datetime.timedelta(days=2))
    with serving(200, context=context) as server:
        text = refusal(address(server, "https"))
        assert "the certificate of 127.0.0.1 is refused (self-signed certificate)" in text
        assert "set REQUESTS_CA_BUNDLE to the file of its certificates" in text
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(pem))
        reach(address(server, "https"))
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "nowhere.pem"))
        text = refusal(address(server, "https"))
    assert "REQUESTS_CA_BUNDLE names a file that is not there: correct it, or unset it" in text


def test_a_certificate_that_is_out_of_date_points_at_the_clock(tmp_path, monkeypatch):
    now = datetime.datetime.now(datetime.UTC)
    pem, context = certificate(tmp_path, now - datetime.timedelta(days=2))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(pem))
    with serving(200, context=context) as server:
        assert "out of date by the clock of this machine" in refusal(address(server, "https"))


def test_a_certificate_of_another_host_points_at_a_log_in_page(tmp_path, monkeypatch):
    now = datetime.datetime.now(datetime.UTC)
    pem, context = certificate(tmp_path, now + datetime.timedelta(days=2))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(pem))
    with serving(200, context=context) as server:
        text = refusal(address(server, "https").replace("127.0.0.1", "localhost"))
    assert "the certificate that came for localhost is another's" in text


def test_what_speaks_no_tls():
    with serving() as server:
        assert "does not speak TLS" in refusal(address(server, "https"))


# ---------------------------------------------------------------------------- no connection


def test_an_unknown_host():
    text = refusal("http://no-such-host.invalid/file.tar")
    assert "the name no-such-host.invalid is unknown here: this machine has no network" in text


def test_a_server_that_does_not_answer(monkeypatch):
    monkeypatch.setattr(downloads, "PATIENCE", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/file.tar"
        assert "127.0.0.1 did not answer within 0.3 seconds: a firewall may be" in refusal(url)


def test_a_port_where_nobody_listens():
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    assert "127.0.0.1 refuses connections" in refusal(f"http://127.0.0.1:{port}/file.tar")


def test_a_connection_that_breaks_off():
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=lambda: server.accept()[0].close())
        thread.start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/file.tar"
        assert "the connection to 127.0.0.1 broke off: try again" in refusal(url)
        thread.join()


# ---------------------------------------------------------------------------- later, and all of it


class NonMatchingChecksumError(Exception):
    """As TFDS calls it."""


def chained(cause):
    try:
        try:
            raise cause
        except Exception as error:
            raise RuntimeError("Failed to construct dataset mnist") from error
    except RuntimeError as error:
        return error


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "the disk is full: make room"),
        (OSError(errno.EROFS, "Read-only file system", "/d"), "/d cannot be written (Read-only"),
        (PermissionError(errno.EACCES, "Permission denied", "/d"), "set TFDS_DATA_DIR to a folder"),
        (NonMatchingChecksumError("Artifact ..."), "what came is not the official file"),
        (Exception("Failed to get url https://a.b/c. HTTP code: 503."), "a.b is busy"),
        (requests.ReadTimeout("read timed out"), "did not answer within"),
    ],
)
def test_what_ends_a_download_in_its_middle_is_told_too(cause, words):
    assert words in reason(chained(cause))


def test_an_error_of_another_kind_is_not_explained_away():
    assert reason(chained(KeyError("image"))) is None


def test_the_whole_line_says_why_and_what_else_would_do(tmp_path, monkeypatch):
    tfds = pytest.importorskip("tensorflow_datasets")
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    monkeypatch.setenv("REPRO_DATA_DIR", str(tmp_path / "prepared"))
    with serving(404) as server:
        builder = SimpleNamespace(url_infos={address(server): None})
        monkeypatch.setattr(tfds, "builder", lambda *arguments, **options: builder)
        with pytest.raises(DataError) as error:
            datasets.prepare("mnist")
    text = str(error.value)
    assert "\n" not in text
    assert text.startswith(
        "mnist is missing and could not be downloaded: 127.0.0.1 no longer has the file (404"
    )
    assert f"copy the folder {tmp_path / 'tfds' / 'mnist' / '3.0.1'}" in text
    assert os.listdir(tmp_path) == []
