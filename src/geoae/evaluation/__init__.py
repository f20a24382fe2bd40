"""How good models are, on real scenes under known noise, beside denoisers that are told it."""
