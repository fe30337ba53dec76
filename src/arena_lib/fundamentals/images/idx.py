"""Files in the idx format, in which MNIST and Fashion-MNIST are published: a short head, then the bytes of one array.

    bytes 0-1   zero
    byte  2     kind of entry; 8 says unsigned bytes, and nothing else is read here
    byte  3     number of axes
    then        the size of each axis, four bytes each, the highest byte first
    then        the entries, the last axis fastest

A file may be packed with gzip or xz: its first bytes say so, whatever its name is.

Shapes:  "..." of unsigned bytes, as the head says.
Raises:  ZooError for a file that is missing, damaged, too short, too long, or something else.
Source:  LeCun, Cortes and Burges, "The MNIST database of handwritten digits", 1998, "File formats".
"""

from __future__ import annotations

import gzip
import math
import zlib
from io import BufferedIOBase
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from arena_lib.errors import ZooError
from arena_lib.wording import counted

try:
    from lzma import LZMAError
except ImportError:  # some Pythons are built without it
    LZMAError = EOFError  # type: ignore[assignment,misc]

BUNDLED = Path(__file__).parent / "data" / "fashion-mnist"
"""The folder of the images that ship with the package."""
UNSIGNED_BYTES = 8
"""The third byte of a file of unsigned bytes."""
MOST_BYTES = 1_000_000_000
"""No array may unpack to more; Fashion-MNIST's largest is 47 million."""
GZIP, XZ = b"\x1f\x8b", b"\xfd7zXZ\x00"


def read_idx(file: Path | str) -> UInt8[np.ndarray, "..."]:
    """The array that an idx file holds, packed or not.

    >>> labels = read_idx(BUNDLED / "t10k-labels-idx1-ubyte.xz")
    >>> labels.shape, labels.dtype
    ((1000,), dtype('uint8'))
    """
    file = Path(file)
    try:
        with _open(file) as stream:
            shape = _read_head(stream, file)
            size = math.prod(shape)
            content = stream.read(size + 1)
    except FileNotFoundError:
        raise ZooError(
            f"{file.name} must be in {file.parent}: it isn't. Put it there, or name another folder."
        ) from None
    except (OSError, EOFError, LZMAError, zlib.error) as error:
        raise ZooError(f"{file} must be readable: {error}. It is damaged or incomplete: get the file again.") from error
    if len(content) != size:
        length = "more" if len(content) > size else counted(len(content), "byte")
        axes = " x ".join(map(str, shape))
        raise ZooError(f"{file} must hold {axes} = {size:,} bytes after its head: got {length}. Get the file again.")
    return np.frombuffer(content, np.uint8).reshape(shape)


def write_idx(file: Path | str, array: UInt8[np.ndarray, "..."]) -> None:
    """Write an array as `read_idx` reads it, packed with xz where the file's name ends so."""
    file = Path(file)
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    content = bytes([0, 0, UNSIGNED_BYTES, array.ndim]) + sizes + array.tobytes()
    if file.suffix == ".xz":
        import lzma

        content = lzma.compress(content, preset=9 | lzma.PRESET_EXTREME)
    file.write_bytes(content)


def _open(file: Path) -> BufferedIOBase:
    """The file's bytes, unpacked where its first ones say how."""
    with file.open("rb") as stream:
        start = stream.read(len(XZ))
    if start.startswith(GZIP):
        return gzip.GzipFile(file)
    if start == XZ:
        return _open_xz(file)
    return file.open("rb")


def _open_xz(file: Path) -> BufferedIOBase:
    try:
        import lzma
    except ImportError as error:
        raise ZooError(
            f"{file.name} must be unpacked with Python's lzma module: this Python was built without it. "
            "Install liblzma and build Python again, or take another Python."
        ) from error
    return lzma.LZMAFile(file)


def _read_head(stream: BufferedIOBase, file: Path) -> tuple[int, ...]:
    """The size of each axis."""
    magic = stream.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] != UNSIGNED_BYTES or not 1 <= magic[3] <= 4:
        raise ZooError(
            f"{file} must be an idx file of unsigned bytes, which begins with 00 00 08 and the number of its axes: "
            f"got {magic.hex(' ') or 'an empty file'}. Is it the file that you mean?"
        )
    sizes = stream.read(4 * magic[3])
    if len(sizes) < 4 * magic[3]:
        raise ZooError(
            f"{file} must state the size of {counted(magic[3], 'axis', 'axes')}: it ends before. Get the file again."
        )
    shape = tuple(int.from_bytes(sizes[start : start + 4], "big") for start in range(0, len(sizes), 4))
    if math.prod(shape) > MOST_BYTES:
        raise ZooError(
            f"{file} must hold at most {MOST_BYTES:,} bytes: its head says {math.prod(shape):,}. Is it damaged?"
        )
    return shape
