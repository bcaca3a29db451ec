//! Asks Google's REST interfaces, read-only.

use crate::access::{Access, Wallet};
use crate::failure::{Failure, Trouble};
use keywatch_ingest::survey::{Answer, Untold};
use serde::de::DeserializeOwned;
use std::error::Error as _;
use std::time::Duration;

/// Largest answer that is read. A policy has at most 256 KB
/// (<https://cloud.google.com/iam/quotas>), a page of a hundred sinks with filters of 20,000 characters
/// 2 MB.
const BODY_BYTES_MAX: usize = 4 << 20;
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A service of Google's.
#[derive(Clone, Copy, Debug)]
pub(super) enum Service {
    ResourceManager,
    Logging,
    PubSub,
}

impl Service {
    const fn endpoint(self) -> &'static str {
        match self {
            Self::ResourceManager => "https://cloudresourcemanager.googleapis.com",
            Self::Logging => "https://logging.googleapis.com",
            Self::PubSub => "https://pubsub.googleapis.com",
        }
    }
}

/// The way to all of them.
#[derive(Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    endpoint: Option<String>,
    wallet: Wallet,
}

impl Client {
    pub(super) fn new(access: &Access, wallet: Wallet) -> Result<Self, Failure> {
        let http = reqwest::Client::builder()
            .timeout(REQUEST_TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("keywatch/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| Failure::new(Trouble::Unavailable, &error.to_string()))?;
        Ok(Self { http, endpoint: access.endpoint.clone(), wallet })
    }

    /// What stands at a path. `needs` is the permission it takes.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        service: Service,
        path: &str,
        needs: &str,
    ) -> Answer<T> {
        self.answer(self.http.get(self.url(service, path)), needs).await
    }

    /// The policy of a resource. It is asked for with a POST, and changes nothing.
    pub(super) async fn policy<T: DeserializeOwned>(&self, resource: &str, needs: &str) -> Answer<T> {
        let url = self.url(Service::ResourceManager, &format!("v3/{resource}:getIamPolicy"));
        // Policies with conditions are only told to who says that he knows of them.
        let asked = r#"{"options":{"requestedPolicyVersion":3}}"#;
        self.answer(self.http.post(url).header("content-type", "application/json").body(asked), needs).await
    }

    fn url(&self, service: Service, path: &str) -> String {
        let endpoint = self.endpoint.as_deref().unwrap_or(service.endpoint()).trim_end_matches('/');
        format!("{endpoint}/{path}")
    }

    async fn answer<T: DeserializeOwned>(&self, request: reqwest::RequestBuilder, needs: &str) -> Answer<T> {
        let untold = |failure: Failure| Untold { needs: needs.to_owned(), said: failure.said };
        let bytes = self.bytes(request).await.map_err(untold)?;
        serde_json::from_slice(&bytes).map_err(|error| Untold {
            needs: "an answer of Google's".to_owned(),
            said: format!("an answer that cannot be read: {error}"),
        })
    }

    async fn bytes(&self, request: reqwest::RequestBuilder) -> Result<Vec<u8>, Failure> {
        let headers = self.wallet.headers().await?;
        let mut answer = request.headers(headers).send().await.map_err(unreached)?;
        let mut bytes = Vec::new();
        while let Some(part) = answer.chunk().await.map_err(unreached)? {
            if bytes.len() + part.len() > BODY_BYTES_MAX {
                return Err(Failure::new(Trouble::Unavailable, "the answer is larger than 4 MiB"));
            }
            bytes.extend_from_slice(&part);
        }
        match answer.status().as_u16() {
            200 => Ok(bytes),
            status => Err(Failure::of_answer(status, &bytes)),
        }
    }
}

fn unreached(error: reqwest::Error) -> Failure {
    let error = error.without_url();
    let why = error.source().map(ToString::to_string).unwrap_or_default();
    Failure::new(Trouble::Unavailable, &format!("{error}: {why}"))
}
