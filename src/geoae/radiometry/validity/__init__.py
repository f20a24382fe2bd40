"""Which pixels and bands hold measurements."""
