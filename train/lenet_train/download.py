"""Files from the network, into the user's cache: mirrors in turn, each file checked by its hash.

Pooch and Rich are imported where they are needed, so that a data set that lies there already
answers at once.
"""

from __future__ import annotations

import logging
from pathlib import Path

from lenet_export.errors import UserError

TIMEOUT_SECONDS = 30


def cache() -> Path:
    """The folder in which this program keeps what it has fetched."""
    import pooch

    return Path(pooch.os_cache("lenet-export"))


def fetch(folder: Path, file: str, sha256: str, mirrors: tuple[str, ...]) -> None:
    """Fetches ``file`` into ``folder`` from the first mirror that gives it, if it is not there.

    Args:
        folder: where it goes.
        file: its name, behind each mirror's address too.
        sha256: of its bytes.
        mirrors: addresses of folders.

    Raises:
        UserError: no mirror gives it with this hash.
    """
    import pooch

    # Pooch tells of each download on stderr; the bar does that here.
    pooch.get_logger().setLevel(logging.ERROR)
    failures = []
    for mirror in mirrors:
        bar = DownloadBar(file)
        try:
            pooch.retrieve(
                mirror + file,
                known_hash=f"sha256:{sha256}",
                fname=file,
                path=folder,
                downloader=pooch.HTTPDownloader(progressbar=bar, timeout=TIMEOUT_SECONDS),
            )
            return
        # Requests' exceptions are OSErrors; pooch tells a wrong hash by a ValueError.
        except (OSError, ValueError) as error:
            reason = type(error).__name__ if isinstance(error, OSError) else "wrong SHA-256"
            failures.append(f"{mirror} ({reason})")
        finally:
            bar.close()
    raise UserError(
        file,
        f"no mirror gives it with SHA-256 {sha256}: {', '.join(failures)}",
        "connect to the network, or name a folder that holds it in LENET_DATA",
    )


class DownloadBar:
    """The bar that pooch moves, silent where stderr is no terminal.

    See "Custom progress bar" in pooch's documentation.

    Attributes:
        total: bytes to come; pooch sets it.
    """

    total = 0

    def __init__(self, file: str) -> None:
        """A bar named ``file``."""
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

        console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(), DownloadColumn(),
            console=console, disable=not console.is_terminal,
        )  # fmt: skip
        self._task = self._progress.add_task(file, total=None)

    def update(self, count: int) -> None:
        """Moves on by ``count`` bytes."""
        self._progress.start()
        self._progress.update(self._task, advance=count, total=self.total)

    def reset(self) -> None:
        """Back to the start; pooch calls this before it fills the bar at the end."""
        self._progress.reset(self._task)

    def close(self) -> None:
        """Ends the bar."""
        self._progress.stop()
