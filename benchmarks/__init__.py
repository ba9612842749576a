"""Measures the bundle: cold and warm, against naive handlers, and how its cost grows. Run by `make bench`.

Every figure is a ratio of two sides that were measured in one run, taking turns, by the median; what each
figure is and what it should be is in `benchmarks.__main__`.
"""
