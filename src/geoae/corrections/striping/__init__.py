"""What stripes are found by: sums over lines, tilts, evidence, offsets and gains."""
