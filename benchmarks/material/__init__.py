"""Test material beyond clean digits, made by seed; `benchmarks/README.md` says what there is."""
