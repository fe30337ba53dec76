"""Files that a reader sees whole or not at all. No torch is loaded here, so that commands start fast.

Source:  own derivation; rename over a file is atomic on POSIX and, by `os.replace`, on Windows.
"""

import errno
import os
import uuid
from pathlib import Path

NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""What the operating system says where a file doesn't fit."""


def user_cache_folder() -> Path:
    """Where files that can be made or fetched again are kept: ARENA_CACHE, or the user's cache folder."""
    if named := os.environ.get("ARENA_CACHE"):
        return Path(named).expanduser()
    from platformdirs import user_cache_dir

    return Path(user_cache_dir("arena_lib", appauthor=False))


def write_atomically(path: Path, data: bytes) -> None:
    """Write `data` to `path` so that a reader sees the old bytes or the new ones, never a part."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        with temporary.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
