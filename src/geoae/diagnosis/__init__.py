"""What is measured of a scene before it is restored."""
