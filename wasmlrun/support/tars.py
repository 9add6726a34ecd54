"""Tar archives that may come from anybody: headers that would fill the memory end the reading."""

from __future__ import annotations

import tarfile
import zlib

try:
    from lzma import LZMAError
except ImportError:  # a Python that was built without it unpacks none

    class LZMAError(Exception):  # type: ignore[no-redef]
        """What is then never raised."""


DAMAGED = (tarfile.TarError, zlib.error, LZMAError, EOFError, ValueError)
"""What reading raises, besides OSError; ValueError of numbers and dates that are none."""
_MAX_HEADER_BYTES = 1 << 16
_MOST_EXTENDED = 8
_EXTENDED = (
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
)


class Member(tarfile.TarInfo):
    """A member whose name, and whatever else its headers say, is of bounded length.

    For `tarfile.open(…, tarinfo=Member)`, which then raises HeaderError.
    """

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        kept = vars(archive)
        if self.type not in _EXTENDED:
            kept["_in_a_row"] = 0
            return super()._proc_member(archive)  # type: ignore[misc,no-any-return]
        # these are read into memory whole before anything can be said of them,
        # each calls for the next one from within, and what holds for all members is remembered
        kept["_in_a_row"] = kept.get("_in_a_row", 0) + 1
        of_all = self.size if self.type == tarfile.XGLTYPE else 0
        kept["_of_all"] = kept.get("_of_all", 0) + of_all
        if max(self.size, kept["_of_all"]) > _MAX_HEADER_BYTES:
            raise tarfile.HeaderError(f"headers of more than {_MAX_HEADER_BYTES} bytes")
        if kept["_in_a_row"] > _MOST_EXTENDED:
            raise tarfile.HeaderError(f"more than {_MOST_EXTENDED} headers of one member")
        return super()._proc_member(archive)  # type: ignore[misc,no-any-return]

    # lists of the pieces of a sparse file have no end of their own

    def _proc_sparse(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        raise tarfile.HeaderError("a sparse file")

    def _proc_gnusparse_10(self, *_: object) -> None:
        raise tarfile.HeaderError("a sparse file")


def forget_members(archive: tarfile.TarFile) -> None:
    """Else it remembers every member that there was."""
    archive.members = []  # type: ignore[attr-defined]
