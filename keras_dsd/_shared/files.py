"""Files that are the old or the new at every moment, and checks of their paths.

Knows files only.
"""

import contextlib
import os
import pathlib
import shutil


def name_of(path):
    """Returns the name of a file as a str.

    Raises:
        TypeError: `path` is neither a str nor an `os.PathLike`.
        ValueError: no file can have the name.
    """
    name = os.fspath(path) if isinstance(path, os.PathLike) else path
    if not isinstance(name, str):
        raise TypeError(
            "`path` must be a str or an `os.PathLike`, the path of a file. "
            f"Received: path={path!r}"
        )
    if "\0" in name:
        raise ValueError(f"`path` must be the path of a file. Received: path={path!r}")
    return name


def writable(path):
    """Returns the `pathlib.Path` of a file that can be written, whether it is there.

    Raises:
        TypeError, ValueError: as `name_of`; its folder does not exist, or it is no
            regular file, say a folder.
    """
    # The file behind a link: replacing the link would leave that file behind.
    file = pathlib.Path(os.path.realpath(name_of(path)))
    if not file.parent.is_dir() or (file.exists() and not file.is_file()):
        raise ValueError(
            "`path` must be the path of a file, in a folder that exists. "
            f"Received: path={path!r}"
        )
    return file


@contextlib.contextmanager
def replacing(path):
    """Replaces a file, or a folder, as a whole: it is the old or the new.

    Yields the path of another one beside it, to be written and closed within. Where
    the process ends before that takes the place of `path`, it is left behind; the next
    call writes over it. Whatever ends the process, a file is the old or the new; a
    folder may also be gone for the moment between the two, as `unfinished.old.`.
    """
    new = unfinished(path)
    _remove(new)
    try:
        yield new
        for file in [new] if new.is_file() else filter(os.path.isfile, new.rglob("*")):
            with open(file, "rb+") as opened:
                os.fsync(opened.fileno())
        if path.is_dir():
            old = unfinished(path.with_name("old." + path.name))
            _remove(old)
            os.replace(path, old)  # no system replaces a folder that has files
            os.replace(new, path)
            _remove(old)
        else:
            os.replace(new, path)
        _sync_folder(path.parent)
    finally:
        _remove(new)


def _remove(path):
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def unfinished(path):
    """Returns the path of the file that `replacing` writes."""
    # Its ending stays: Keras goes by it.
    return path.with_name("unfinished." + path.name)


def _sync_folder(path):
    # Else the new name may be lost with the power. Windows opens no folders.
    if os.name == "posix":
        folder = os.open(path, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
