//! What an error of Kafka means for whoever met it.
//!
//! <https://kafka.apache.org/protocol#protocol_error_codes>

use rdkafka::error::RDKafkaErrorCode as Code;

/// What kind of trouble a client met, by what follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The cluster does not accept the login.
    Credentials,
    /// It accepts the login and refuses what was asked.
    Denied,
    /// What was named is not there.
    Missing,
    /// What was sent is larger than what is taken.
    Large,
    /// The cluster, or the way to it, fails.
    Unavailable,
}

/// Sorts an error by what follows from it.
#[must_use]
pub fn trouble_of(code: Code) -> Trouble {
    if matches!(code, Code::Authentication | Code::SaslAuthenticationFailed) {
        Trouble::Credentials
    } else if matches!(
        code,
        Code::TopicAuthorizationFailed
            | Code::GroupAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::TransactionalIdAuthorizationFailed
    ) {
        Trouble::Denied
    } else if matches!(code, Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition) {
        Trouble::Missing
    } else if matches!(code, Code::MessageSizeTooLarge | Code::InvalidMessageSize) {
        Trouble::Large
    } else {
        Trouble::Unavailable
    }
}

/// What was attempted, what came of it, and the remedy.
#[must_use]
pub fn explain(attempt: &str, trouble: Trouble, said: &str) -> String {
    let remedy = match trouble {
        Trouble::Credentials => "check the user, the password and the mechanism",
        Trouble::Denied => {
            "grant it: READ and DESCRIBE on the topics and READ on the group to read, WRITE and DESCRIBE on the topic to write"
        }
        Trouble::Missing => "create the topic, or correct its name; Keywatch creates none",
        Trouble::Large => "raise max.message.bytes of the topic",
        Trouble::Unavailable => {
            "it is tried again; check the addresses, the network, and whether TLS is expected"
        }
    };
    format!("{attempt}: {said}; {remedy}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_sorted_by_what_follows_from_them() {
        for (code, wanted) in [
            (Code::SaslAuthenticationFailed, Trouble::Credentials),
            (Code::Authentication, Trouble::Credentials),
            (Code::GroupAuthorizationFailed, Trouble::Denied),
            (Code::UnknownTopicOrPartition, Trouble::Missing),
            (Code::MessageSizeTooLarge, Trouble::Large),
            (Code::AllBrokersDown, Trouble::Unavailable),
        ] {
            assert_eq!(trouble_of(code), wanted, "{code}");
        }
    }
}
