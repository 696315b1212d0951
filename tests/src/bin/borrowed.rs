//! `borrowed check`: is a virtual host or a database of somebody else's free for tests?
//! `borrowed clear`: leaves it as it was.

use std::process::ExitCode;

use e2e::borrowed::{clear_broker, clear_store, found_in_broker, keys_in_store};
use e2e::services::{Lender, lenders};

#[tokio::main]
async fn main() -> ExitCode {
    e2e::install_tls();
    let clear = std::env::args().nth(1).as_deref() == Some("clear");
    let mut in_the_way = Vec::new();
    for lender in lenders() {
        match (lender, clear) {
            (Lender::Broker(url), true) => clear_broker(&url).await,
            (Lender::Store(url), true) => clear_store(&url).await,
            (Lender::Broker(url), false) => in_the_way.extend(found_in_broker(&url).await),
            (Lender::Store(url), false) => match keys_in_store(&url).await {
                0 => {}
                keys => in_the_way.push(format!("{keys} keys")),
            },
        }
    }
    if in_the_way.is_empty() {
        return ExitCode::SUCCESS;
    }
    eprintln!(
        "tests: not touched, for it is in use: {}. Tests need a virtual host and a database of their own.",
        in_the_way.join(", ")
    );
    ExitCode::FAILURE
}
