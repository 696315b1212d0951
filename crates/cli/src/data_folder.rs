//! The data folder of a server on one machine: its database, its master key, its admin token.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use hookfleet_domain::Secret;

use crate::failure::Failure;

/// Where it is unless somebody says otherwise.
pub const DEFAULT: &str = "./hookfleet-data";
const DATABASE: &str = "hookfleet.db";
const MASTER_KEY: &str = "master.key";
const ADMIN_TOKEN: &str = "admin.token";

/// A data folder.
#[derive(Debug, Clone)]
pub struct DataFolder(PathBuf);

/// What to do about a file that is not there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    Make,
    Refuse,
}

impl DataFolder {
    /// The folder at this path, or the usual one.
    pub fn new(path: Option<PathBuf>) -> Self {
        Self(path.unwrap_or_else(|| DEFAULT.into()))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The key under which secrets are stored.
    pub fn master_key(&self, missing: Missing) -> Result<Secret, Failure> {
        // A new key would not open what an old one sealed.
        let orphaned = !self.0.join(MASTER_KEY).exists() && self.0.join(DATABASE).exists();
        if orphaned {
            return Err(Failure::failed(format!(
                "{} holds a {DATABASE} but no {MASTER_KEY}: put the file back, or give the key by \
                 HOOKFLEET_MASTER_KEY",
                self.0.display()
            )));
        }
        self.secret(MASTER_KEY, missing)
    }

    /// The token that reaches everything.
    pub fn admin_token(&self, missing: Missing) -> Result<Secret, Failure> {
        self.secret(ADMIN_TOKEN, missing)
    }

    fn secret(&self, name: &str, missing: Missing) -> Result<Secret, Failure> {
        let path = self.0.join(name);
        let failed = |error: io::Error| Failure::failed(format!("{}: {error}", path.display()));
        match fs::read_to_string(&path) {
            Ok(text) if text.trim().is_empty() => {
                Err(Failure::failed(format!("{} is empty: remove it", path.display())))
            }
            Ok(text) => Ok(Secret::new(text.trim())),
            Err(error) if error.kind() == io::ErrorKind::NotFound && missing == Missing::Make => {
                self.make(name).map_err(failed)?;
                fs::read_to_string(&path).map(|text| Secret::new(text.trim())).map_err(failed)
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// 32 random bytes in hex digits, for the owner's eyes only. Whole or not at all; a file that
    /// somebody else made meanwhile stays.
    fn make(&self, name: &str) -> io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.0)?;
        let mut bytes = [0_u8; 32];
        getrandom::fill(&mut bytes).map_err(io::Error::other)?;
        let draft = self.0.join(format!("{name}.{}", std::process::id()));
        let mut file =
            fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        writeln!(file, "{}", hex::encode(bytes))?;
        file.sync_all()?;
        let linked = fs::hard_link(&draft, self.0.join(name));
        fs::remove_file(&draft)?;
        match linked {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            // The name must outlive a power cut as surely as what is sealed under the key.
            Ok(()) | Err(_) => fs::File::open(&self.0)?.sync_all(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn made_once_and_for_the_owner_alone() {
        let path = std::env::temp_dir().join(format!("hookfleet-folder-{}", std::process::id()));
        let folder = DataFolder::new(Some(path.clone()));
        assert!(folder.admin_token(Missing::Refuse).is_err());
        let key = folder.master_key(Missing::Make).unwrap();
        let token = folder.admin_token(Missing::Make).unwrap();
        assert_eq!(key.expose().len(), 64);
        assert_ne!(key, token);
        assert_eq!(folder.master_key(Missing::Make).unwrap(), key);
        assert_eq!(folder.admin_token(Missing::Refuse).unwrap(), token);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o700);
        assert_eq!(mode(&path.join(MASTER_KEY)), 0o600);
        assert_eq!(mode(&path.join(ADMIN_TOKEN)), 0o600);

        fs::write(path.join(DATABASE), "").unwrap();
        fs::remove_file(path.join(MASTER_KEY)).unwrap();
        let orphaned = folder.master_key(Missing::Make).unwrap_err();
        assert!(orphaned.to_string().contains("HOOKFLEET_MASTER_KEY"), "{orphaned}");
        fs::remove_dir_all(&path).unwrap();
    }
}
