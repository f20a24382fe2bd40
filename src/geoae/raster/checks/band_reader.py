"""Read windows of single bands of a raster, of many bands at once."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rasterio.errors import RasterioError
from rasterio.io import DatasetReader
from rasterio.windows import Window as RasterWindow

from geoae.raster.checks.validate import TOGETHER, read_error
from geoae.tiling.window import Window

__all__ = ["BandReader"]


@dataclass(eq=False, slots=True)
class BandReader:
    """Reads windows of single bands.

    Whatever it reads, rasterio looks at all bands of the file. So the first window that is read is
    read for bands that come next, too.
    """

    source: str
    """Name of the raster."""
    dataset: DatasetReader
    """The same, open; its bands have one type."""
    bands: Sequence[int]
    """Bands that will be read, 1-based, in this order."""
    together: int = TOGETHER
    """Bands that are read at once: one where some cannot be read."""
    first: Window | None = field(default=None, init=False)
    """The first window that was read."""
    ahead: dict[int, NDArray[Any]] = field(default_factory=dict, init=False)
    """Its pixels in bands that come next."""
    nodata: Sequence[float | None] = field(init=False)
    """Nodata value of each band."""

    def __post_init__(self) -> None:
        self.nodata = self.dataset.nodatavals  # a list that is made anew whenever it is asked for

    def read(self, band: int, window: Window) -> NDArray[np.float64]:
        """Read a window of a band.

        Args:
            band: one of ``bands``.
            window: the window.

        Returns:
            Pixels ``(row, col)`` in DN, NaN in place of nodata.

        Raises:
            ReadError: the window cannot be read.

        """
        self.first = self.first or window
        if window == self.first and band not in self.ahead:
            self._read_ahead(band, window)
        pixels = self.ahead.pop(band, None) if window == self.first else None
        if pixels is None:
            try:
                pixels = self.dataset.read(band, window=_area(window))
            except RasterioError as error:
                raise read_error(self.source, self.dataset, window, error) from error
        exact = pixels.astype(np.float64)
        nodata = self.nodata[band - 1]
        return exact if nodata is None else np.where(exact == nodata, np.nan, exact)

    def _read_ahead(self, band: int, window: Window) -> None:
        """Read a window of a band and of those that come next; nothing where one is damaged."""
        place = self.bands.index(band)
        some = list(self.bands[place : place + self.together])
        try:
            pixels = self.dataset.read(some, window=_area(window))
        except RasterioError:
            self.together = 1
            return
        self.ahead = dict(zip(some, pixels, strict=True))


def _area(window: Window) -> RasterWindow:
    return RasterWindow(window.col, window.row, window.width, window.height)
