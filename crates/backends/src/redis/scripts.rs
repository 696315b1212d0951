//! The Lua scripts; each stands in a file of its own. Time is always an argument, so that a script
//! says the same on every replica and in every test.

use std::sync::LazyLock;

use redis::Script;

macro_rules! script {
    ($(#[$doc:meta])* $name:ident, $file:literal) => {
        $(#[$doc])*
        pub static $name: LazyLock<Script> =
            LazyLock::new(|| Script::new(include_str!(concat!("lua/", $file))));
    };
}

script!(
    /// May this attempt be made?
    GATE, "gate.lua"
);
script!(
    /// An attempt was made.
    RECORD, "record.lua"
);
script!(
    /// A delivery was begun anew, or thrown away.
    RESTAGE, "restage.lua"
);
script!(
    /// A new endpoint.
    ADD_ENDPOINT, "add_endpoint.lua"
);
script!(
    /// A changed endpoint.
    REPLACE_ENDPOINT, "replace_endpoint.lua"
);
script!(
    /// An endpoint is no more.
    REMOVE_ENDPOINT, "remove_endpoint.lua"
);
script!(
    /// What an idempotency key stands for.
    CLAIM_KEY, "claim_key.lua"
);
script!(
    /// An idempotency key's event is durable.
    CONFIRM_KEY, "confirm_key.lua"
);
script!(
    /// A new token.
    ADD_TOKEN, "add_token.lua"
);
script!(
    /// A job, new or changed.
    PUT_JOB, "put_job.lua"
);
script!(
    /// The next job.
    CLAIM_JOB, "claim_job.lua"
);
