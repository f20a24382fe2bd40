import numpy as np

from geoae.diagnosis.findings.planes import LEAST_PIECES, MOST_PIECES, cut_planes
from tests.diagnosis.findings.looks import look_at, noisy


def test_pieces_hold_each_valid_pixel_once():
    pixels = noisy(2, 500)
    valid = np.ones(pixels.shape, bool)
    valid[:, :7] = False
    planes = list(cut_planes(look_at(pixels, valid=valid)))
    assert [plane.band for plane in planes] == [3, 5]
    for plane, band in zip(planes, pixels, strict=True):
        assert max(max(piece.values.shape) for piece in plane.pieces) <= 192
        np.testing.assert_allclose(np.sort(plane.values * plane.scale), np.sort(band[7:].ravel()))


def test_many_bands_have_few_pieces_each():
    look = look_at(*[noisy(200, 8)] * 16)
    counts = {len(plane.pieces) for plane in cut_planes(look)}
    assert counts == {LEAST_PIECES}
    assert MOST_PIECES // 200 < LEAST_PIECES
