//! The command. All that it does stands in the library.

fn main() -> std::process::ExitCode {
    jqlite::run()
}
