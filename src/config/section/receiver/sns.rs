//! Amazon SNS as a receiver.

use crate::config::frame::{need, section};
use keywatch_secrets::SecretRef;

section! {
    /// An Amazon SNS topic. Without an access key, the credentials of the environment are used.
    pub(crate) struct Sns {
        /// Its ARN; the region is taken from it. A name that ends in `.fifo` is a FIFO topic.
        topic: String = need("write its ARN, arn:aws:sns:<region>:<account>:<name>"),
        /// Another address than Amazon's own, as for a VPC endpoint.
        endpoint: Option<String>,
        /// A role to assume first, as for a topic of another account.
        role: Option<SnsRole>,
        /// An access key.
        access_key: Option<SnsKey>,
    }
}

section! {
    /// A role to assume.
    pub(crate) struct SnsRole {
        /// Its ARN.
        arn: String = need("write its ARN, arn:aws:iam::<account>:role/<name>"),
        /// What its trust policy asks for.
        external_id: Option<String>,
        /// Another address of STS than Amazon's own.
        endpoint: Option<String>,
    }
}

section! {
    /// An access key.
    pub(crate) struct SnsKey {
        /// Where its id lies.
        id: SecretRef = need("write `{source: …, path: …}`"),
        /// Where its secret lies.
        secret: SecretRef = need("write `{source: …, path: …}`"),
    }
}
