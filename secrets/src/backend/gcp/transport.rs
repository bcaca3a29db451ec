//! The way of Google's client to the network: bounded, direct, and without retries of its own.

use crate::backend::http::{Answer, Http};
use crate::failure::Failure;
use google_cloud_auth::credentials::{CacheableResource, Credentials};
use google_cloud_gax::error::rpc::Status;
use google_cloud_gax::options::RequestOptions;
use google_cloud_gax::response::Response;
use google_cloud_secretmanager_v1::model::{AccessSecretVersionRequest, AccessSecretVersionResponse};
use google_cloud_secretmanager_v1::stub::SecretManagerService;
use google_cloud_secretmanager_v1::{Error, Result};
use std::fmt;
use url::Url;

/// Sends what the client asks for, one answer per question.
#[derive(Debug)]
pub(super) struct Transport {
    http: Http,
    credentials: Credentials,
    endpoint: Url,
}

/// Our own trouble, carried through Google's error.
#[derive(Debug)]
pub(super) struct Carried(pub(super) Failure);

impl fmt::Display for Carried {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0.detail)
    }
}

impl std::error::Error for Carried {}

impl Transport {
    pub(super) fn new(http: Http, credentials: Credentials, endpoint: Url) -> Self {
        Self { http, credentials, endpoint }
    }

    async fn access(&self, name: &str) -> Result<AccessSecretVersionResponse> {
        let mut url = self.endpoint.clone();
        // The parts of a name are checked before they come here.
        url.set_path(&format!("/v1/{name}:access"));
        let mut request = self.http.request(reqwest::Method::GET, url);
        if let CacheableResource::New { data, .. } =
            self.credentials.headers(http::Extensions::new()).await.map_err(Error::authentication)?
        {
            request = request.headers(data);
        }
        let answer = self.http.send(request).await.map_err(|failure| Error::io(Carried(failure)))?;
        if answer.status != 200 {
            return Err(refused(&answer));
        }
        answer.json().ok_or_else(|| Error::deser("the answer is none of Secret Manager's"))
    }
}

/// Google's error with the wait it may ask for. A body that is no error of Google's is dropped.
fn refused(answer: &Answer) -> Error {
    let body = bytes::Bytes::copy_from_slice(&answer.body);
    let status = Status::try_from(&body).unwrap_or_default();
    Error::service_full(status, Some(answer.status), Some(answer.headers.clone()), None)
}

impl SecretManagerService for Transport {
    async fn access_secret_version(
        &self,
        request: AccessSecretVersionRequest,
        _: RequestOptions,
    ) -> Result<Response<AccessSecretVersionResponse>> {
        self.access(&request.name).await.map(Response::from)
    }
}
