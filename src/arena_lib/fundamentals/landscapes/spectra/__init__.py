"""Eigenvalues of a matrix that is known by its products alone.

power_iteration   the eigenvalue of largest size
lanczos           many eigenvalues at once
spectral_density  how eigenvalues are spread
"""
