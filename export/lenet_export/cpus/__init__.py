"""The CPUs that the C can be printed for, and their kernels."""
