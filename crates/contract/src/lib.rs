//! The names and message forms that services and scenarios share.
