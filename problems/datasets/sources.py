"""Sources: where the files of a data set are looked for, and how they are fetched where a network is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import MissingDataError

__all__ = ["Source", "SourceFile"]


@dataclass(frozen=True)
class SourceFile:
    """One file of a data set.

    Attributes:
        name: without .gz.
        sha256: of its content, decompressed: packagers compress anew, the content stays. None where unknown.
        md5: of upstream's own .gz, "" where the files come in an archive.
    """

    name: str
    sha256: str | None = None
    md5: str = ""


@dataclass(frozen=True)
class Source:
    """The files of a data set and the places that may have them.

    Attributes:
        name: of the data set, and of a folder of its own below $QUBOPRESS_DATA.
        files: in the order in which the reader wants them.
        url: of the folder of single .gz files, or of the archive.
        archive_md5: of the archive (.zip or .tar.gz), "" where the files are single.
        debian: package that installs them, "" without one.
        folder: where it does.
    """

    name: str
    files: tuple[SourceFile, ...]
    url: str
    archive_md5: str = ""
    debian: str = ""
    folder: Path | None = None

    def paths(self) -> list[Path]:
        """The files, found on this machine or fetched.

        Raises:
            MissingDataError: they are not to be had; the message says how to get them.
        """
        return self.find() or self._download()

    def find(self) -> list[Path] | None:
        """The files from the first folder that has them all, None where no folder has."""
        for folder in self._folders():
            paths = [_plain_or_gzip(folder / file.name) for file in self.files]
            if all(path.is_file() for path in paths):
                return paths
        return None

    def _folders(self) -> Iterator[Path]:
        """The user's word first, then the system's package, then what was downloaded before."""
        if own := os.environ.get("QUBOPRESS_DATA"):
            yield Path(own).expanduser() / self.name
            yield Path(own).expanduser()
        if self.folder is not None:
            yield self.folder
        yield self._cache()

    def _cache(self) -> Path:
        import pooch  # only a search that reaches the cache pays for this import

        return Path(pooch.os_cache("qubopress")) / self.name

    def _download(self) -> list[Path]:
        """Fetch what the cache lacks; pooch checks upstream's md5 and leaves no half-written file."""
        if os.environ.get("QUBOPRESS_OFFLINE", "0") not in ("", "0"):
            raise self._missing("and QUBOPRESS_OFFLINE forbids its download")
        try:
            return self._from_archive() if self.archive_md5 else self._one_by_one()
        except (OSError, ValueError) as error:  # no network, no such page; a download of other content
            raise self._missing(f"and its download failed ({type(error).__name__})") from error

    def _one_by_one(self) -> list[Path]:
        import pooch

        return [
            Path(
                pooch.retrieve(
                    f"{self.url}{file.name}.gz",
                    known_hash=f"md5:{file.md5}",
                    fname=f"{file.name}.gz",
                    path=self._cache(),
                    downloader=pooch.HTTPDownloader(timeout=30),
                )
            )
            for file in self.files
        ]

    def _from_archive(self) -> list[Path]:
        """The members whose names end as the files do; those alone are taken out of the archive."""
        import pooch

        packed = pooch.retrieve(
            self.url,
            known_hash=f"md5:{self.archive_md5}",
            path=self._cache(),
            downloader=pooch.HTTPDownloader(timeout=30, progressbar=False),
        )
        return _unpacked(Path(packed), [file.name for file in self.files], self._cache())

    def _missing(self, reason: str) -> MissingDataError:
        install = f"install it (apt install {self.debian}) or " if self.debian else ""
        return MissingDataError(
            f"{self.name} is not on this machine {reason}; {install}set QUBOPRESS_DATA to a folder with its "
            f"{len(self.files)} files ({self.files[0].name}, …)"
        )


def _plain_or_gzip(path: Path) -> Path:
    packed = path.with_name(path.name + ".gz")
    return packed if packed.is_file() else path


def _unpacked(archive: Path, wanted: list[str], folder: Path) -> list[Path]:
    """Write the wanted members of an archive into a folder, by the last parts of their names alone."""
    found = dict(_members(archive, wanted))
    if missing := [name for name in wanted if name not in found]:
        raise ValueError(f"{archive.name} lacks {missing[0]}")
    paths = []
    for name in wanted:
        member, content = found[name]
        path = folder / Path(member).name
        part = path.with_name(f".{path.name}.{os.getpid()}")
        part.write_bytes(content)
        part.replace(path)
        paths.append(path)
    return paths


def _members(archive: Path, wanted: list[str]) -> Iterator[tuple[str, tuple[str, bytes]]]:
    """(wanted name, (name in the archive, content)) of a .zip or .tar.gz."""
    import tarfile
    import zipfile

    def known(member: str) -> str | None:
        name = Path(member).name.removesuffix(".gz")
        return name if name in wanted else None

    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as packed:
            for one in packed.namelist():
                if name := known(one):
                    yield name, (one, packed.read(one))
        return
    with tarfile.open(archive) as rolled:
        for entry in rolled:
            stream = rolled.extractfile(entry) if entry.isfile() else None
            if stream is not None and (name := known(entry.name)):
                yield name, (entry.name, stream.read())
