"""Tar archives that may come from anybody: headers that would fill the memory end the reading."""

from __future__ import annotations

import tarfile

_MAX_HEADER_BYTES = 1 << 20
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
        # these are read into memory whole before anything can be said of them
        if self.type in _EXTENDED and self.size > _MAX_HEADER_BYTES:
            raise tarfile.HeaderError(f"a header of {self.size} bytes")
        return super()._proc_member(archive)  # type: ignore[misc,no-any-return]


def forget_members(archive: tarfile.TarFile) -> None:
    """Else it remembers every member that there was."""
    archive.members = []  # type: ignore[attr-defined]
