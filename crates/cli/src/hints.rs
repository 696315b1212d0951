//! What to do next when a server does not do what it was asked.

use reqwest::StatusCode;

const TOKEN: &str = "give a token that is valid there by --token (HOOKFLEET_TOKEN); a server on one \
    machine keeps its own in DATA_DIR/admin.token";
const REACH: &str = "use a token of that tenant (--tenant) that may write, or the admin token";
const POLICY: &str = "use a token of that tenant (--tenant) that may write, or the admin token; which \
    URLs an endpoint may have, the server's operator decides: HOOKFLEET_ALLOW_HTTP, \
    HOOKFLEET_ALLOW_PRIVATE_NETWORKS";
const WAITING: &str = "the server waits for its broker, its store or its disk: `hookfleet doctor` \
    beside it tells what is wrong";
/// When nobody answers.
pub const NOBODY: &str = "is it running? `hookfleet serve` starts one; another is named by --url \
    (HOOKFLEET_URL)";

/// What to do about an answer of this status to a call of this path.
pub fn of(status: StatusCode, path: &str) -> Option<&'static str> {
    let is_about = |what: &str| path.contains(what);
    match status.as_u16() {
        401 => Some(TOKEN),
        403 if is_about("/endpoints") => Some(POLICY),
        403 => Some(REACH),
        404 if is_about("/endpoints") => {
            Some("`hookfleet endpoint list` tells which there are; other tenants' by --tenant")
        }
        404 if is_about("/jobs") => Some("`hookfleet job list` tells which there are"),
        404 if is_about("/tokens") => {
            Some("`hookfleet token list` tells which there are; other tenants' by --tenant")
        }
        404 if is_about("/events") => Some(
            "whose is it (--tenant)? What became of an event is forgotten a day after the last of \
             it, unless the server has another --event-status-kept",
        ),
        404 if is_about("/dead-letters") => {
            Some("`hookfleet dead list` tells which there are; one that was replayed is none")
        }
        409 | 412 => Some("look at what is there, and try again"),
        413 => Some("send less at once: an event holds 1 MiB"),
        429 => {
            Some("wait a little; the operator sets --token-rate-limit and --token-in-flight-max")
        }
        502..=504 => Some(WAITING),
        _ => None,
    }
}
