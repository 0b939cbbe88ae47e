//! The programs that run inside the regions' containers.
