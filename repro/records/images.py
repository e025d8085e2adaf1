"""Which test images a run got wrong, and for what it took them, as result.json keeps it.

For each protocol:

    order    digest of what decides which image has which index
    count    N, how many images were scored
    classes  how many classes the network tells apart
    wrong    one bit an image, the first image in the highest bit of the first byte
    guesses  the class of each wrong image, in the order of the images: a byte, or from 257 classes
             on two, the lower one first

The last two are base64: 1.7 kB of bits for 10,000 images, on one line. Runs of one order can be
laid side by side, image by image. Older results have none of this.
"""

from __future__ import annotations

import base64
import hashlib
import struct
from collections.abc import Mapping
from typing import Any

from repro.lazy import numpy as np
from repro.records.shape import document, hexadecimal, refuse, text, whole

ONE_BYTE = 256  # classes


def order_of(data: str, split: str, count: int) -> str:
    """Names the order of the first `count` images of a test set.

    data: the digest of the dataset, which names its arrays, values and order. split: that which is
    scored, or the slice of one, such as "test".
    """
    return hashlib.sha256(f"{data} {split} {count}".encode()).hexdigest()


def packed(wrong: np.ndarray, guesses: np.ndarray, classes: int, order: str) -> dict[str, Any]:
    """What result.json keeps of `wrong`, bool [N], and `guesses`, int [how many are wrong]."""
    return {
        "order": order,
        "count": len(wrong),
        "classes": classes,
        "wrong": base64.b64encode(np.packbits(wrong).tobytes()).decode(),
        "guesses": base64.b64encode(guesses.astype(_kind(classes)).tobytes()).decode(),
    }


def wrong(record: Mapping[str, Any], protocol: str) -> np.ndarray | None:
    """Which test images a run got wrong, bool [N]; None where its record does not say."""
    if not (kept := _kept(record, protocol)):
        return None
    bits = np.frombuffer(base64.b64decode(kept["wrong"]), np.uint8)
    return np.unpackbits(bits, count=kept["count"]).astype(bool)


def guesses(record: Mapping[str, Any], protocol: str) -> np.ndarray | None:
    """For what a run took the test images that it got wrong, int [how many]; None as `wrong`."""
    if not (kept := _kept(record, protocol)):
        return None
    return np.frombuffer(base64.b64decode(kept["guesses"]), _kind(kept["classes"])).astype(int)


def order(record: Mapping[str, Any], protocol: str) -> str | None:
    """The digest of the order of the test images that a run scored; None as `wrong`."""
    return (_kept(record, protocol) or {}).get("order")


def scored(record: Mapping[str, Any], protocol: str) -> tuple[str, int] | None:
    """Which test images a run scored: their order, and how many; None as `wrong`.

    The order names the number too, but a record from outside may say anything.
    """
    kept = _kept(record, protocol)
    return (kept["order"], kept["count"]) if kept else None


def _kept(record: Mapping[str, Any], protocol: str) -> dict[str, Any] | None:
    return ((record["result"] or {}).get("images") or {}).get(protocol)


def _kind(classes: int) -> str:
    return "<u1" if classes <= ONE_BYTE else "<u2"


# ---------------------------------------------------------------------------- from outside

SHAPE = document(
    {
        "order": hexadecimal(64),
        "count": whole(1),
        "classes": whole(1),
        "wrong": text,
        "guesses": text,
    }
)


def check(value: Any, where: str) -> dict[str, Any]:
    """The images of a protocol as a result has them. Raises Damaged. Needs no NumPy."""
    value = SHAPE(value, where)
    count, classes = value["count"], value["classes"]
    bits = _bytes(value["wrong"], (count + 7) // 8, f"{where}.wrong")
    if bits[-1] & (1 << -count % 8) - 1:
        raise refuse(f"{where}.wrong", value["wrong"], f"bits of {count:,} images")
    size = 1 if classes <= ONE_BYTE else 2
    each = _bytes(value["guesses"], size * wrong_of(value), f"{where}.guesses")
    named = each if size == 1 else (number for (number,) in struct.iter_unpack("<H", each))
    if (largest := max(named, default=0)) >= classes:
        raise refuse(f"{where}.guesses", largest, f"a class below {classes:,}")
    return value


def wrong_of(images: Mapping[str, Any]) -> int:
    """How many images are wrong, of a checked document."""
    return int.from_bytes(base64.b64decode(images["wrong"])).bit_count()


def _bytes(coded: str, size: int, where: str) -> bytes:
    try:
        content = base64.b64decode(coded, validate=True)
    except ValueError:  # binascii.Error, and letters beyond ASCII
        raise refuse(where, coded, "base64") from None
    if len(content) != size:
        raise refuse(where, coded, f"{size:,} bytes in base64")
    return content
