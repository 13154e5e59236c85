//! The store goes away, stalls or breaks off in the middle.
