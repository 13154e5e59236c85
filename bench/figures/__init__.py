"""One module per part; each has `measure(bench)`, which returns rows of the table."""
