//! Clippy still sees what the model may not do: each function here does it, and *expects* the lint. Where the
//! lint no longer fires, `make check` fails with an unfulfilled expectation.

#[expect(clippy::disallowed_methods, reason = "that it is seen is the test")]
fn asks_the_time_of_a_library() -> jiff::Timestamp {
    use jiff::Timestamp as Moment;
    Moment::now()
}

#[expect(clippy::disallowed_types, reason = "that it is seen is the test")]
fn asks_the_time_of_the_system() -> std::time::SystemTime {
    std::time::UNIX_EPOCH
}

#[expect(clippy::disallowed_methods, reason = "that it is seen is the test")]
fn reads_the_environment() -> Option<String> {
    use std::env as surroundings;
    surroundings::var("HOME").ok()
}

#[expect(clippy::disallowed_methods, reason = "that it is seen is the test")]
fn reads_a_file() -> std::io::Result<Vec<u8>> {
    std::fs::read("/dev/null")
}

#[expect(clippy::disallowed_methods, reason = "that it is seen is the test")]
fn waits() {
    let pause = std::thread::sleep;
    pause(std::time::Duration::ZERO);
}

#[expect(clippy::disallowed_methods, reason = "that it is seen is the test")]
fn prints() -> bool {
    use std::io::Write;
    std::io::stdout().write_all(b"").is_ok()
}

#[test]
fn clippy_sees_every_way_out_of_the_model() {
    asks_the_time_of_a_library();
    asks_the_time_of_the_system();
    reads_the_environment();
    reads_a_file().ok();
    waits();
    assert!(prints());
}
