//! DescribeUserScramCredentials (key 50): which users have SCRAM credentials.
use super::declare::messages;

messages! {
    /// Asks for users.
    struct DescribeUserScramCredentialsRequest {
        /// The users; null or empty for all.
        users: Option<Vec<UserName>> = Some(Vec::new());
    }

    /// A user.
    struct UserName {
        /// Its name.
        name: String;
    }

    /// The answer.
    struct DescribeUserScramCredentialsResponse {
        /// Always 0: there are no quotas.
        throttle_time_ms: i32;
        /// Error, or 0.
        error_code: i16;
        /// Why it was refused.
        error_message: Option<String> = Some(String::new());
        /// What became of each.
        results: Vec<DescribeUserScramCredentialsResult>;
    }

    /// One user.
    struct DescribeUserScramCredentialsResult {
        /// Name.
        user: String;
        /// Error, or 0.
        error_code: i16;
        /// Why it was refused.
        error_message: Option<String> = Some(String::new());
        /// The credentials.
        credential_infos: Vec<CredentialInfo>;
    }

    /// A credential.
    struct CredentialInfo {
        /// 1: SCRAM-SHA-256, 2: SCRAM-SHA-512.
        mechanism: i8;
        /// Number of iterations.
        iterations: i32;
    }
}
