"""Measure models on real scenes under known noise, beside other denoisers that are given its
level.
"""
