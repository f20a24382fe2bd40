from hypothesis import settings

# Wall-clock deadlines fail on a busy machine, not on a wrong result.
settings.register_profile("geoae", deadline=None)
settings.load_profile("geoae")
