//! A secret takes the place of another.

use std::time::Duration;

use serde::Deserialize;
use utoipa::ToSchema;

use crate::patch::{DurationText, checked_secret, invalid, secret};
use crate::{Endpoint, InvalidEndpoint, Secret, Signature, Timestamp, duration_text, limits};

/// What callers say of it.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rotation {
    /// The new secret; none: one is generated.
    #[serde(default, deserialize_with = "secret")]
    #[schema(schema_with = crate::schema::secret)]
    secret: Option<Secret>,
    /// How long the old one goes on being used, too; none: a day.
    #[schema(schema_with = crate::schema::grace)]
    grace: Option<DurationText>,
}

const GRACE: Duration = Duration::from_hours(24);

impl Rotation {
    /// The endpoint with its new secret.
    pub fn apply(
        self,
        endpoint: Endpoint,
        now: Timestamp,
        generate: impl FnOnce(&Signature) -> Secret,
    ) -> Result<Endpoint, InvalidEndpoint> {
        if endpoint.settings.signature == Signature::None {
            let why = "the endpoint's deliveries are not signed".to_owned();
            return Err(InvalidEndpoint::Conflict { field: "signature", why });
        }
        let grace = self.grace.map_or(GRACE, |text| text.0);
        if grace > limits::GRACE_MAX {
            let max = duration_text(limits::GRACE_MAX);
            return Err(invalid("grace", format!("expected at most {max}")));
        }
        let secret = match &self.secret {
            Some(secret) => checked_secret("secret", secret.expose())?,
            None => generate(&endpoint.settings.signature),
        };
        Ok(endpoint.rotated(secret, grace, now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{EndpointPatch, EndpointPolicy};

    fn endpoint(json: &str) -> Endpoint {
        let patch: EndpointPatch = serde_json::from_str(json).unwrap();
        let policy = &EndpointPolicy::default();
        let now = Timestamp::from_unix_ms(0);
        patch.create("acme".parse().unwrap(), now, policy, |_| Secret::new("old")).unwrap()
    }

    fn rotated(json: &str, endpoint: Endpoint) -> Result<Endpoint, InvalidEndpoint> {
        let rotation: Rotation = serde_json::from_str(json).unwrap();
        rotation.apply(endpoint, Timestamp::from_unix_ms(0), |_| Secret::new("generated"))
    }

    #[track_caller]
    fn check(json: &str, profile: &str, after_s: i64, expected: &[&str]) {
        let endpoint = format!(r#"{{"url":"https://a.example","profile":"{profile}"}}"#);
        let rotated = rotated(json, self::endpoint(&endpoint)).unwrap();
        let now = Timestamp::from_unix_ms(after_s * 1000);
        let secrets: Vec<&str> = rotated.signing_secrets(now).map(Secret::expose).collect();
        assert_eq!(secrets, expected);
    }

    #[test]
    fn the_old_secret_goes_along_for_a_while_where_there_is_room() {
        check("{}", "standard", 0, &["generated", "old"]);
        check("{}", "standard", 86_399, &["generated", "old"]);
        check("{}", "standard", 86_400, &["generated"]);
        check(r#"{"secret":"given","grace":"1h"}"#, "standard", 3_599, &["given", "old"]);
        check(r#"{"grace":"0s"}"#, "standard", 0, &["generated"]);
        check("{}", "penr", 0, &["generated"]);
    }

    #[test]
    fn what_cannot_be_rotated_is_refused() {
        let unsigned = endpoint(r#"{"url":"https://a.example","profile":"entro"}"#);
        assert!(rotated("{}", unsigned).is_err());
        let signed = || endpoint(r#"{"url":"https://a.example"}"#);
        assert!(rotated(r#"{"grace":"31d"}"#, signed()).is_err());
        let secret = rotated(r#"{"secret":"two words"}"#, signed()).unwrap_err();
        assert!(!secret.to_string().contains("two words"));
    }
}
