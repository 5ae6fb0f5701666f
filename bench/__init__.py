"""Measurements: `make bench` prints them. Rates are of this machine at this moment; read the ratios."""
