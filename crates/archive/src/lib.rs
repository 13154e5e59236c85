//! Pure bytes: gzip objects, CRC combining, ZIP/ZIP64 layout and byte ranges. No I/O.
