//! Postgres: one module per aggregate, the outbox and leases; one way in, Store::tx.
