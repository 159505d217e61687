"""Numbers as few bytes: steps of a round size, planes of bytes, deflate, base64.

A packed text is base64 of zlib data: the length of a JSON header (4 bytes, little-endian), the
header, then the arrays. An array is written as its lowest bytes, then its next ones, and so on:
small numbers leave the high planes empty, and empty planes compress to nothing. Base64 has no
character that could end a script or open a comment, whatever the words are.
"""

import base64
import json
import math
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

MISSING = 0xFFFF
"""What NaN is packed as."""
LARGEST = 0x3FFF
"""The largest number of steps, of either sign; a bit is left for a mark."""
_FINEST = 1e-12


def round_step(values: NDArray[np.float64], steps: int = 100) -> float:
    """The size of a step, 1, 2 or 5 times a power of ten, so that large values have many steps.

    Args:
        values: What will be packed; NaN is left out.
        steps: The 99th percentile of the absolute values takes at least so many.
    """
    sizes = np.abs(values[np.isfinite(values)])
    large = float(np.quantile(sizes, 0.99)) if sizes.size else 0.0
    largest = float(sizes.max(initial=0.0))
    wanted = max(large / steps, largest / LARGEST * 2.5)
    if wanted < _FINEST:
        return 1.0 if wanted == 0 else _FINEST
    exponent = math.floor(math.log10(wanted) + 1e-9)  # of 1e-3 exactly, -3 and not -4
    factor = max((one for one in (1, 2, 5) if one * 10.0**exponent <= wanted), default=1)
    return float(f"{factor}e{exponent}")


def to_steps(values: NDArray[np.float64], step: float) -> NDArray[np.int64]:
    """The nearest whole numbers of steps, kept within +-LARGEST; 0 where a value is NaN."""
    return np.rint(np.clip(np.nan_to_num(values / step), -LARGEST, LARGEST)).astype(np.int64)


def signed(steps: NDArray[np.int64], missing: NDArray[np.bool_]) -> NDArray[np.uint16]:
    """Whole numbers with the sign in the lowest bit, so that small ones of either sign are small.

    Args:
        steps: Numbers within +-LARGEST.
        missing: Where there is none.
    """
    folded = np.where(steps < 0, -2 * steps - 1, 2 * steps)
    return np.where(missing, MISSING, folded).astype(np.uint16)


def signed_steps(values: NDArray[np.float64], step: float) -> NDArray[np.uint16]:
    """Values as packed numbers of steps; NaN is MISSING."""
    return signed(to_steps(values, step), np.isnan(values))


def pack(header: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> str:
    """Header and arrays as one text of base64.

    Args:
        header: Plain JSON values.
        arrays: Unsigned integers of 1, 2 or 4 bytes, flattened in row-major order.
    """
    described = [
        {"name": name, "bytes": array.dtype.itemsize, "length": array.size}
        for name, array in arrays.items()
    ]
    text = json.dumps({**header, "arrays": described}, allow_nan=False, separators=(",", ":"))
    start = text.encode("ascii")
    planes = [_planes(array) for array in arrays.values()]
    body = b"".join([len(start).to_bytes(4, "little"), start, *planes])
    return base64.b64encode(zlib.compress(body, 9)).decode("ascii")


def _planes(array: NDArray[Any]) -> bytes:
    little = np.ascontiguousarray(array.reshape(-1), array.dtype.newbyteorder("<"))
    return little.view(np.uint8).reshape(array.size, array.dtype.itemsize).T.tobytes()
