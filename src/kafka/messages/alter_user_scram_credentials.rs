//! AlterUserScramCredentials (key 51): sets and removes SCRAM credentials.
use bytes::Bytes;

use super::declare::messages;

messages! {
    /// Credentials to change.
    struct AlterUserScramCredentialsRequest {
        /// What to remove.
        deletions: Vec<ScramCredentialDeletion>;
        /// What to set.
        upsertions: Vec<ScramCredentialUpsertion>;
    }

    /// A credential to remove.
    struct ScramCredentialDeletion {
        /// Name.
        name: String;
        /// 1: SCRAM-SHA-256, 2: SCRAM-SHA-512.
        mechanism: i8;
    }

    /// A credential to set.
    struct ScramCredentialUpsertion {
        /// Name.
        name: String;
        /// 1: SCRAM-SHA-256, 2: SCRAM-SHA-512.
        mechanism: i8;
        /// Number of iterations.
        iterations: i32;
        /// The salt.
        salt: Bytes;
        /// The salted password.
        salted_password: Bytes;
    }

    /// The answer.
    struct AlterUserScramCredentialsResponse {
        /// Always 0: there are no quotas.
        throttle_time_ms: i32;
        /// What became of each.
        results: Vec<AlterUserScramCredentialsResult>;
    }

    /// What became of one user.
    struct AlterUserScramCredentialsResult {
        /// Name.
        user: String;
        /// Error, or 0.
        error_code: i16;
        /// Why it was refused.
        error_message: Option<String> = Some(String::new());
    }
}
