//! Secrets and tokens that nobody can guess.

use hookfleet_domain::{Endpoint, Secret, Signature};
use hookfleet_signing::{Key, PrivateKey};

use crate::problem::Problem;

/// 32 random bytes of the operating system.
pub fn random() -> Result<[u8; 32], Problem> {
    let mut random = [0; 32];
    getrandom::fill(&mut random).map_err(|_| Problem::unavailable("no randomness"))?;
    Ok(random)
}

/// Between the secret for `v1` and the private key for `v1a`.
const SEPARATOR: char = ',';

/// A signing secret that is made when it turns out that one is needed.
pub struct NewSecret {
    random: [u8; 32],
    key: [u8; 32],
    made: Option<Secret>,
}

impl NewSecret {
    /// Not made yet.
    pub fn prepare() -> Result<Self, Problem> {
        Ok(Self { random: random()?, key: random()?, made: None })
    }

    /// Makes it, in the form that the signature asks for.
    pub fn make(&mut self, signature: &Signature) -> Secret {
        let text = match signature {
            Signature::Standard | Signature::StandardV1a => Key::standard_text(&self.random),
            Signature::None | Signature::Hex { .. } | Signature::Sha256 { .. } => {
                hex::encode(self.random)
            }
        };
        self.made.insert(Secret::new(text)).clone()
    }

    /// The endpoint with a key for `v1a`, if it is to have one and has none.
    pub fn complete(&self, endpoint: Endpoint) -> Endpoint {
        let incomplete = |secret: &Secret| !secret.expose().contains(SEPARATOR);
        if endpoint.settings.signature != Signature::StandardV1a
            || !endpoint.secret.as_ref().is_some_and(incomplete)
        {
            return endpoint;
        }
        let key = PrivateKey::standard_text(&self.key);
        let secret = endpoint
            .secret
            .map(|secret| Secret::new(format!("{}{SEPARATOR}{key}", secret.expose())));
        Endpoint { secret, ..endpoint }
    }

    /// To be shown, if it was made.
    pub fn made(&self) -> Option<&Secret> {
        self.made.as_ref()
    }
}
