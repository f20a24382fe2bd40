from geoae.catalog.sidecars import name_sidecars


def test_sidecars_follow_the_name_or_replace_its_suffix():
    names = name_sidecars("in.d/s.tif")
    assert {"in.d/s.tif.msk", "in.d/s.tif.aux.xml", "in.d/s.tfw", "in.d/s_RPC.TXT"} <= set(names)
