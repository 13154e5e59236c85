//! The demo source application: this machine's Debian packages, processes and mounts.
