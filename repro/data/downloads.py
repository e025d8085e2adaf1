"""Why a download failed, told apart, each with what helps."""

import errno
import os
import re
import urllib.parse
from collections.abc import Iterator
from http import HTTPStatus

# Seconds in which a server has to begin its answer: TFDS itself would try for minutes.
PATIENCE = 10


class Unreachable(OSError):
    """A file that a server does not give; its text says why and what helps."""


def reach(url: str) -> None:
    """Asks whether the file is to be had, without getting it. Raises `Unreachable`."""
    import requests

    try:
        with requests.Session() as session:
            with session.head(url, timeout=PATIENCE, allow_redirects=True) as response:
                status = response.status_code
            if status >= 400 and status != HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
                # Some servers answer only to those who mean it.
                with session.get(url, timeout=PATIENCE, stream=True) as response:
                    status = response.status_code
    except (requests.RequestException, OSError) as error:
        raise Unreachable(reason(error) or f"{_host(url)}: {first_line(error)}") from error
    if status >= 400:
        raise Unreachable(_refused(status, _host(url)))


def reason(error: BaseException) -> str | None:
    """Why the download failed and what helps, or None for an error of another kind."""
    for inner in _chain(error):
        if told := _told(inner):
            return told
    return None


def first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__)[:200]


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and those that it came from, the outermost first."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _told(error: BaseException) -> str | None:
    import requests

    if isinstance(error, Unreachable):
        return str(error)
    text = str(error)
    if isinstance(error, requests.RequestException):
        request = error.request
        return _connection(error, text, _host(request.url) if request is not None else "the server")
    if code := re.search(r"HTTP code: (\d{3})\b", text):
        address = re.search(r"https?://\S+", text)
        return _refused(int(code[1]), _host(address[0]) if address else "the server")
    if type(error).__name__ == "NonMatchingChecksumError":
        return (
            "what came is not the official file, perhaps a log-in page of the network in its "
            "place: log in there, or use another network"
        )
    if isinstance(error, OSError):
        return _storage(error, text)
    return None


def _connection(error: Exception, text: str, host: str) -> str:
    """What an error of `requests` means; the order is from the special to the general."""
    import requests

    if isinstance(error, requests.exceptions.ProxyError):
        if refusal := re.search(r"Tunnel connection failed: (\d{3})", text):
            return _refused(int(refusal[1]), host, proxy=True)
        if "only use HTTP" in text:
            return f"the proxy {_proxy()} does not speak TLS: its address begins with http://"
        return f"the proxy {_proxy()} does not answer: correct HTTPS_PROXY, or unset it"
    if isinstance(error, requests.exceptions.SSLError):
        return _certificate(text, host)
    if isinstance(error, requests.Timeout):
        return (
            f"{host} did not answer within {PATIENCE} seconds: a firewall may be in between; if "
            "this network has a proxy, set HTTPS_PROXY to it"
        )
    if isinstance(error, requests.exceptions.InvalidProxyURL):
        return f"the proxy {_proxy()} is no address: set HTTPS_PROXY to http://HOST:PORT"
    if "SOCKS" in text:
        return "the proxy is a SOCKS proxy, which needs a package: pip install pysocks"
    if isinstance(error, requests.TooManyRedirects):
        return f"{host} sends in a circle, as a network's log-in page does: log in there first"
    if "Failed to resolve" in text or "getaddrinfo" in text or "NameResolution" in text:
        return (
            f"the name {host} is unknown here: this machine has no network, or its name server "
            "does not know the outside; if this network has a proxy, set HTTPS_PROXY to it"
        )
    if "refused" in text:
        return f"{host} refuses connections: try again later, or from another network"
    return f"the connection to {host} broke off: try again"


def _certificate(text: str, host: str) -> str:
    if "expired" in text or "not yet valid" in text:
        return (
            f"the certificate of {host} is out of date by the clock of this machine: set the clock"
        )
    if "WRONG_VERSION_NUMBER" in text or "record layer" in text:
        return (
            f"what answers for {host} does not speak TLS: if HTTPS_PROXY is set, its address "
            "begins with http://"
        )
    if "mismatch" in text or "doesn't match" in text:
        return (
            f"the certificate that came for {host} is another's, as a network's log-in page "
            "has: log in there first, or use another network"
        )
    cause = re.search(r"certificate verify failed: ([^(\[]+)", text)
    why = f" ({cause[1].strip()})" if cause else ""
    return (
        f"the certificate of {host} is refused{why}: where a company inspects its network, set "
        "REQUESTS_CA_BUNDLE to the file of its certificates"
    )


_LATER = {408, 425, 429, 500, 502, 503, 504}


def _refused(status: int, host: str, proxy: bool = False) -> str:
    """What an answer of 400 and above means."""
    name = next((s.phrase for s in HTTPStatus if s == status), "")
    answer = f"{status} {name}".strip()
    if status == 407 and "@" in _proxy_set():
        return (
            f"the proxy {_proxy()} does not take the name and password that are set ({answer}): "
            "correct them in HTTPS_PROXY, with %-codes for signs such as @ / # ?"
        )
    if status == 407:
        return (
            f"the proxy {_proxy()} asks for a name and a password ({answer}): set HTTPS_PROXY to "
            "http://NAME:PASSWORD@HOST:PORT"
        )
    if proxy:
        return f"the proxy {_proxy()} does not let through to {host} ({answer}): ask who runs it"
    if status in (404, 410):
        return (
            f"{host} no longer has the file ({answer}): a newer tensorflow-datasets may know "
            "where it went: pip install --upgrade tensorflow-datasets"
        )
    if status in (401, 403, 451):
        return f"{host} does not give the file to this network ({answer}): use another network"
    if status in _LATER:
        return f"{host} is busy or being repaired ({answer}): try again later"
    return f"{host} answers {answer}: try again later"


def _storage(error: OSError, text: str) -> str | None:
    """What is wrong on this machine while a file is fetched and unpacked."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "the disk is full: make room, or set TFDS_DATA_DIR to a folder on a larger one"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return (
            f"{error.filename or 'the folder'} cannot be written ({error.strerror}): set "
            "TFDS_DATA_DIR to a folder that can"
        )
    if "CA certificate bundle" in text:
        return "REQUESTS_CA_BUNDLE names a file that is not there: correct it, or unset it"
    return None


def _host(url: str | None) -> str:
    return urllib.parse.urlsplit(url or "").hostname or "the server"


def _proxy() -> str:
    """The proxy that is set, without name and password."""
    address = _proxy_set().rpartition("@")[2]
    return address.removeprefix("http://").removeprefix("https://") or "of this network"


def _proxy_set() -> str:
    names = ("HTTPS_PROXY", "ALL_PROXY", "HTTP_PROXY")
    values = (os.environ.get(name) or os.environ.get(name.lower()) for name in names)
    return next(filter(None, values), "")
