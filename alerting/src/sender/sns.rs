//! Publishes to Amazon SNS. A configured endpoint passes the egress policy, and the address that
//! was checked is the one that is dialled. Of an answer of SNS, or of who gives credentials for it, no
//! more than [`bounded::ANSWER_BYTES_MAX`] is read.

use super::{Carried, Parcel, bounded, trust};
use crate::egress::Egress;
use crate::receiver::sns::Publication;
use crate::receiver::{Fault, Receiver, Role, Sns};
use crate::reply::{Reply, Verdict};
use crate::text::readable;
use aws_config::sts::AssumeRoleProvider;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_sns::Client;
use aws_sdk_sns::config::retry::RetryConfig;
use aws_sdk_sns::config::{Credentials, SharedCredentialsProvider};
use aws_sdk_sns::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_sns::operation::publish::PublishError;
use aws_sdk_sns::types::MessageAttributeValue;
use aws_smithy_http_client::tls::{TlsContext, TrustStore};
use aws_smithy_http_client::{Builder, tls};
use aws_smithy_runtime_api::client::dns::{DnsFuture, ResolveDns, ResolveDnsError};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use std::sync::{Mutex, PoisonError};
use tokio::time::timeout_at;
use url::Url;

/// Codes that say that it was the credentials.
const CREDENTIALS: &[&str] = &[
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "SignatureDoesNotMatch",
    "IncompleteSignature",
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidSecurity",
    "AuthorizationError",
    "AuthorizationErrorException",
    "AccessDenied",
    "AccessDeniedException",
];

/// A topic and the client it is reached with.
pub(crate) struct Topic {
    sns: Sns,
    egress: Egress,
    /// Certificates that are trusted besides the system's, PEM.
    roots: Option<Vec<u8>>,
    /// The client and the access key it was made with.
    client: Mutex<Option<(Option<[String; 2]>, Client)>>,
}

impl Topic {
    pub(super) fn new(receiver: &Receiver, sns: &Sns, egress: &Egress) -> Result<Self, Fault> {
        let roots = trust::pem(receiver)?;
        Ok(Self { sns: sns.clone(), egress: egress.clone(), roots, client: Mutex::new(None) })
    }

    pub(super) async fn carry(&self, parcel: &Parcel<'_>) -> Carried {
        let publication = match Publication::of(&self.sns, parcel.notification) {
            Ok(publication) => publication,
            Err(error) => return Reply::unsendable(error.to_string()).into(),
        };
        let shown =
            if parcel.rehearsal { vec![publication.shown(&self.sns.topic_arn, parcel.held)] } else { vec![] };
        let sent = timeout_at(parcel.deadline, self.publish(&publication, parcel)).await;
        let reply = sent.unwrap_or_else(|_elapsed| {
            Reply::failed(format!("{} gave no answer within {:?}", self.sns.topic_arn, parcel.limit))
        });
        Carried { reply, shown }
    }

    async fn publish(&self, publication: &Publication, parcel: &Parcel<'_>) -> Reply {
        let client = match self.client(parcel).await {
            Ok(client) => client,
            Err(error) => return Reply::failed(error),
        };
        let mut request = client
            .publish()
            .topic_arn(&self.sns.topic_arn)
            .subject(&publication.subject)
            .message(&publication.message)
            .message_structure("json");
        for (name, value) in &publication.attributes {
            let Ok(value) = MessageAttributeValue::builder().data_type("String").string_value(value).build()
            else {
                continue;
            };
            request = request.message_attributes(*name, value);
        }
        if let Some((group, deduplication)) = &publication.fifo {
            request = request.message_group_id(group).message_deduplication_id(deduplication);
        }
        match request.send().await {
            Ok(done) => Reply {
                excerpt: done.message_id().map(|id| format!("MessageId {id}")),
                ..Reply::delivered(Some(200))
            },
            Err(error) => self.judged(&error),
        }
    }

    /// The client for the credentials in hand; they may have been rotated.
    async fn client(&self, parcel: &Parcel<'_>) -> Result<Client, String> {
        let key = match &self.sns.access_key {
            None => None,
            Some(key) => {
                let text = |reference| parcel.held.text(reference).map(|text| text.trim().to_owned());
                let unheld = |error: super::Unsendable| error.to_string();
                Some([text(&key.id).map_err(unheld)?, text(&key.secret).map_err(unheld)?])
            }
        };
        let kept = self.client.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((known, client)) = kept
            && known == key
        {
            return Ok(client);
        }
        let client = self.build(key.as_ref()).await?;
        *self.client.lock().unwrap_or_else(PoisonError::into_inner) = Some((key, client.clone()));
        Ok(client)
    }

    async fn build(&self, key: Option<&[String; 2]>) -> Result<Client, String> {
        let region = Region::new(self.sns.region().unwrap_or_default().to_owned());
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .region(region)
            .http_client(bounded::client())
            // The outbox tries again, and every attempt is recorded.
            .retry_config(RetryConfig::disabled());
        if let Some([id, secret]) = key {
            loader = loader.credentials_provider(Credentials::new(id, secret, None, None, "keywatch"));
        }
        let base = loader.load().await;
        let mut config = aws_sdk_sns::config::Builder::from(&base);
        if let Some(role) = &self.sns.role {
            config = config.credentials_provider(self.assumed(role, &base).await?);
        }
        if let Some(endpoint) = &self.sns.endpoint {
            config = config.endpoint_url(endpoint).http_client(self.checked(endpoint)?);
        }
        Ok(Client::from_conf(config.build()))
    }

    async fn assumed(&self, role: &Role, base: &SdkConfig) -> Result<SharedCredentialsProvider, String> {
        let base = match &role.endpoint {
            None => base.clone(),
            Some(endpoint) => {
                base.to_builder().endpoint_url(endpoint).http_client(self.checked(endpoint)?).build()
            }
        };
        let mut provider = AssumeRoleProvider::builder(&role.arn).session_name("keywatch").configure(&base);
        if let Some(id) = &role.external_id {
            provider = provider.external_id(id);
        }
        Ok(SharedCredentialsProvider::new(provider.build().await))
    }

    /// An HTTP client that dials what the policy allows, for a configured endpoint.
    fn checked(&self, endpoint: &str) -> Result<SharedHttpClient, String> {
        let url = Url::parse(endpoint).map_err(|error| Fault::Url(error).to_string())?;
        if let Some(refusal) = self.egress.policy().check_url(&url).first() {
            return Err(refusal.to_string());
        }
        let resolver = Checked { egress: self.egress.clone(), url };
        let provider = tls::Provider::Rustls(tls::rustls_provider::CryptoMode::AwsLc);
        let mut trusted = TrustStore::default();
        if let Some(roots) = &self.roots {
            trusted.add_pem_certificate(roots.clone());
        }
        let context = TlsContext::builder().with_trust_store(trusted).build();
        let context = context.map_err(|error| Fault::Client(error.to_string()).to_string())?;
        let client = Builder::new().tls_provider(provider).tls_context(context).build_with_resolver(resolver);
        Ok(bounded::bounded(client))
    }

    /// What mends credentials that are not to be had; nothing when it is not known.
    fn remedy(&self, chain: &str) -> String {
        if chain.contains("ExpiredToken") {
            return "; the AWS session has ended: sign in again, or give Keywatch a role".to_owned();
        }
        self.sns.role.as_ref().map(|role| remedy_of_role(role, chain)).unwrap_or_default()
    }

    fn judged(&self, error: &SdkError<PublishError>) -> Reply {
        let status = error.raw_response().map(|response| response.status().as_u16());
        let code = error.code().unwrap_or_default().to_owned();
        let said = error.message().and_then(|text| readable(text.as_bytes()));
        let topic = &self.sns.topic_arn;
        let Some(status) = status else {
            let chain = readable(DisplayErrorContext(error).to_string().as_bytes()).unwrap_or_default();
            let root: String = chain.chars().take(400).collect();
            return Reply::failed(format!("could not publish to {topic}: {root}{}", self.remedy(&chain)));
        };
        let answer = format!("answered {status} {code}");
        let asked = error.raw_response().and_then(|response| response.headers().get("retry-after"));
        let retry_after = asked.map(str::to_owned);
        let reply = |verdict, remedy: &str| Reply {
            verdict,
            status: Some(status),
            excerpt: said.clone(),
            retry_after: retry_after.clone(),
            ..Reply::failed(format!("{answer}{remedy}"))
        };
        if CREDENTIALS.contains(&code.as_str()) || matches!(status, 401 | 403) {
            // Another client reads the shared files anew, in case somebody has signed in again.
            *self.client.lock().unwrap_or_else(PoisonError::into_inner) = None;
            let remedy = format!(
                "; grant sns:Publish on {topic} (and kms:GenerateDataKey* and kms:Decrypt on its key, if it has one)"
            );
            return Reply { credentials_refused: true, ..reply(Verdict::TryAgain, &remedy) };
        }
        let about_topic = said.as_ref().is_some_and(|text| text.contains("TopicArn"));
        match code.as_str() {
            "NotFound" | "NotFoundException" => {
                reply(Verdict::TryAgain, "; create the topic, or correct its ARN")
            }
            "InvalidParameter"
            | "InvalidParameterException"
            | "InvalidParameterValue"
            | "ValidationError"
                if !about_topic =>
            {
                reply(Verdict::GiveUp, ": SNS will never take this message")
            }
            _ => reply(Verdict::TryAgain, ""),
        }
    }
}

/// What mends a role that AWS does not let Keywatch take on, as far as AWS says.
fn remedy_of_role(role: &Role, chain: &str) -> String {
    let arn = &role.arn;
    if !chain.contains("AccessDenied") {
        return String::new();
    }
    let id = if role.external_id.is_some() {
        "see that `external_id` is the one it asks for in sts:ExternalId"
    } else {
        "write `external_id` if it asks for sts:ExternalId"
    };
    format!(
        "; grant sts:AssumeRole on {arn} to the identity Keywatch has, name that identity in the role's trust policy, and {id}"
    )
}

/// Resolves one endpoint's host, through the policy.
#[derive(Clone, Debug)]
struct Checked {
    egress: Egress,
    url: Url,
}

impl ResolveDns for Checked {
    fn resolve_dns<'a>(&'a self, name: &'a str) -> DnsFuture<'a> {
        DnsFuture::new(async move {
            if self.url.host_str() != Some(name) {
                return Err(ResolveDnsError::new(format!("`{name}` is not the configured endpoint")));
            }
            self.egress.check(&self.url).await.map_err(ResolveDnsError::new)
        })
    }
}
