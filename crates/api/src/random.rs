//! Secrets and tokens that nobody can guess.

use hookfleet_domain::{Secret, Signature};
use hookfleet_signing::Key;

use crate::problem::Problem;

/// 32 random bytes of the operating system.
pub fn random() -> Result<[u8; 32], Problem> {
    let mut random = [0; 32];
    getrandom::fill(&mut random).map_err(|_| Problem::unavailable("no randomness"))?;
    Ok(random)
}

/// A signing secret that is made when it turns out that one is needed.
pub struct NewSecret {
    random: [u8; 32],
    made: Option<Secret>,
}

impl NewSecret {
    /// Not made yet.
    pub fn prepare() -> Result<Self, Problem> {
        Ok(Self { random: random()?, made: None })
    }

    /// Makes it, in the form that the signature asks for.
    pub fn make(&mut self, signature: &Signature) -> Secret {
        let text = match signature {
            Signature::Standard => Key::standard_text(&self.random),
            Signature::None | Signature::Hex { .. } | Signature::Sha256 { .. } => {
                hex::encode(self.random)
            }
        };
        self.made.insert(Secret::new(text)).clone()
    }

    /// To be shown, if it was made.
    pub fn made(&self) -> Option<&Secret> {
        self.made.as_ref()
    }
}
