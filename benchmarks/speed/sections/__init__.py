"""One section per file; each has a `SECTION`."""
