//! Tests of the binary as a user sees it: over HTTP and through its command line. One binary, so that it is
//! linked once; a file a subject.

mod support;

mod envelope;
mod server;
mod transport;
