//! Who is calling: the x-rh-identity header and application keys.
